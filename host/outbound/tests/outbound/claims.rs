//! What a good signature says, and which claims are refused all the same.

use crate::issuer::{
    AUDIENCE, ISSUER, KeyFile, claims_with, config, ed25519, good_claims, now, p256, p384, refusal, rsa, verify,
};
use riad_core::{
    ErrorKind,
    grants::{KeyRole, Scope},
};
use riad_outbound::{IdentityConfig, IdentityTokens};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_algorithm_that_is_taken_is_verified() {
    let (ed25519, p256, p384, rsa) = (ed25519(), p256(), p384(), rsa());
    let file = KeyFile::with(&[ed25519.jwk("ed"), p256.jwk("p256"), p384.jwk("p384"), rsa.jwk("rsa")]);
    let tokens = file.open();
    for (signer, kid, algorithms) in [
        (&ed25519, "ed", ["EdDSA", "Ed25519"].as_slice()),
        (&p256, "p256", &["ES256"]),
        (&p384, "p384", &["ES384"]),
        (rsa, "rsa", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ] {
        for algorithm in algorithms {
            let token = signer.token_with(&json!({"alg": algorithm, "kid": kid}), &good_claims());
            let claims = verify(&tokens, &token)
                .await
                .unwrap_or_else(|error| panic!("{algorithm}: {error}"));
            assert_eq!(claims.tenant.as_str(), "acme");
        }
    }
}

#[tokio::test]
async fn a_token_says_tenant_role_scopes_and_subject() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let tokens = IdentityTokens::open(file.config()).unwrap();
    let good = good_claims();
    let ada = verify(&tokens, &signer.token("k", &good)).await.unwrap();
    assert_eq!(ada.tenant.as_str(), "acme");
    assert_eq!(ada.grants.role, KeyRole::User);
    assert_eq!(ada.grants.scopes, BTreeSet::from(Scope::ALL));
    assert_eq!(ada.issued_at, good["iat"].as_u64().unwrap());
    let digits = ada.key.as_str().strip_prefix("jwt_").unwrap();
    assert!(digits.len() == 24 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));

    let again = verify(&tokens, &signer.token("k", &claims_with("role", json!("admin"))))
        .await
        .unwrap();
    assert_eq!((again.key, again.grants.role), (ada.key.clone(), KeyRole::Admin));
    let bob = verify(&tokens, &signer.token("k", &claims_with("sub", json!("bob"))))
        .await
        .unwrap();
    assert_ne!(bob.key, ada.key);
    let elsewhere = IdentityTokens::open(IdentityConfig {
        issuer: "https://other.example".to_owned(),
        ..file.config()
    })
    .unwrap();
    let other = claims_with("iss", json!("https://other.example"));
    let other = verify(&elsewhere, &signer.token("k", &other)).await.unwrap();
    assert_ne!(
        other.key, ada.key,
        "the same subject of another issuer is somebody else"
    );
}

#[tokio::test]
async fn scopes_are_a_text_or_a_list_and_unknown_ones_are_ignored() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    for (claim, scopes) in [
        (json!("openid chat  usage"), vec![Scope::Chat, Scope::Usage]),
        (json!(["documents", "email"]), vec![Scope::Documents]),
        (json!("openid"), vec![]),
        (json!(""), vec![]),
    ] {
        let token = signer.token("k", &claims_with("scope", claim));
        let claims = verify(&tokens, &token).await.unwrap();
        assert_eq!(claims.grants.scopes, scopes.into_iter().collect());
    }
    for wrong in [json!(7), json!([1]), json!({"chat": true})] {
        let words = refusal(&tokens, &signer.token("k", &claims_with("scope", wrong))).await;
        assert!(words.contains("`scope`"), "{words}");
    }
    let mut null = good_claims();
    null["scope"] = Value::Null;
    assert!(refusal(&tokens, &signer.token("k", &null)).await.contains("`scope`"));
}

#[tokio::test]
async fn claims_have_the_names_that_the_operator_gave_them() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let tokens = IdentityTokens::open(IdentityConfig {
        tenant_claim: "https://example/org".to_owned(),
        role_claim: "roles".to_owned(),
        scopes_claim: "permissions".to_owned(),
        ..file.config()
    })
    .unwrap();
    let mut claims = good_claims();
    claims["tenant"] = json!("evil");
    claims["role"] = json!("admin");
    claims["https://example/org"] = json!("good");
    claims["roles"] = json!(["offline_access", "read-only"]);
    claims["permissions"] = json!(["chat"]);
    let claims = verify(&tokens, &signer.token("k", &claims)).await.unwrap();
    assert_eq!(claims.tenant.as_str(), "good");
    assert_eq!(claims.grants.role, KeyRole::ReadOnly);
    assert_eq!(claims.grants.scopes, BTreeSet::from([Scope::Chat]));
}

#[tokio::test]
async fn each_claim_that_does_not_hold_is_refused_and_named() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    let now = now();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!(format!("{ISSUER}/"))),
        ("iss", json!([ISSUER])),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!(AUDIENCE.to_uppercase())),
        ("aud", json!(["other", "third"])),
        ("aud", json!([])),
        ("aud", json!({AUDIENCE: true})),
        ("aud", Value::Null),
        ("exp", json!(now - 31)),
        ("exp", json!(0)),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(-1)),
        ("exp", Value::Null),
        ("nbf", json!(now + 90)),
        ("nbf", json!("soon")),
        ("nbf", json!(-1)),
        ("iat", json!(now + 90)),
        ("iat", json!([now])),
        ("iat", json!(-1.5)),
        ("iat", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", Value::Null),
        ("tenant", json!(["acme"])),
        ("tenant", json!(["acme", "other"])),
        ("tenant", json!("../x")),
        ("tenant", json!("acme/../other")),
        ("tenant", json!("Acme")),
        ("tenant", json!("acme\0")),
        ("tenant", json!(" acme")),
        ("tenant", json!("")),
        ("tenant", json!(7)),
        ("tenant", json!({"id": "acme"})),
        ("tenant", Value::Null),
        ("role", json!("operator")),
        ("role", json!("Admin")),
        ("role", json!("admin user")),
        ("role", json!("")),
        ("role", json!(["operator"])),
        ("role", json!(["admin", "user"])),
        ("role", json!(["admin", 1])),
        ("role", json!([])),
        ("role", json!(true)),
        ("role", Value::Null),
    ] {
        let words = refusal(&tokens, &signer.token("k", &claims_with(name, value.clone()))).await;
        assert!(words.contains(&format!("`{name}`")), "{name} {value}: {words}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_the_leeway_and_not_by_more() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let now = now();
    let lenient = IdentityTokens::open(IdentityConfig {
        leeway_seconds: 120,
        ..file.config()
    })
    .unwrap();
    let strict = IdentityTokens::open(IdentityConfig {
        leeway_seconds: 0,
        ..file.config()
    })
    .unwrap();
    for (name, value) in [
        ("exp", json!(now - 60)),
        ("exp", json!(now as f64 - 60.5)),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
    ] {
        let token = signer.token("k", &claims_with(name, value));
        verify(&lenient, &token).await.unwrap();
        assert!(refusal(&strict, &token).await.contains(&format!("`{name}`")));
    }
    let ends_now = signer.token("k", &claims_with("exp", json!(now)));
    assert!(refusal(&strict, &ends_now).await.contains("expired"));
}

#[tokio::test]
async fn an_audience_among_others_and_no_nbf_are_fine() {
    let signer = ed25519();
    let tokens = KeyFile::with(&[signer.jwk("k")]).open();
    for claims in [
        claims_with("aud", json!(["other", AUDIENCE])),
        claims_with("nbf", Value::Null),
    ] {
        verify(&tokens, &signer.token("k", &claims)).await.unwrap();
    }
}

#[tokio::test]
async fn an_issuer_speaks_only_for_its_tenants() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let tokens = IdentityTokens::open(IdentityConfig {
        tenants: vec!["acme".parse().unwrap(), "second".parse().unwrap()],
        ..file.config()
    })
    .unwrap();
    verify(&tokens, &signer.token("k", &good_claims())).await.unwrap();
    let words = refusal(&tokens, &signer.token("k", &claims_with("tenant", json!("third")))).await;
    assert!(
        words.contains("may not speak for") && !words.contains("third"),
        "{words}"
    );
}

#[test]
fn settings_that_cannot_work_are_refused_at_start_and_named() {
    let signer = ed25519();
    let file = KeyFile::with(&[signer.jwk("k")]);
    let with = |change: &dyn Fn(&mut IdentityConfig)| {
        let mut config = file.config();
        change(&mut config);
        let error = IdentityTokens::open(config)
            .err()
            .expect("these settings must be refused");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        error.param().unwrap().to_owned()
    };
    assert_eq!(with(&|config| config.issuer.clear()), "auth.issuer");
    assert_eq!(with(&|config| config.audience.clear()), "auth.audience");
    assert_eq!(with(&|config| config.tenant_claim.clear()), "auth.tenant_claim");
    assert_eq!(with(&|config| config.leeway_seconds = 301), "auth.leeway_seconds");
    for jwks in ["", "/no/such/file", "http://", "ftp://example"] {
        assert_eq!(with(&|config| jwks.clone_into(&mut config.jwks)), "auth.jwks");
    }
    for content in [
        "",
        "{}",
        "[]",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
    ] {
        file.write(content);
        assert_eq!(with(&|_| ()), "auth.jwks");
    }
    let set = json!({ "keys": [signer.jwk("k")] }).to_string();
    file.write(&format!("{set}{}", " ".repeat(1024 * 1024 - set.len())));
    IdentityTokens::open(file.config()).unwrap();
    file.write(&format!("{set}{}", " ".repeat(1024 * 1024 + 1 - set.len())));
    assert_eq!(with(&|_| ()), "auth.jwks");
}

#[test]
fn settings_have_defaults_and_unknown_names_are_rejected() {
    let read = |json: Value| serde_json::from_value::<IdentityConfig>(json);
    let settings = read(json!({"jwks": "k.json", "issuer": ISSUER, "audience": AUDIENCE})).unwrap();
    assert_eq!(settings, config("k.json"));
    assert_eq!(read(serde_json::to_value(&settings).unwrap()).unwrap(), settings);
    assert!(read(json!({"isuer": ISSUER})).is_err());
    assert!(read(json!({"tenants": ["../x"]})).is_err());
}
