//! The public keys of an identity provider: a JWK set (RFC 7517, RFC 7518, RFC 8037). Not here: where it comes from (`file`,
//! `provider`).

use super::unverified::UnverifiedToken;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    crypto::aws_lc,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// A set is read, fetched and kept up to this.
pub(super) const SET_MAX_BYTES: usize = 1024 * 1024;
/// Shorter RSA keys are not accepted: 2048 bits.
const MODULUS_MIN_BYTES: usize = 256;

#[derive(Default)]
pub(super) struct KeySet(Vec<VerifyingKey>);

#[derive(Clone)]
pub(super) struct VerifyingKey {
    kid: Option<String>,
    /// What its type allows, or the only one that its `alg` names.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyNotFound {
    Unknown,
    /// There is a key with this `kid`, and it is not for this algorithm.
    WrongAlgorithm,
    Ambiguous,
}

impl KeySet {
    /// Leaves out keys that are malformed, of unknown types or not for verifying, as RFC 7517 (section 5) asks for: so they are
    /// read one by one, and not as a `JwkSet`.
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct JwkSet {
            keys: Vec<Value>,
        }
        let JwkSet { keys } = serde_json::from_slice(json)?;
        Ok(Self(keys.into_iter().filter_map(VerifyingKey::read).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<VerifyingKey, KeyNotFound> {
        let named = || self.0.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        let mut fitting = named().filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key.clone()),
            (Some(_), Some(_)) => Err(KeyNotFound::Ambiguous),
            (None, _) if kid.is_some() && named().next().is_some() => Err(KeyNotFound::WrongAlgorithm),
            (None, _) => Err(KeyNotFound::Unknown),
        }
    }
}

impl VerifyingKey {
    fn read(mut json: Value) -> Option<Self> {
        // The name that RFC 9864 gives to the only curve of `EdDSA` that is accepted. The library does not know it.
        if let Some(name) = json.get_mut("alg").filter(|name| *name == "Ed25519") {
            *name = "EdDSA".into();
        }
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let common = &jwk.common;
        let verifies = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !verifies {
            return None;
        }
        let (mut algorithms, key) = read_parameters(&jwk)?;
        if let Some(only) = common.key_algorithm {
            let only = Algorithm::try_from(only).ok()?;
            algorithms.retain(|algorithm| *algorithm == only);
        }
        let key = Self {
            kid: jwk.common.key_id,
            algorithms,
            key,
        };
        (!key.algorithms.is_empty()).then_some(key)
    }

    pub(super) fn verifies(&self, token: &UnverifiedToken<'_>) -> bool {
        // Asked for by name: the process-wide default depends on the features that other crates switch on.
        self.algorithms.contains(&token.algorithm)
            && (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&token.algorithm, &self.key)
                .is_ok_and(|verifier| verifier.verify(token.message, &token.signature).is_ok())
    }
}

/// The algorithms that the key's type allows, and the key. The library checks neither lengths nor curves when it reads a key.
fn read_parameters(jwk: &Jwk) -> Option<(Vec<Algorithm>, DecodingKey)> {
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let has_bytes = |count: usize| key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == count);
    // A point of an elliptic curve is the byte 4 and two coordinates (SEC 1, section 2.3.3).
    let algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) if has_long_modulus(&key) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 && has_bytes(65) => {
            vec![Algorithm::ES256]
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 && has_bytes(97) => {
            vec![Algorithm::ES384]
        }
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 && has_bytes(32) => {
            vec![Algorithm::EdDSA]
        }
        // A secret that both sides know (`OctetKey`) is never a key here.
        AlgorithmParameters::RSA(_)
        | AlgorithmParameters::EllipticCurve(_)
        | AlgorithmParameters::OctetKeyPair(_)
        | AlgorithmParameters::OctetKey(_)
        | AlgorithmParameters::Other(_)
        | _ => return None,
    };
    Some((algorithms, key))
}

fn has_long_modulus(key: &DecodingKey) -> bool {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => {
            n.iter().skip_while(|byte| **byte == 0).count() >= MODULUS_MIN_BYTES
        }
        DecodingKeyKind::SecretOrDer(_) => false,
    }
}
