//! The bodies of requests. What has been read can be written and read again, and is then the same: a client that sends these
//! types is understood.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_api_types::{
    chat::ChatCompletionRequest,
    documents::NewDocument,
    embeddings::EmbeddingRequest,
    keys::{KeyPatch, NewKey, Rotation},
    pipeline::Pipeline,
    plans::Prices,
    search::SearchRequest,
    tenants::{NewTenant, TenantPatch},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::convert::identity;

fuzz_target!(|body: &[u8]| {
    check_as::<ChatCompletionRequest>(body, without_nulls);
    check::<NewDocument>(body);
    check::<EmbeddingRequest>(body);
    check::<NewKey>(body);
    check::<KeyPatch>(body);
    check::<Rotation>(body);
    check::<Pipeline>(body);
    check::<Prices>(body);
    check::<SearchRequest>(body);
    check::<NewTenant>(body);
    check::<TenantPatch>(body);
});

fn check<T: Serialize + DeserializeOwned>(body: &[u8]) {
    check_as::<T>(body, identity);
}

fn check_as<T: Serialize + DeserializeOwned>(body: &[u8], normalize: fn(Value) -> Value) {
    let Ok(read) = serde_json::from_slice::<T>(body) else {
        return;
    };
    let written = serde_json::to_value(&read).expect("a body can be written");
    let again: T = serde_json::from_value(written.clone()).expect("what was written can be read");
    let again = serde_json::to_value(&again).expect("a body can be written");
    assert_eq!(normalize(written), normalize(again));
}

/// A temperature of 1e39 is infinite in 32 bits and so written as null, which is read as a member that is absent.
fn without_nulls(mut body: Value) -> Value {
    if let Value::Object(members) = &mut body {
        members.retain(|_, member| !member.is_null());
    }
    body
}
