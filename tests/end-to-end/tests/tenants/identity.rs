//! Who may do what: roles and scopes at every operation, a tenant's own keys, tokens of an identity provider, tenants of other
//! cells, and those that are gone. Not here: how a token's signature is verified (`riad-outbound`), what another tenant's room shows (`isolation`).

mod cells;
mod changes;
mod issuer;
mod keys;
mod operations;
mod successors;
mod tokens;

use riad_end_to_end::{Answer, Caller, Chat};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A chat that costs next to nothing.
pub fn hello() -> Chat {
    Chat::new("Hello").with("max_tokens", 2)
}

pub async fn assert_opens_nothing(caller: &Caller) -> Answer {
    caller.try_chat(&hello()).await.refused(401, "invalid_api_key");
    let answer = caller.get("/v1/models").await.refused(401, "invalid_api_key");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer
}
