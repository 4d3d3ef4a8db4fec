//! A token in its compact form (RFC 7515), split and with its header read. Not here: verifying it (`keys`, `claims`).
//!
//! `jsonwebtoken::decode` is not used: it rejects the algorithm name `Ed25519` (RFC 9864), and its `Validation` accepts a list
//! as issuer and a token in the second in which it expires.

use super::errors::reject;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use riad_core::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

const TOKEN_MAX_BYTES: usize = 16 * 1024;
/// The prefix of this server's own keys.
const KEY_PREFIX: &str = "riad_";

/// The accepted algorithms. HMAC and `none` are missing: a public key can never be used as a shared secret.
const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    // The name that RFC 9864 gives to `EdDSA` on the only curve that is accepted.
    ("Ed25519", Algorithm::EdDSA),
];

pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS
        .into_iter()
        .find_map(|(known, algorithm)| (known == name).then_some(algorithm))
}

pub(super) fn is_token(presented: &str) -> bool {
    presented.len() <= TOKEN_MAX_BYTES
        && !presented.starts_with(KEY_PREFIX)
        && split(presented).is_some_and(|[header, claims, signature]| {
            object(header).is_some_and(|header| header.contains_key("alg")) && is_base64(claims) && is_base64(signature)
        })
}

/// Its header has been read, its claims have not.
pub(super) struct UnverifiedToken<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    /// What is signed.
    pub message: &'a [u8],
    pub signature: Vec<u8>,
    claims: &'a str,
}

/// Keys that a header contains or points to (`jwk`, `jku`, `x5c`, `x5u`) are ignored.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> UnverifiedToken<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(reject("it is too long"));
        }
        let [header, claims, signature] = split(token).ok_or_else(|| reject("it does not have three parts"))?;
        let (message, _) = token.rsplit_once('.').unwrap_or_default();
        let header: Header = URL_SAFE_NO_PAD
            .decode(header)
            .ok()
            .and_then(|header| serde_json::from_slice(&header).ok())
            .ok_or_else(|| reject("its header cannot be read"))?;
        if header.crit.is_some() {
            return Err(reject(
                "its header has `crit`: this server supports no critical extensions",
            ));
        }
        let algorithm =
            algorithm(&header.alg).ok_or_else(|| reject("its algorithm is not one that this server accepts"))?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| reject("its signature cannot be read"))?;
        Ok(Self {
            algorithm,
            kid: header.kid,
            message: message.as_bytes(),
            signature,
            claims,
        })
    }

    pub(super) fn claims(&self) -> Result<Map<String, Value>> {
        object(self.claims).ok_or_else(|| reject("its claims cannot be read"))
    }
}

fn split(token: &str) -> Option<[&str; 3]> {
    let mut parts = token.split('.');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn is_base64(part: &str) -> bool {
    part.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
