//! Signing and verifying receipts: compact JWS (RFC 7515) with Ed25519 (RFC 8037). All of it works offline.
//! Not here: what is in a receipt (`riad_core::receipt`).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use riad_core::{
    Digest, Error, Result,
    receipt::{Receipt, SignedReceipt},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The header's `typ`, so that nothing else that this key may ever sign passes for a receipt.
const TYPE: &str = "riad-receipt+jws";

/// The public half of a signing key: 32 bytes of Ed25519, and their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's thumbprint (RFC 7638), which receipts name in their header.
    pub kid: String,
    /// Base64url without padding, as in a JWK.
    x: String,
}

/// Reads a receipt whose signature by `key` is valid.
///
/// # Errors
/// `InvalidRequest` says what is wrong: not a receipt, another key, a signature that does not fit.
pub fn verify_receipt(jws: &str, key: &PublicKey) -> Result<Receipt> {
    let wrong = |why: String| Error::invalid(format!("this is not a valid receipt: {why}"));
    let header = decode_header(jws).map_err(|error| wrong(error.to_string()))?;
    if header.typ.as_deref() != Some(TYPE) {
        return Err(wrong(format!("its type is not {TYPE}")));
    }
    if header.kid.as_deref() != Some(key.kid.as_str()) {
        return Err(wrong(format!("it was not signed with the key {}", key.kid)));
    }
    let mut validation = Validation::new(Algorithm::EdDSA);
    // A receipt has no audience and does not expire.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoding = DecodingKey::from_ed_components(&key.x).map_err(|error| wrong(error.to_string()))?;
    decode::<Receipt>(jws, &decoding, &validation)
        .map(|data| data.claims)
        .map_err(|error| wrong(error.to_string()))
}

/// Whether a receipt comes right after another in its account's chain.
#[must_use]
pub fn follows(receipt: &Receipt, before: &SignedReceipt) -> bool {
    receipt.account == before.receipt.account
        && before.receipt.number.checked_add(1) == Some(receipt.number)
        && receipt.previous == Some(Digest::of(before.jws.as_bytes()))
}

impl PublicKey {
    fn new(bytes: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(bytes);
        // RFC 7638: the required members in the order of their names, without spaces (RFC 8037, appendix A.3).
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            kid: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes())),
            x,
        }
    }

    /// A JSON Web Key Set with this key.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "x": self.x, "kid": self.kid, "use": "sig", "alg": "EdDSA",
        }]})
    }

    /// The Ed25519 keys of a JSON Web Key Set; others are left out.
    ///
    /// # Errors
    /// `InvalidRequest` if it is no key set, or has no such key.
    pub fn from_jwks(jwks: &Value) -> Result<Vec<Self>> {
        let keys = jwks.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| Error::invalid("a JSON Web Key Set has a list \"keys\""))?;
        let found: Vec<Self> = keys
            .iter()
            .filter(|key| key.get("crv").and_then(Value::as_str) == Some("Ed25519"))
            .filter_map(|key| URL_SAFE_NO_PAD.decode(key.get("x")?.as_str()?).ok())
            .filter(|bytes| bytes.len() == 32)
            .map(|bytes| Self::new(&bytes))
            .collect();
        if found.is_empty() {
            return Err(Error::invalid("this JSON Web Key Set has no Ed25519 key"));
        }
        Ok(found)
    }
}

/// The private half.
pub(super) struct Signer {
    key: EncodingKey,
    header: Header,
    public: PublicKey,
}

impl Signer {
    /// A new key as PKCS#8.
    pub fn generate() -> Result<Vec<u8>> {
        let key = Ed25519KeyPair::generate().map_err(|error| Error::internal(error.to_string()))?;
        let document = key.to_pkcs8().map_err(|error| Error::internal(error.to_string()))?;
        Ok(document.as_ref().to_vec())
    }

    pub fn new(pkcs8: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| Error::internal(error.to_string()))?;
        let public = PublicKey::new(pair.public_key().as_ref());
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(public.kid.clone());
        Ok(Self {
            key: EncodingKey::from_ed_der(pkcs8),
            header,
            public,
        })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub fn sign(&self, receipt: Receipt) -> Result<SignedReceipt> {
        let jws = encode(&self.header, &receipt, &self.key).map_err(Error::internal)?;
        Ok(SignedReceipt { receipt, jws })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{
        Account, PlanName,
        ledger::{Kind, Outcome},
        price::Usage,
        receipt::ServedBy,
    };

    fn receipt(number: u64, previous: Option<Digest>) -> Receipt {
        Receipt {
            tenant: "acme".parse().unwrap(),
            account: Account::new(7),
            number,
            previous,
            request: format!("req_{number}"),
            at_ms: 1_700_000_000_000,
            kind: Kind::Chat,
            outcome: Outcome::Completed,
            key: Some("key_1".parse().unwrap()),
            model: "tiny".into(),
            served_by: ServedBy::default(),
            used: Usage {
                prompt_tokens: u64::MAX,
                ..Usage::default()
            },
            plan: PlanName::standard(),
            plan_version: 1,
            cost_nanos: 3,
        }
    }

    fn signer() -> Signer {
        Signer::new(&Signer::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_verified_receipt_equals_the_signed_one() {
        let signer = signer();
        let signed = signer.sign(receipt(1, None)).unwrap();
        assert_eq!(verify_receipt(&signed.jws, signer.public()).unwrap(), signed.receipt);
        let keys = PublicKey::from_jwks(&signer.public().jwks()).unwrap();
        assert_eq!(keys, vec![signer.public().clone()]);
    }

    #[test]
    fn the_thumbprint_matches_rfc_8037() {
        // RFC 8037, appendices A.2 and A.3.
        let jwks = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        ]});
        assert_eq!(
            PublicKey::from_jwks(&jwks).unwrap()[0].kid,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn every_changed_byte_invalidates_the_receipt() {
        let signer = signer();
        let signed = signer.sign(receipt(1, None)).unwrap();
        for index in 0..signed.jws.len() {
            let mut bytes = signed.jws.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            if let Ok(read) = verify_receipt(&changed, signer.public()) {
                panic!("byte {index} was changed, and {read:?} read");
            }
        }
    }

    #[test]
    fn other_keys_types_and_algorithms_are_rejected() {
        let (signer, other) = (signer(), signer());
        let signed = signer.sign(receipt(1, None)).unwrap();
        assert!(verify_receipt(&signed.jws, other.public()).is_err());

        let mut token = signer.sign(receipt(1, None)).unwrap();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(signer.public().kid.clone());
        token.jws = encode(&header, &token.receipt, &signer.key).unwrap();
        assert!(
            verify_receipt(&token.jws, signer.public()).is_err(),
            "a JWT is no receipt"
        );

        let header = json!({"alg": "none", "typ": TYPE, "kid": signer.public().kid});
        let body = signed.jws.split('.').nth(1).unwrap();
        let unsigned = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert!(verify_receipt(&unsigned, signer.public()).is_err());

        // The public key as the secret of an HMAC: RFC 8725, section 2.1.
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(signer.public().kid.clone());
        let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&signer.public().x).unwrap());
        let forged = encode(&header, &receipt(1, None), &secret).unwrap();
        assert!(verify_receipt(&forged, signer.public()).is_err());
        for bad in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(10_000)] {
            assert!(verify_receipt(bad, signer.public()).is_err());
        }
    }

    #[test]
    fn a_missing_receipt_breaks_the_chain() {
        let signer = signer();
        let first = signer.sign(receipt(1, None)).unwrap();
        let second = receipt(2, Some(Digest::of(first.jws.as_bytes())));
        assert!(follows(&second, &first));
        assert!(!follows(&receipt(2, None), &first));
        assert!(!follows(&receipt(3, second.previous), &first));
    }
}
