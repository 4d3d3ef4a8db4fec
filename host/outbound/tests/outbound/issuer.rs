//! An identity provider: keys, key sets and tokens, good and bad.

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{
    Error, ErrorKind, Secret,
    ports::{Claims, Tokens},
};
use riad_outbound::{IdentityConfig, IdentityTokens};
use serde_json::{Value, json};
use std::{
    ops::Deref,
    path::PathBuf,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

pub const ISSUER: &str = "https://login.example";
pub const AUDIENCE: &str = "riad-test";

pub enum Signer {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

pub fn ed25519() -> Signer {
    Signer::Ed25519(Ed25519KeyPair::generate().unwrap())
}

pub fn p256() -> Signer {
    Signer::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

pub fn p384() -> Signer {
    Signer::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
}

/// Made once: it takes long.
pub fn rsa() -> &'static Signer {
    static RSA: OnceLock<Signer> = OnceLock::new();
    RSA.get_or_init(|| Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
}

impl Signer {
    /// The algorithm that tests use if it does not matter.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ed25519(pair) => json!({
                "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": encode(pair.public_key()),
            }),
            Self::P256(pair) => point(pair, "P-256", kid),
            Self::P384(pair) => point(pair, "P-384", kid),
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": kid, "n": encode(public.n), "e": encode(public.e)})
            }
        }
    }

    /// The public key as whoever confuses algorithms takes it for a secret.
    pub fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref().to_vec(),
            Self::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// A token with a header that names `kid`.
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"}), claims)
    }

    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let algorithm = header["alg"].as_str().unwrap_or_default();
        format!("{message}.{}", encode(self.sign(algorithm, message.as_bytes())))
    }
}

/// A token signed with a secret that both sides know.
pub fn token_of_secret(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes())))
}

pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn point(pair: &EcdsaKeyPair, curve: &str, kid: &str) -> Value {
    let public = pair.public_key().as_ref();
    let (x, y) = public[1..].split_at(public.len() / 2);
    json!({"kty": "EC", "crv": curve, "kid": kid, "x": encode(x), "y": encode(y)})
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that hold.
pub fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "tenant": "acme", "role": "user",
        "iat": now() - 1, "nbf": now() - 1, "exp": now() + 600,
    })
}

/// Good claims with one of them changed; null takes it away.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

pub fn config(jwks: impl Into<String>) -> IdentityConfig {
    IdentityConfig {
        jwks: jwks.into(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        ..IdentityConfig::default()
    }
}

/// A key set in a file of its own.
pub struct KeyFile {
    _folder: TempDir,
    pub path: PathBuf,
}

impl KeyFile {
    pub fn with(keys: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        let file = Self { _folder: folder, path };
        file.write(&json!({ "keys": keys }).to_string());
        file
    }

    pub fn write(&self, content: &str) {
        std::fs::write(&self.path, content).unwrap();
    }

    /// Writes, and moves the file's time on: a test is faster than some clocks of file systems.
    pub fn rewrite(&self, content: &str) {
        let before = self.path.metadata().unwrap().modified().unwrap();
        self.write(content);
        std::fs::File::options()
            .write(true)
            .open(&self.path)
            .unwrap()
            .set_modified(before + std::time::Duration::from_secs(1))
            .unwrap();
    }

    pub fn config(&self) -> IdentityConfig {
        config(self.path.to_str().unwrap())
    }

    pub fn open(self) -> Opened {
        let tokens = IdentityTokens::open(self.config()).unwrap();
        Opened { tokens, _file: self }
    }
}

/// Tokens with their file, which stays until the test has ended.
pub struct Opened {
    tokens: IdentityTokens,
    _file: KeyFile,
}

impl Deref for Opened {
    type Target = IdentityTokens;
    fn deref(&self) -> &IdentityTokens {
        &self.tokens
    }
}

pub async fn verify(tokens: &IdentityTokens, token: &str) -> Result<Claims, Error> {
    tokens.verify(&Secret::new(token.to_owned())).await
}

/// The words with which a token is refused. They never have a part of it in them.
pub async fn refusal(tokens: &IdentityTokens, token: &str) -> String {
    let error = verify(tokens, token).await.expect_err("this token must be refused");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!format!("{error:?}").contains(part), "{error:?}");
    }
    error.message().to_owned()
}
