//! Tokens of an identity provider. Input: a JWK set, a token and the claims of another one, a line each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_outbound::{IdentityConfig, fuzzing};

const NOW_SECONDS: u64 = 1_800_000_000;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (jwks, token, claims) = (line(), line(), line());
    if let Ok(token) = std::str::from_utf8(token)
        && fuzzing::read_token(jwks, token).is_ok()
    {
        // Else authentication would take it for a key.
        assert!(fuzzing::is_token(token));
    }
    let config = IdentityConfig {
        issuer: "https://id.example".into(),
        audience: "riad".into(),
        ..IdentityConfig::default()
    };
    if let Ok(read) = fuzzing::read_claims(&config, claims, NOW_SECONDS) {
        assert!(read.issued_at <= NOW_SECONDS + config.leeway_seconds);
        let claims: serde_json::Value = serde_json::from_slice(claims).expect("they have been read");
        assert_eq!(claims["iss"], "https://id.example");
        assert!(
            claims["exp"]
                .as_f64()
                .is_some_and(|expires| expires + config.leeway_seconds as f64 >= NOW_SECONDS as f64)
        );
    }
});
