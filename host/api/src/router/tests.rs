//! The table of routes against what each operation must have. A new route needs a line in [`COSTLY`] or [`CHEAP`].

use super::*;
use Layer::{BodyLimit, CountBytes, Idempotency, Metrics, Operator, RateHeaders, Tenant, UploadPermit};
use serde_json::Value;
use std::collections::BTreeMap;

/// Operations that spend tokens, run plugins, or hold an upload in memory, with all of their layers but those for the bytes of bodies.
const COSTLY: &[(&str, &[Layer])] = &[
    (
        "POST /v1/chat/completions",
        &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
    ),
    ("POST /v1/completions", &[Tenant, RateHeaders, Idempotency(Scope::Chat)]),
    ("POST /v1/messages", &[Tenant, RateHeaders, Idempotency(Scope::Chat)]),
    ("POST /v1/messages/count_tokens", &[Tenant, RateHeaders]),
    ("POST /v1/responses", &[Tenant, RateHeaders, Idempotency(Scope::Chat)]),
    ("POST /v1/embeddings", &[Tenant, RateHeaders, Idempotency(Scope::Chat)]),
    (
        "POST /v1/documents",
        &[
            Tenant,
            UploadPermit(Upload::Document),
            RateHeaders,
            Idempotency(Scope::Documents),
        ],
    ),
    ("POST /v1/files", &[Tenant, UploadPermit(Upload::Document)]),
    ("POST /v1/uploads/{id}/parts", &[Tenant, UploadPermit(Upload::Document)]),
    ("POST /v1/search", &[Tenant, RateHeaders]),
    ("POST /v1/vector_stores/{id}/search", &[Tenant, RateHeaders]),
    ("POST /v1/vector_stores/{id}/files", &[Tenant]),
    ("GET /v1/tools", &[Tenant, RateHeaders]),
    (
        "POST /v1/tools/{name}",
        &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
    ),
    ("PUT /v1/plugins/{name}", &[Tenant, UploadPermit(Upload::Artifact)]),
    ("PUT /v1/adapters/{alias}", &[Tenant, UploadPermit(Upload::Artifact)]),
];

/// Operations that cost nothing worth a layer, by who may ask.
const CHEAP: &[(Option<Layer>, &[&str])] = &[
    (None, &["GET /healthz", "GET /readyz", "GET /v1/receipts/keys"]),
    (Some(Metrics), &["GET /metrics"]),
    (
        Some(Tenant),
        &[
            "GET /v1/models",
            "GET /v1/models/{model}",
            "GET /v1/models/{owner}/{model}",
            "POST /v1/tokenize",
            "POST /v1/detokenize",
            "GET /v1/responses/{id}",
            "DELETE /v1/responses/{id}",
            "GET /v1/responses/{id}/input_items",
            "GET /v1/files",
            "GET /v1/files/{id}",
            "DELETE /v1/files/{id}",
            "GET /v1/files/{id}/content",
            "POST /v1/uploads",
            "POST /v1/uploads/{id}/complete",
            "POST /v1/uploads/{id}/cancel",
            "GET /v1/vector_stores/{id}/files",
            "POST /v1/vector_stores",
            "GET /v1/vector_stores",
            "GET /v1/vector_stores/{id}",
            "POST /v1/vector_stores/{id}",
            "DELETE /v1/vector_stores/{id}",
            "GET /v1/vector_stores/{id}/files/{file_id}",
            "POST /v1/vector_stores/{id}/files/{file_id}",
            "DELETE /v1/vector_stores/{id}/files/{file_id}",
            "GET /v1/vector_stores/{id}/files/{file_id}/content",
            "POST /v1/vector_stores/{id}/file_batches",
            "GET /v1/vector_stores/{id}/file_batches/{batch_id}",
            "POST /v1/vector_stores/{id}/file_batches/{batch_id}/cancel",
            "GET /v1/vector_stores/{id}/file_batches/{batch_id}/files",
            "GET /v1/documents",
            "GET /v1/documents/{id}",
            "DELETE /v1/documents/{id}",
            "GET /v1/documents/jobs/{id}",
            "GET /v1/documents/jobs/{id}/events",
            "POST /v1/documents/jobs/{id}/cancel",
            "GET /v1/plugins",
            "GET /v1/plugins/{name}/stats",
            "DELETE /v1/plugins/{name}/versions/{version}",
            "GET /v1/pipeline",
            "PUT /v1/pipeline",
            "GET /v1/settings",
            "PUT /v1/settings",
            "GET /v1/adapters",
            "DELETE /v1/adapters/{alias}",
            "PATCH /v1/adapters/{alias}",
            "GET /v1/adapters/{alias}/generations",
            "POST /v1/adapters/{alias}/rollback",
            "GET /v1/logs",
            "GET /v1/usage",
            "GET /v1/costs",
            "GET /v1/receipts",
            "GET /v1/keys",
            "POST /v1/keys",
            "PATCH /v1/keys/{key_id}",
            "DELETE /v1/keys/{key_id}",
            "POST /v1/keys/{key_id}/rotate",
            "GET /v1/audit",
        ],
    ),
    (
        Some(Operator),
        &[
            "GET /operator/v1/tenants",
            "POST /operator/v1/tenants",
            "GET /operator/v1/tenants/{id}",
            "PATCH /operator/v1/tenants/{id}",
            "DELETE /operator/v1/tenants/{id}",
            "GET /operator/v1/tenants/{id}/keys",
            "POST /operator/v1/tenants/{id}/keys",
            "PATCH /operator/v1/tenants/{id}/keys/{key_id}",
            "DELETE /operator/v1/tenants/{id}/keys/{key_id}",
            "POST /operator/v1/tenants/{id}/keys/{key_id}/rotate",
            "POST /operator/v1/tenants/{id}/move",
            "PUT /operator/v1/tenants/{id}/move",
            "DELETE /operator/v1/tenants/{id}/move",
            "POST /operator/v1/tenants/{id}/move/prefetch",
            "POST /operator/v1/tenants/{id}/move/finish",
            "POST /operator/v1/tenants/{id}/snapshot",
            "GET /operator/v1/cell",
            "GET /operator/v1/plans",
            "PUT /operator/v1/plans/{name}",
            "GET /operator/v1/usage",
            "GET /operator/v1/costs",
            "GET /operator/v1/rollups",
            "GET /operator/v1/ledger/entries",
            "GET /operator/v1/ledger/verify",
            "GET /operator/v1/audit",
            "GET /operator/v1/scale",
        ],
    ),
];

/// Each operation with its part of the document and its layers in the order in which a request passes them.
fn operations() -> BTreeMap<String, (Value, Vec<Layer>)> {
    let mut operations = BTreeMap::new();
    for route in routes(&Limits::default()) {
        let layers: Vec<_> = route.layers.into_iter().collect();
        for (path, item) in serde_json::to_value(&route.handlers.1).unwrap().as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = format!("{} {path}", method.to_uppercase());
                operations.insert(name, (operation.clone(), layers.clone()));
            }
        }
    }
    operations
}

#[test]
fn every_operation_has_the_layers_it_must_have() {
    let mut expected: BTreeMap<String, Vec<Layer>> = COSTLY
        .iter()
        .map(|(operation, layers)| ((*operation).to_owned(), layers.to_vec()))
        .collect();
    for (access, operations) in CHEAP {
        for operation in *operations {
            let layers: Vec<_> = access.iter().copied().collect();
            assert!(
                expected.insert((*operation).to_owned(), layers).is_none(),
                "{operation}"
            );
        }
    }
    let found: BTreeMap<_, _> = operations()
        .into_iter()
        .map(|(name, (_, layers))| {
            let (limits, layers): (Vec<_>, Vec<_>) =
                layers.into_iter().partition(|layer| matches!(layer, BodyLimit(_)));
            assert_eq!(limits.len(), 1, "{name} has one limit on bodies");
            let (counted, layers): (Vec<_>, Vec<_>) =
                layers.into_iter().partition(|layer| matches!(layer, CountBytes(_)));
            let is_upload = layers.iter().any(|layer| matches!(layer, UploadPermit(_)));
            let expected = layers.contains(&Tenant) && !is_upload;
            assert_eq!(counted.len(), usize::from(expected), "{name} counts a tenant's bytes");
            (name, layers)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_document_names_the_key_that_a_layer_asks_for() {
    for (name, (operation, layers)) in operations() {
        let keys: Vec<_> = operation["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|requirement| requirement.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let expected: &[&str] = match layers.first() {
            Some(Tenant) => &["tenant_key"],
            Some(Operator) => &["operator_key"],
            Some(Metrics) => &["operator_key", "metrics_key"],
            _ => &[],
        };
        assert_eq!(keys, expected, "{name}");
    }
}

#[test]
fn bodies_that_are_not_json_need_an_upload_permit() {
    let mut files = 0;
    for (name, (operation, layers)) in operations() {
        let content = operation["requestBody"]["content"].as_object();
        let is_file = content.is_some_and(|content| content.keys().any(|kind| kind != "application/json"));
        let has_permit = layers.iter().any(|layer| matches!(layer, UploadPermit(_)));
        assert_eq!(is_file, has_permit, "{name}");
        files += usize::from(is_file);
    }
    assert_eq!(files, 5, "documents, files, parts of files, adapters and plugins");
}

#[test]
fn nothing_of_a_body_is_read_before_admission() {
    let order = [
        Tenant,
        Operator,
        Metrics,
        BodyLimit(0),
        CountBytes(0),
        UploadPermit(Upload::Document),
        RateHeaders,
        Idempotency(Scope::Chat),
    ];
    assert!(order.is_sorted(), "only the last layer reads the body");
}
