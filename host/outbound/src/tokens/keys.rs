//! The public keys of an identity provider: a JWK set (RFC 7517, RFC 7518, RFC 8037). Not here: where it comes from (`file`,
//! `provider`).

use super::parts::{Parts, algorithm};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc};
use serde::Deserialize;
use serde_json::Value;

/// A set is read, fetched and kept up to this.
pub(super) const SET_MAX_BYTES: usize = 1024 * 1024;
/// Shorter RSA keys are not taken: 2048 bits.
const MODULUS_MIN_BYTES: usize = 256;

#[derive(Default)]
pub(super) struct KeySet(Vec<Jwk>);

#[derive(Clone)]
pub(super) struct Jwk {
    kid: Option<String>,
    /// The only one that the key is for, if it says so.
    algorithm: Option<Algorithm>,
    kind: Kind,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfound {
    Unknown,
    /// There is a key with this `kid`, and it is not for this algorithm.
    Unfit,
    Several,
}

impl KeySet {
    /// Keys that are not for verifying, of unknown types or wrong are left out, as RFC 7517 (section 5) asks for.
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(json)?;
        Ok(Self(keys.into_iter().filter_map(Jwk::read).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Jwk, Unfound> {
        let named = || self.0.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named().filter(|key| key.fits(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key.clone()),
            (Some(_), Some(_)) => Err(Unfound::Several),
            (None, _) if kid.is_some() && named().next().is_some() => Err(Unfound::Unfit),
            (None, _) => Err(Unfound::Unknown),
        }
    }
}

impl Jwk {
    fn read(json: Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            kty: String,
            r#use: Option<String>,
            key_ops: Option<Vec<String>>,
            alg: Option<String>,
            kid: Option<String>,
            crv: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }
        let members: Members = serde_json::from_value(json).ok()?;
        if members.r#use.is_some_and(|purpose| purpose != "sig")
            || members
                .key_ops
                .is_some_and(|purposes| !purposes.iter().any(|purpose| purpose == "verify"))
        {
            return None;
        }
        let bytes = |member: &Option<String>| URL_SAFE_NO_PAD.decode(member.as_deref()?).ok();
        let point = |coordinate_bytes: usize| {
            let (x, y) = (bytes(&members.x)?, bytes(&members.y)?);
            // Uncompressed, as SEC 1 (section 2.3.3) writes a point.
            (x.len() == coordinate_bytes && y.len() == coordinate_bytes)
                .then(|| DecodingKey::from_ec_der(&[&[4], x.as_slice(), &y].concat()))
        };
        let (kind, key) = match (members.kty.as_str(), members.crv.as_deref()) {
            ("RSA", None) => {
                let (modulus, exponent) = (bytes(&members.n)?, bytes(&members.e)?);
                if modulus.iter().skip_while(|byte| **byte == 0).count() < MODULUS_MIN_BYTES {
                    return None;
                }
                (Kind::Rsa, DecodingKey::from_rsa_raw_components(&modulus, &exponent))
            }
            ("EC", Some("P-256")) => (Kind::P256, point(32)?),
            ("EC", Some("P-384")) => (Kind::P384, point(48)?),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(&members.x).filter(|x| x.len() == 32)?;
                (Kind::Ed25519, DecodingKey::from_ed_der(&x))
            }
            _ => return None,
        };
        let algorithm = match &members.alg {
            Some(name) => Some(algorithm(name)?),
            None => None,
        };
        Some(Self {
            kid: members.kid,
            algorithm,
            kind,
            key,
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        kind_for(algorithm) == Some(self.kind) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(super) fn verifies(&self, token: &Parts<'_>) -> bool {
        // Asked for by name: the process-wide default depends on the features that other crates switch on.
        self.fits(token.algorithm)
            && (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&token.algorithm, &self.key)
                .is_ok_and(|verifier| verifier.verify(token.message, &token.signature).is_ok())
    }
}

fn kind_for(algorithm: Algorithm) -> Option<Kind> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    [
        (Kind::Rsa, [RS256, RS384, RS512, PS256, PS384, PS512].as_slice()),
        (Kind::P256, &[ES256]),
        (Kind::P384, &[ES384]),
        (Kind::Ed25519, &[EdDSA]),
    ]
    .into_iter()
    .find_map(|(kind, algorithms)| algorithms.contains(&algorithm).then_some(kind))
}
