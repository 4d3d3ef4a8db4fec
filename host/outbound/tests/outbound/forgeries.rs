//! Tokens that nobody signed, or somebody else did.

use crate::issuer::{
    KeyFile, Signer, claims_with, ed25519, encode, good_claims, message, p256, refusal, rsa, token_of_secret, verify,
};
use aws_lc_rs::{rsa::KeySize, signature::RsaKeyPair};
use proptest::prelude::*;
use riad_core::{Secret, ports::Tokens};
use serde_json::json;

#[tokio::test]
async fn another_key_under_the_same_name_signs_nothing() {
    for (real, forger) in [(ed25519(), ed25519()), (p256(), p256())] {
        let tokens = KeyFile::with(&[real.jwk("k")]).open();
        verify(&tokens, &real.token("k", &good_claims())).await.unwrap();
        let words = refusal(&tokens, &forger.token("k", &good_claims())).await;
        assert!(words.contains("signature is wrong"), "{words}");
    }
    let forger = Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let tokens = KeyFile::with(&[rsa().jwk("k")]).open();
    let words = refusal(&tokens, &forger.token("k", &good_claims())).await;
    assert!(words.contains("signature is wrong"), "{words}");
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_looked_at() {
    let (real, forger) = (ed25519(), ed25519());
    let tokens = KeyFile::with(&[real.jwk("k")]).open();
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": forger.jwk("k"), "jku": "http://127.0.0.1:1/keys"});
    let words = refusal(&tokens, &forger.token_with(&header, &good_claims())).await;
    assert!(words.contains("signature is wrong"), "{words}");
}

#[tokio::test]
async fn no_bit_of_a_token_can_be_flipped() {
    let signer = p256();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    let token = signer.token("k", &good_claims());
    verify(&tokens, &token).await.unwrap();
    let dots: Vec<usize> = token.match_indices('.').map(|(place, _)| place).collect();
    // Through the whole of it, and the first and last character of each part.
    let edges = [0, dots[0] - 1, dots[0] + 1, dots[1] - 1, dots[1] + 1, token.len() - 1];
    for place in (0..token.len())
        .step_by(7)
        .chain(edges)
        .filter(|place| !dots.contains(place))
    {
        for other in "AQgw0_".bytes().filter(|other| *other != token.as_bytes()[place]) {
            let mut flipped = token.clone().into_bytes();
            flipped[place] = other;
            let flipped = String::from_utf8(flipped).unwrap();
            assert!(
                verify(&tokens, &flipped).await.is_err(),
                "at {place}: {}",
                char::from(other)
            );
        }
    }
}

#[tokio::test]
async fn parts_of_two_good_tokens_do_not_combine() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    let (mine, admin) = (
        signer.token("k", &good_claims()),
        signer.token("k", &claims_with("role", json!("admin"))),
    );
    let (mine, admin): (Vec<_>, Vec<_>) = (mine.split('.').collect(), admin.split('.').collect());
    let words = refusal(&tokens, &[mine[0], admin[1], mine[2]].join(".")).await;
    assert!(words.contains("signature is wrong"), "{words}");
}

#[tokio::test]
async fn the_algorithm_none_is_refused() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    for name in ["none", "None", "NONE", ""] {
        let message = message(&json!({"alg": name, "kid": "k"}), &good_claims());
        for signature in [String::new(), encode("anything")] {
            let words = refusal(&tokens, &format!("{message}.{signature}")).await;
            assert!(words.contains("algorithm"), "{words}");
        }
    }
    let signed = signer.token("k", &good_claims());
    let (message, _) = signed.rsplit_once('.').unwrap();
    assert!(
        refusal(&tokens, &format!("{message}."))
            .await
            .contains("signature is wrong")
    );
    assert!(refusal(&tokens, message).await.contains("three parts"));
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_shared_secret() {
    let (ed25519, p256) = (ed25519(), p256());
    for signer in [&ed25519, &p256, rsa()] {
        let jwk = signer.jwk("k");
        let tokens = KeyFile::with(std::slice::from_ref(&jwk)).open();
        for algorithm in ["HS256", "HS384", "HS512", "hs256"] {
            let header = json!({"alg": algorithm, "kid": "k"});
            for secret in [signer.public_bytes(), jwk.to_string().into_bytes()] {
                let words = refusal(&tokens, &token_of_secret(&header, &good_claims(), &secret)).await;
                assert!(words.contains("algorithm"), "{words}");
            }
        }
        // Under a name that is taken, the bytes of a MAC are no signature either.
        let header = json!({"alg": signer.algorithm(), "kid": "k"});
        let words = refusal(
            &tokens,
            &token_of_secret(&header, &good_claims(), &signer.public_bytes()),
        )
        .await;
        assert!(words.contains("signature is wrong"), "{words}");
    }
}

#[tokio::test]
async fn a_shared_secret_in_the_key_set_is_not_used() {
    let signer = ed25519();
    let secret = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": encode("a secret that many know")});
    let tokens = KeyFile::with(&[signer.jwk("k"), secret]).open();
    let header = json!({"alg": "HS256", "kid": "s"});
    let words = refusal(
        &tokens,
        &token_of_secret(&header, &good_claims(), b"a secret that many know"),
    )
    .await;
    assert!(words.contains("algorithm"), "{words}");
}

#[tokio::test]
async fn a_key_verifies_only_its_own_algorithm() {
    let (ed25519, p256) = (ed25519(), p256());
    let mut only_rs512 = rsa().jwk("rsa");
    only_rs512["alg"] = json!("RS512");
    let tokens = KeyFile::with(&[ed25519.jwk("ed"), p256.jwk("p256"), only_rs512]).open();
    let rs512 = rsa().token_with(&json!({"alg": "RS512", "kid": "rsa"}), &good_claims());
    verify(&tokens, &rs512).await.unwrap();
    for (signer, algorithm, kid) in [
        (rsa(), "RS256", "rsa"),
        (rsa(), "PS512", "rsa"),
        (&p256, "ES384", "p256"),
        (&p256, "RS256", "p256"),
        (&ed25519, "ES256", "ed"),
        (&p256, "ES256", "ed"),
    ] {
        let words = refusal(
            &tokens,
            &signer.token_with(&json!({"alg": algorithm, "kid": kid}), &good_claims()),
        )
        .await;
        assert!(words.contains("not for its algorithm"), "{algorithm}: {words}");
    }
}

#[tokio::test]
async fn keys_for_encryption_or_of_other_kinds_are_left_out() {
    let good = ed25519();
    let with = |member: &str, value| {
        let mut jwk = good.jwk("k");
        jwk[member] = value;
        jwk
    };
    for unfit in [
        with("use", json!("enc")),
        with("use", json!("other")),
        with("key_ops", json!(["encrypt"])),
        with("alg", json!("HS256")),
        with("alg", json!("RSA-OAEP")),
        with("crv", json!("X25519")),
        with("kty", json!("EC")),
        with("x", json!("AAAA")),
        json!({"kty": "RSA", "kid": "k", "n": encode([255; 128]), "e": "AQAB"}),
        json!("nonsense"),
    ] {
        // Another key beside it, so that the set is not refused as a whole.
        let tokens = KeyFile::with(&[unfit.clone(), ed25519().jwk("other")]).open();
        let words = refusal(&tokens, &good.token("k", &good_claims())).await;
        assert!(words.contains("not signed with a key"), "{unfit}: {words}");
    }
    let tokens = KeyFile::with(&[with("key_ops", json!(["verify"]))]).open();
    verify(&tokens, &good.token("k", &good_claims())).await.unwrap();
}

#[tokio::test]
async fn without_a_name_exactly_one_key_must_fit() {
    let (first, second) = (ed25519(), ed25519());
    let nameless = first.token_with(&json!({"alg": "EdDSA"}), &good_claims());
    let tokens = KeyFile::with(&[first.jwk("a"), p256().jwk("b")]).open();
    verify(&tokens, &nameless).await.unwrap();
    let tokens = KeyFile::with(&[first.jwk("a"), second.jwk("b")]).open();
    assert!(refusal(&tokens, &nameless).await.contains("more than one key"));
    let tokens = KeyFile::with(&[p256().jwk("a")]).open();
    assert!(refusal(&tokens, &nameless).await.contains("not signed with a key"));
    // A name that is not there does not fall back to the only key.
    let tokens = KeyFile::with(&[first.jwk("a")]).open();
    let words = refusal(&tokens, &first.token("unknown", &good_claims())).await;
    assert!(words.contains("not signed with a key"), "{words}");
}

#[tokio::test]
async fn headers_that_cannot_be_honored_are_refused() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    let with = |header| signer.token_with(&header, &good_claims());
    let critical = with(json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": true}));
    assert!(refusal(&tokens, &critical).await.contains("`crit`"));
    for header in [
        json!({"kid": "k"}),
        json!({"alg": 7}),
        json!({"alg": "EdDSA", "kid": 7}),
        json!([]),
    ] {
        assert!(refusal(&tokens, &with(header)).await.contains("header"));
    }
    let long = signer.token("k", &claims_with("padding", json!("x".repeat(16 * 1024))));
    assert!(refusal(&tokens, &long).await.contains("too long"));
    assert!(!tokens.is_token(&Secret::new(long)));
}

#[test]
fn tokens_are_distinguished_from_keys() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    let is_token = |presented: &str| tokens.is_token(&Secret::new(presented.to_owned()));
    let token = signer.token("k", &good_claims());
    assert!(is_token(&token));
    assert!(is_token(&format!("{}.", message(&json!({"alg": "none"}), &json!({})))));
    for key in [
        "",
        "..",
        "a.b.c",
        "riad_0123456789",
        &format!("riad_{token}"),
        &format!("{token}.x"),
        &format!("{token}="),
        &format!(" {token}"),
        &format!("{}.e30.e30", encode(r#"{"typ": "JWT"}"#)),
        &format!("{}.e30.e30", encode(r#"["alg"]"#)),
    ] {
        assert!(!is_token(key), "{key}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_presented_panics_or_gets_in(
        presented in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}"],
        header in any::<Vec<u8>>(),
    ) {
        let signer = ed25519();
        let tokens = KeyFile::with(&[signer.jwk("k")]).open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for presented in [presented.clone(), format!("{}.{presented}", encode(header))] {
            tokens.is_token(&Secret::new(presented.clone()));
            prop_assert!(runtime.block_on(verify(&tokens, &presented)).is_err());
        }
    }
}
