//! An identity provider that signs by itself, without the library that verifies: good tokens and forgeries.

use super::now;
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_end_to_end::{Builder, TestHost};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "riad-tests";
const KID: &str = "key-1";

pub struct Issuer {
    pair: Ed25519KeyPair,
    folder: TempDir,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}

impl Issuer {
    pub fn new() -> Self {
        let (pair, folder) = (Ed25519KeyPair::generate().unwrap(), tempfile::tempdir().unwrap());
        let x = encode(pair.public_key());
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "use": "sig", "x": x}]});
        std::fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        Self { pair, folder }
    }

    /// A server that takes its tokens, for these tenants only.
    pub fn trusted(&self, tenants: &[&str]) -> Builder {
        let jwks = self.folder.path().join("jwks.json").display().to_string();
        let tenants = tenants.iter().map(|tenant| tenant.parse().unwrap()).collect();
        TestHost::builder().max_sequences(1).config(|config| {
            config.auth.jwks = Some(jwks);
            config.auth.issuer = Some(ISSUER.to_owned());
            config.auth.audience = Some(AUDIENCE.to_owned());
            config.auth.tenants = tenants;
        })
    }

    /// Claims that hold, for a tenant.
    pub fn claims(tenant: &str, role: &str) -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "tenant": tenant, "role": role, "iat": now(), "exp": now() + 600,
        })
    }

    pub fn token(&self, claims: &Value) -> String {
        let message = message(&json!({"alg": "EdDSA", "kid": KID, "typ": "JWT"}), claims);
        format!("{message}.{}", encode(self.pair.sign(message.as_bytes())))
    }

    /// Signed by nobody.
    pub fn unsigned(claims: &Value) -> String {
        format!(
            "{}.",
            message(&json!({"alg": "none", "kid": KID, "typ": "JWT"}), claims)
        )
    }

    /// The public key taken for a secret that both sides know.
    pub fn confused(&self, claims: &Value) -> String {
        let message = message(&json!({"alg": "HS256", "kid": KID, "typ": "JWT"}), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.pair.public_key().as_ref());
        format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes())))
    }
}
