//! Every operation of the HTTP surface with every role and scope.

use reqwest::{
    Method, RequestBuilder,
    multipart::{Form, Part},
};
use riad_end_to_end::{Caller, EMBEDDER, MODEL, Tenant, TestHost, files};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What an operation asks of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// No key.
    Nothing,
    /// Any key of a tenant.
    Tenant,
    Read(&'static str),
    Write(&'static str),
    Operator,
}
use Needs::{Nothing, Operator, Read, Write};

/// All operations. A request is one that reaches the decision: well-formed, and about things that are not there, so that it does not
/// change anything for the next one.
const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/healthz", Nothing),
    ("GET", "/readyz", Nothing),
    ("GET", "/metrics", Operator),
    ("GET", "/v1/models", Needs::Tenant),
    ("GET", "/v1/models/{model}", Needs::Tenant),
    ("GET", "/v1/models/{owner}/{model}", Needs::Tenant),
    ("POST", "/v1/chat/completions", Write("chat")),
    ("POST", "/v1/completions", Write("chat")),
    ("POST", "/v1/tokenize", Read("chat")),
    ("POST", "/v1/detokenize", Read("chat")),
    ("POST", "/v1/messages", Write("chat")),
    ("POST", "/v1/messages/count_tokens", Write("chat")),
    ("POST", "/v1/responses", Write("chat")),
    ("GET", "/v1/responses/{id}", Read("chat")),
    ("DELETE", "/v1/responses/{id}", Write("chat")),
    ("GET", "/v1/responses/{id}/input_items", Read("chat")),
    ("POST", "/v1/embeddings", Write("chat")),
    ("POST", "/v1/files", Write("documents")),
    ("GET", "/v1/files", Read("documents")),
    ("GET", "/v1/files/{id}", Read("documents")),
    ("GET", "/v1/files/{id}/content", Read("documents")),
    ("DELETE", "/v1/files/{id}", Write("documents")),
    ("POST", "/v1/uploads", Write("documents")),
    ("POST", "/v1/uploads/{id}/parts", Write("documents")),
    ("POST", "/v1/uploads/{id}/complete", Write("documents")),
    ("POST", "/v1/uploads/{id}/cancel", Write("documents")),
    ("POST", "/v1/vector_stores", Write("documents")),
    ("GET", "/v1/vector_stores", Read("documents")),
    ("GET", "/v1/vector_stores/{id}", Read("documents")),
    ("POST", "/v1/vector_stores/{id}", Write("documents")),
    ("DELETE", "/v1/vector_stores/{id}", Write("documents")),
    ("POST", "/v1/vector_stores/{id}/search", Read("documents")),
    ("POST", "/v1/vector_stores/{id}/files", Write("documents")),
    ("GET", "/v1/vector_stores/{id}/files", Read("documents")),
    ("GET", "/v1/vector_stores/{id}/files/{file_id}", Read("documents")),
    ("POST", "/v1/vector_stores/{id}/files/{file_id}", Write("documents")),
    ("DELETE", "/v1/vector_stores/{id}/files/{file_id}", Write("documents")),
    (
        "GET",
        "/v1/vector_stores/{id}/files/{file_id}/content",
        Read("documents"),
    ),
    ("POST", "/v1/vector_stores/{id}/file_batches", Write("documents")),
    (
        "GET",
        "/v1/vector_stores/{id}/file_batches/{batch_id}",
        Read("documents"),
    ),
    (
        "POST",
        "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel",
        Write("documents"),
    ),
    (
        "GET",
        "/v1/vector_stores/{id}/file_batches/{batch_id}/files",
        Read("documents"),
    ),
    ("POST", "/v1/documents", Write("documents")),
    ("GET", "/v1/documents", Read("documents")),
    ("GET", "/v1/documents/{id}", Read("documents")),
    ("DELETE", "/v1/documents/{id}", Write("documents")),
    ("GET", "/v1/documents/jobs/{id}", Read("documents")),
    ("GET", "/v1/documents/jobs/{id}/events", Read("documents")),
    ("POST", "/v1/documents/jobs/{id}/cancel", Write("documents")),
    // It spends the embedding of its query, and changes nothing.
    ("POST", "/v1/search", Read("documents")),
    ("GET", "/v1/tools", Read("chat")),
    ("POST", "/v1/tools/{name}", Write("chat")),
    ("PUT", "/v1/plugins/{name}", Write("plugins")),
    ("GET", "/v1/plugins", Read("plugins")),
    ("GET", "/v1/plugins/{name}/stats", Read("plugins")),
    ("DELETE", "/v1/plugins/{name}/versions/{version}", Write("plugins")),
    ("GET", "/v1/pipeline", Read("plugins")),
    ("PUT", "/v1/pipeline", Write("plugins")),
    ("GET", "/v1/settings", Read("plugins")),
    ("PUT", "/v1/settings", Write("plugins")),
    ("GET", "/v1/logs", Read("plugins")),
    ("PUT", "/v1/adapters/{alias}", Write("adapters")),
    ("GET", "/v1/adapters", Read("adapters")),
    ("DELETE", "/v1/adapters/{alias}", Write("adapters")),
    ("PATCH", "/v1/adapters/{alias}", Write("adapters")),
    ("GET", "/v1/adapters/{alias}/generations", Read("adapters")),
    ("POST", "/v1/adapters/{alias}/rollback", Write("adapters")),
    ("GET", "/v1/usage", Read("usage")),
    ("GET", "/v1/costs", Read("usage")),
    ("GET", "/v1/receipts", Read("usage")),
    ("GET", "/v1/receipts/keys", Nothing),
    ("POST", "/v1/keys", Write("usage")),
    ("GET", "/v1/keys", Write("usage")),
    ("PATCH", "/v1/keys/{key_id}", Write("usage")),
    ("DELETE", "/v1/keys/{key_id}", Write("usage")),
    ("POST", "/v1/keys/{key_id}/rotate", Write("usage")),
    ("GET", "/v1/audit", Write("usage")),
    ("POST", "/operator/v1/tenants", Operator),
    ("GET", "/operator/v1/tenants", Operator),
    ("GET", "/operator/v1/tenants/{id}", Operator),
    ("PATCH", "/operator/v1/tenants/{id}", Operator),
    ("DELETE", "/operator/v1/tenants/{id}", Operator),
    ("POST", "/operator/v1/tenants/{id}/keys", Operator),
    ("GET", "/operator/v1/tenants/{id}/keys", Operator),
    ("PATCH", "/operator/v1/tenants/{id}/keys/{key_id}", Operator),
    ("DELETE", "/operator/v1/tenants/{id}/keys/{key_id}", Operator),
    ("POST", "/operator/v1/tenants/{id}/keys/{key_id}/rotate", Operator),
    ("POST", "/operator/v1/tenants/{id}/move", Operator),
    ("PUT", "/operator/v1/tenants/{id}/move", Operator),
    ("DELETE", "/operator/v1/tenants/{id}/move", Operator),
    ("POST", "/operator/v1/tenants/{id}/move/prefetch", Operator),
    ("POST", "/operator/v1/tenants/{id}/move/finish", Operator),
    ("POST", "/operator/v1/tenants/{id}/snapshot", Operator),
    ("GET", "/operator/v1/cell", Operator),
    ("GET", "/operator/v1/plans", Operator),
    ("PUT", "/operator/v1/plans/{name}", Operator),
    ("GET", "/operator/v1/usage", Operator),
    ("GET", "/operator/v1/costs", Operator),
    ("GET", "/operator/v1/rollups", Operator),
    ("GET", "/operator/v1/ledger/entries", Operator),
    ("GET", "/operator/v1/ledger/verify", Operator),
    ("GET", "/operator/v1/audit", Operator),
    ("GET", "/operator/v1/scale", Operator),
];

const ROLES: [&str; 3] = ["admin", "user", "read-only"];
const SCOPES: [&str; 5] = ["chat", "documents", "plugins", "adapters", "usage"];

fn request(caller: &Caller, method: &str, path: &str) -> RequestBuilder {
    let absent = format!("sha256:{}", "0".repeat(64));
    let filled = path
        .replace("{version}", &absent)
        .replace('{', "absent-")
        .replace('}', "");
    let query = match path.rsplit('/').next() {
        Some("usage" | "costs" | "rollups") => "?start_time=0&end_time=3600",
        _ => "",
    };
    let request = caller.request(method.parse::<Method>().unwrap(), &format!("{filled}{query}"));
    match (method, path) {
        ("POST", "/v1/completions" | "/v1/tokenize") => {
            request.json(&json!({"model": MODEL, "prompt": "x", "max_tokens": 1}))
        }
        ("POST", "/v1/detokenize") => request.json(&json!({"model": MODEL, "tokens": [1]})),
        // Anthropic's body has no member that OpenAI's does not have.
        ("POST", "/v1/chat/completions" | "/v1/messages" | "/v1/messages/count_tokens") => {
            request.json(&super::hello().body(false))
        }
        ("POST", "/v1/responses") => {
            request.json(&json!({"model": MODEL, "input": "Hello", "max_output_tokens": 1, "store": false}))
        }
        ("POST", "/v1/embeddings") => request.json(&json!({"model": EMBEDDER, "input": "x"})),
        ("POST", "/v1/files") => {
            let file = Part::stream("some words").file_name("words.txt");
            request.multipart(Form::new().text("purpose", "user_data").part("file", file))
        }
        ("POST", "/v1/uploads") => {
            request.json(&json!({"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "text/plain"}))
        }
        ("POST", "/v1/uploads/{id}/parts") => request.multipart(Form::new().part("data", Part::stream("words"))),
        ("POST", "/v1/uploads/{id}/complete") => request.json(&json!({"part_ids": []})),
        ("POST", "/v1/documents") => request.json(&json!({"title": "T", "text": "A text."})),
        ("POST", "/v1/vector_stores/{id}/search") => request.json(&json!({"query": "text"})),
        ("POST", "/v1/vector_stores/{id}/files") => request.json(&json!({"file_id": "file-absent"})),
        ("POST", "/v1/vector_stores/{id}/files/{file_id}") => request.json(&json!({"attributes": {}})),
        ("POST", "/v1/vector_stores/{id}/file_batches") => request.json(&json!({"file_ids": ["file-absent"]})),
        ("POST", "/v1/tools/{name}") => request.json(&json!({"arguments": {}})),
        ("POST", "/v1/search") => request.json(&json!({"query": "text"})),
        ("PUT", "/v1/plugins/{name}") => request.header("content-type", "application/wasm").body("no component"),
        ("PUT", "/v1/pipeline") => request.json(&json!({"stages": {}})),
        ("PUT", "/v1/adapters/{alias}") => {
            let adapter = files::Adapter::acme();
            let form = Form::new()
                .part("adapter_config.json", Part::stream("no json"))
                .part("adapter_model.safetensors", Part::stream(adapter.weights));
            request.multipart(form)
        }
        ("PATCH", "/v1/adapters/{alias}") => request.json(&json!({"pinned": false})),
        // Within what a key with this one scope may give.
        ("POST", "/v1/keys") => request.json(&json!({"name": "x", "role": "read-only", "scopes": ["usage"]})),
        ("POST" | "PUT" | "PATCH", _) => request.json(&json!({})),
        _ => request,
    }
}

/// The expected permissions, written independently of `riad_core::grants`.
fn allowed(needs: Needs, role: &str, scopes: &[&str]) -> bool {
    match needs {
        Nothing | Needs::Tenant => true,
        Read(scope) => scopes.contains(&scope),
        Write(scope) => {
            scopes.contains(&scope)
                && match role {
                    "admin" => true,
                    "user" => ["chat", "documents"].contains(&scope),
                    _ => false,
                }
        }
        Operator => false,
    }
}

/// Its errors have another type and no code.
fn is_anthropics(path: &str) -> bool {
    path.starts_with("/v1/messages")
}

async fn key(host: &TestHost, acme: &Tenant, role: &str, scopes: &[&str]) -> Caller {
    let body = json!({"name": "matrix", "role": role, "scopes": scopes});
    let made = host.operator.post("/operator/v1/tenants/acme/keys", &body).await.ok();
    assert_eq!(
        (&made["role"], made["scopes"].as_array().unwrap().len()),
        (&role.into(), scopes.len())
    );
    acme.with_key(made["key"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_admits_only_the_roles_and_scopes_it_lists() {
    let host = TestHost::builder().max_sequences(2).start().await;
    let acme = host.tenant("acme").await;
    let document: Value = host.caller("").get("/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    let served: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let listed: BTreeSet<(String, String)> = TABLE
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(served, listed, "decide in TABLE who may use a new operation");

    let mut sets: Vec<Vec<&str>> = SCOPES.iter().map(|scope| vec![*scope]).collect();
    sets.push(SCOPES.to_vec());
    let mut wrong = Vec::new();
    for role in ROLES {
        for scopes in &sets {
            let caller = key(&host, &acme, role, scopes).await;
            for (method, path, needs) in TABLE {
                let answer = caller.send(request(&caller, method, path)).await;
                let status = answer.status.as_u16();
                let right = match needs {
                    Operator => status == 401 && answer.code() == "invalid_api_key",
                    Nothing | Needs::Tenant | Read(_) | Write(_) if allowed(*needs, role, scopes) => {
                        ![401, 403, 405].contains(&status) && !answer.status.is_server_error()
                    }
                    Nothing | Needs::Tenant | Read(_) | Write(_) => {
                        // It says what is missing.
                        let missing = if matches!(needs, Read(scope) | Write(scope) if scopes.contains(scope)) {
                            format!("the role {role}")
                        } else {
                            "the scope".to_owned()
                        };
                        status == 403
                            && (is_anthropics(path) || answer.code() == "insufficient_permissions")
                            && answer.message().contains(&missing)
                    }
                };
                if !right {
                    wrong.push(format!(
                        "{role} with {scopes:?}: {method} {path}: {status} {}",
                        answer.body
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // Nobody, and the operator, who is no tenant.
    let nobody = host.caller("");
    for (method, path, needs) in TABLE {
        let answer = nobody.send(request(&nobody, method, path)).await;
        assert_eq!(
            answer.status == 401,
            *needs != Nothing,
            "nobody: {method} {path}: {}",
            answer.body
        );
        let operator = &host.operator;
        let answer = operator.send(request(operator, method, path)).await;
        let open = matches!(needs, Nothing | Operator);
        assert_eq!(answer.status != 401, open, "operator: {method} {path}: {}", answer.body);
    }
}
