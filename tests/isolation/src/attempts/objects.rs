//! B names A's things by their ids, names and digests: for B they do not exist, and what B makes under the same names is
//! B's own.

use super::{Target, listing::served};
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
    plant::{self, AdapterFiles},
    room::{chat, chat_body},
};
use reqwest::Method;
use serde_json::{Value, json};

/// A component of no use that any server takes.
const COMPONENT: &[u8] = include_bytes!("../../../guests/echo.wasm");

pub fn attempts(target: &Target<'_>, adapter: &AdapterFiles) -> Vec<Attempt> {
    let mut attempts = documents(target);
    attempts.extend(document_jobs(target));
    attempts.extend(files(target));
    attempts.extend(uploads(target));
    attempts.extend(vector_stores(target));
    attempts.extend(responses(target));
    attempts.extend(models(target));
    attempts.extend(adapters(target, adapter));
    attempts.extend(plugins(target));
    attempts.push(served(
        "PUT /v1/settings",
        "its own settings, in A's name",
        Request::put(
            "/v1/settings",
            &json!({"tenant": target.a.tenant, "room": target.a.tenant}),
        ),
    ));
    attempts
}

fn documents(target: &Target<'_>) -> Vec<Attempt> {
    let (id, own) = (&target.a.document, &target.own.document);
    let path = format!("/v1/documents/{id}");
    let get = |what: &str, path: String| absent("GET /v1/documents/{id}", what, Request::get(path));
    vec![
        get("A's document", path.clone()),
        get(
            "A's document, in capitals",
            format!("/v1/documents/{}", id.to_uppercase()),
        ),
        get("A's document, with a space", format!("/v1/documents/{id}%20")),
        get("A's document, with a zero byte", format!("/v1/documents/{id}%00")),
        get("a pattern", "/v1/documents/%25".into()),
        get("SQL", format!("/v1/documents/'%20OR%20id='{id}")),
        absent("DELETE /v1/documents/{id}", "A's document", Request::delete(path)),
        served(
            "GET /v1/documents",
            "the page after A's document",
            Request::get(format!("/v1/documents?limit=100&after={id}")),
        ),
        served(
            "POST /v1/documents",
            "a document of its own that names A",
            Request::post(
                "/v1/documents",
                &json!({"title": "Copy", "text": format!("See the vault of {}.", target.a.tenant),
                    "metadata": {"isolation": target.run, "tenant": target.a.tenant}}),
            ),
        ),
        refused(
            "POST /v1/documents",
            "a document for A's room",
            Request::post(
                "/v1/documents",
                &json!({"title": "Planted by B", "text": "By B.", "tenant": target.a.tenant, "id": id}),
            ),
        ),
        served(
            "GET /v1/documents/{id}",
            "its own document is still there",
            Request::get(format!("/v1/documents/{own}")),
        ),
    ]
}

fn document_jobs(target: &Target<'_>) -> Vec<Attempt> {
    let id = &target.a.document_job;
    let path = format!("/v1/documents/jobs/{id}");
    let get = |what: &str, path: String| absent("GET /v1/documents/jobs/{id}", what, Request::get(path));
    vec![
        get("A's job", path.clone()),
        get(
            "A's job, in capitals",
            format!("/v1/documents/jobs/{}", id.to_uppercase()),
        ),
        get("A's job, with a zero byte", format!("{path}%00")),
        get("A's document", format!("/v1/documents/jobs/{}", target.a.document)),
        get("SQL", format!("/v1/documents/jobs/'%20OR%20id='{id}")),
        absent(
            "GET /v1/documents/jobs/{id}/events",
            "what becomes of A's job",
            Request::get(format!("{path}/events")),
        ),
        absent(
            "POST /v1/documents/jobs/{id}/cancel",
            "A's job",
            Request::post(format!("{path}/cancel"), &json!({})),
        ),
    ]
}

fn files(target: &Target<'_>) -> Vec<Attempt> {
    let id = &target.a.file;
    let path = format!("/v1/files/{id}");
    let get = |what: &str, path: String| absent("GET /v1/files/{id}", what, Request::get(path));
    let content = |what: &str, path: String| absent("GET /v1/files/{id}/content", what, Request::get(path));
    let said = json!([{"type": "file", "file": {"file_id": id}}, {"type": "text", "text": "What is the word?"}]);
    let chat = json!({"model": target.own.model, "max_tokens": 4, "messages": [{"role": "user", "content": said}]});
    let said = json!([{"type": "input_file", "file_id": id}, {"type": "input_text", "text": "What is the word?"}]);
    let response = json!({"model": target.own.model, "store": false, "max_output_tokens": 4,
        "input": [{"role": "user", "content": said}]});
    vec![
        absent(
            "POST /v1/chat/completions",
            "the text of A's file",
            Request::post("/v1/chat/completions", &chat),
        ),
        absent(
            "POST /v1/responses",
            "the text of A's file",
            Request::post("/v1/responses", &response),
        ),
        get("A's file", path.clone()),
        get("A's file, in capitals", format!("/v1/files/{}", id.to_uppercase())),
        get("A's file, with a zero byte", format!("{path}%00")),
        get("a pattern", "/v1/files/%25".into()),
        get("SQL", format!("/v1/files/'%20OR%20id='{id}")),
        content("the bytes of A's file", format!("{path}/content")),
        content("the bytes of A's room", "/v1/files/..%2Froom.db/content".into()),
        absent("DELETE /v1/files/{id}", "A's file", Request::delete(path)),
        served(
            "GET /v1/files",
            "the page after A's file",
            Request::get(format!("/v1/files?after={id}")),
        ),
        served("GET /v1/files", "its own files", Request::get("/v1/files?limit=10000")),
        served(
            "POST /v1/files",
            "a file of its own",
            plant::keep_file(target.run, "a file of B's"),
        ),
    ]
}

fn uploads(target: &Target<'_>) -> Vec<Attempt> {
    let (a, own) = (target.a, &target.own.upload);
    let join = |what: &str, upload: &str| {
        absent(
            "POST /v1/uploads/{id}/complete",
            what,
            plant::complete_upload(upload, &a.part),
        )
    };
    let cancel = |upload: &str| Request::post(format!("/v1/uploads/{upload}/cancel"), &json!({}));
    vec![
        absent(
            "POST /v1/uploads/{id}/parts",
            "a part for A's upload",
            plant::send_part(&a.upload, "by B"),
        ),
        join("A's upload", &a.upload),
        join("A's upload, with a zero byte", &format!("{}%00", a.upload)),
        join("SQL", &format!("'%20OR%20id='{}", a.upload)),
        join("its own upload, of A's part", own),
        absent("POST /v1/uploads/{id}/cancel", "A's upload", cancel(&a.upload)),
        refused(
            "POST /v1/uploads",
            "an upload for A's room",
            Request::post(
                "/v1/uploads",
                &json!({"filename": "b.txt", "purpose": "user_data", "bytes": 9, "mime_type": "text/plain", "tenant": a.tenant}),
            ),
        ),
        served("POST /v1/uploads/{id}/cancel", "its own upload", cancel(own)),
    ]
}

fn vector_stores(target: &Target<'_>) -> Vec<Attempt> {
    let (store, file, batch) = (&target.a.vector_store, &target.a.file, &target.a.file_batch);
    let path = format!("/v1/vector_stores/{store}");
    let of_file = format!("{path}/files/{file}");
    let of_batch = format!("{path}/file_batches/{batch}");
    let query =
        json!({"query": "the word of A's file", "filters": {"type": "ne", "key": "isolation", "value": "none"}});
    let get = |operation, what, path: &str| absent(operation, what, Request::get(path));
    let post = |operation, what, path: &str, body: &Value| absent(operation, what, Request::post(path, body));
    let own = json!({"name": format!("{} of B", target.run)});
    let stolen = json!({"name": target.run, "file_ids": [file]});
    let searched = json!({"model": target.own.model, "input": "What is the word?", "store": false, "max_output_tokens": 4,
        "tools": [{"type": "file_search", "vector_store_ids": [store]}]});
    vec![
        get("GET /v1/vector_stores/{id}", "A's vector store", &path),
        get(
            "GET /v1/vector_stores/{id}",
            "A's vector store, in capitals",
            &format!("/v1/vector_stores/{}", store.to_uppercase()),
        ),
        get(
            "GET /v1/vector_stores/{id}",
            "SQL",
            &format!("/v1/vector_stores/'%20OR%20id='{store}"),
        ),
        post("POST /v1/vector_stores/{id}", "A's vector store", &path, &own),
        absent(
            "DELETE /v1/vector_stores/{id}",
            "A's vector store",
            Request::delete(path.clone()),
        ),
        post(
            "POST /v1/vector_stores/{id}/search",
            "what A's vector store has",
            &format!("{path}/search"),
            &query,
        ),
        get(
            "GET /v1/vector_stores/{id}/files",
            "A's files",
            &format!("{path}/files"),
        ),
        get("GET /v1/vector_stores/{id}/files/{file_id}", "A's file", &of_file),
        get(
            "GET /v1/vector_stores/{id}/files/{file_id}/content",
            "the text of A's file",
            &format!("{of_file}/content"),
        ),
        post(
            "POST /v1/vector_stores/{id}/files/{file_id}",
            "other attributes of A's file",
            &of_file,
            &json!({"attributes": {"isolation": "B"}}),
        ),
        absent(
            "DELETE /v1/vector_stores/{id}/files/{file_id}",
            "A's file in A's vector store",
            Request::delete(of_file.clone()),
        ),
        post(
            "POST /v1/vector_stores/{id}/files",
            "A's file for A's vector store",
            &format!("{path}/files"),
            &json!({"file_id": file}),
        ),
        post(
            "POST /v1/vector_stores/{id}/file_batches",
            "A's file for A's vector store",
            &format!("{path}/file_batches"),
            &json!({"file_ids": [file]}),
        ),
        get(
            "GET /v1/vector_stores/{id}/file_batches/{batch_id}",
            "A's batch",
            &of_batch,
        ),
        get(
            "GET /v1/vector_stores/{id}/file_batches/{batch_id}/files",
            "the files of A's batch",
            &format!("{of_batch}/files"),
        ),
        post(
            "POST /v1/vector_stores/{id}/file_batches/{batch_id}/cancel",
            "A's batch",
            &format!("{of_batch}/cancel"),
            &json!({}),
        ),
        post(
            "POST /v1/vector_stores",
            "a vector store with A's file",
            "/v1/vector_stores",
            &stolen,
        ),
        served(
            "POST /v1/vector_stores",
            "its own",
            Request::post("/v1/vector_stores", &own),
        ),
        served(
            "GET /v1/vector_stores",
            "its own",
            Request::get("/v1/vector_stores?limit=100"),
        ),
        served(
            "GET /v1/vector_stores",
            "those after A's",
            Request::get(format!("/v1/vector_stores?after={store}&order=asc")),
        ),
        absent(
            "POST /v1/responses",
            "an answer from A's vector store",
            Request::post("/v1/responses", &searched),
        ),
    ]
}

fn responses(target: &Target<'_>) -> Vec<Attempt> {
    let id = &target.a.response;
    let path = format!("/v1/responses/{id}");
    let get = |what: &str, path: String| absent("GET /v1/responses/{id}", what, Request::get(path));
    let go_on = |input: &str, stream: bool| {
        let body = json!({"model": target.own.model, "input": input, "previous_response_id": id, "stream": stream});
        refused(
            "POST /v1/responses",
            "go on from A's response",
            Request::post("/v1/responses", &body),
        )
    };
    let repeat = "Repeat all that was said.";
    vec![
        get("A's response", path.clone()),
        get(
            "A's response, in capitals",
            format!("/v1/responses/{}", id.to_uppercase()),
        ),
        get("A's response, with a zero byte", format!("{path}%00")),
        get("a pattern", "/v1/responses/%25".into()),
        get("SQL", format!("/v1/responses/'%20OR%20id='{id}")),
        absent(
            "GET /v1/responses/{id}/input_items",
            "the input of A's response",
            Request::get(format!("{path}/input_items")),
        ),
        absent("DELETE /v1/responses/{id}", "A's response", Request::delete(path)),
        go_on(repeat, false),
        go_on(repeat, true),
        refused(
            "POST /v1/responses",
            "A's response as an item",
            Request::post(
                "/v1/responses",
                &json!({"model": target.own.model, "input": [{"type": "item_reference", "id": id}]}),
            ),
        ),
    ]
}

fn models(target: &Target<'_>) -> Vec<Attempt> {
    let (base, a) = (&target.own.model, target.a);
    let names = [
        a.model.clone(),
        format!("{base}:{}", a.generation),
        format!("{base}:{}/{}", a.tenant, target.alias),
        format!("{base}:../{}/{}", a.tenant, target.alias),
        format!("{}:{}", a.tenant, target.alias),
        target.alias.to_owned(),
    ];
    let mut attempts = Vec::new();
    for name in &names {
        let ask = chat(name, "Hello");
        attempts.push(absent(
            "POST /v1/chat/completions",
            &format!("ask the model {name:?}"),
            ask,
        ));
        let path = format!("/v1/models/{}", name.replace('/', "%2F"));
        attempts.push(absent(
            "GET /v1/models/{model}",
            &format!("the model {name:?}"),
            Request::get(path),
        ));
        attempts.push(absent(
            "GET /v1/models/{owner}/{model}",
            &format!("the model {name:?} behind its owner"),
            Request::get(format!("/v1/models/{}/{}", a.tenant, name.replace('/', "%2F"))),
        ));
        let text = json!({"model": name, "prompt": "Hello", "tokens": [1]});
        for (endpoint, path) in [
            ("POST /v1/completions", "/v1/completions"),
            ("POST /v1/tokenize", "/v1/tokenize"),
            ("POST /v1/detokenize", "/v1/detokenize"),
        ] {
            attempts.push(absent(
                endpoint,
                &format!("the model {name:?}"),
                Request::post(path, &text),
            ));
        }
        let embed = Request::post("/v1/embeddings", &json!({"model": name, "input": "Hello"}));
        attempts.push(absent("POST /v1/embeddings", &format!("embed with {name:?}"), embed));
    }
    let mut streamed = chat_body(&a.model, "Hello");
    super::listing::extend(&mut streamed, &json!({"stream": true}));
    let streamed = Request::post("/v1/chat/completions", &streamed);
    attempts.push(absent("POST /v1/chat/completions", "ask A's model, streamed", streamed));
    attempts
}

fn adapters(target: &Target<'_>, files: &AdapterFiles) -> Vec<Attempt> {
    let path = format!("/v1/adapters/{}", target.alias);
    let rollback = || Request::post(format!("{path}/rollback"), &json!({}));
    let pin = |pinned: bool| Request::new(Method::PATCH, path.clone()).json(&json!({"pinned": pinned}));
    let mut attempts = vec![
        absent(
            "DELETE /v1/adapters/{alias}",
            "A's alias",
            Request::delete(path.clone()),
        ),
        absent("PATCH /v1/adapters/{alias}", "pin A's alias", pin(true)),
        absent("PATCH /v1/adapters/{alias}", "unpin A's alias", pin(false)),
        absent(
            "GET /v1/adapters/{alias}/generations",
            "the generations of A's alias",
            Request::get(format!("{path}/generations")),
        ),
        absent("POST /v1/adapters/{alias}/rollback", "roll back A's alias", rollback()),
    ];
    // Files that were read for A already; a file that cannot be read leaves the endpoint untried, which the report says.
    if let Ok(put) = plant::put_adapter(target.alias, files, target.run) {
        attempts.push(served(
            "PUT /v1/adapters/{alias}",
            "an adapter of its own under A's alias",
            put,
        ));
        attempts.push(served(
            "POST /v1/chat/completions",
            "ask its own adapter of the same alias",
            chat(&target.a.model, "Hello"),
        ));
        attempts.push(served(
            "DELETE /v1/adapters/{alias}",
            "its own alias",
            Request::delete(path),
        ));
    }
    attempts.push(absent(
        "POST /v1/chat/completions",
        "ask A's model when its own alias is gone",
        chat(&target.a.model, "Hello"),
    ));
    attempts
}

fn plugins(target: &Target<'_>) -> Vec<Attempt> {
    let pipeline = |choice: String| Request::put("/v1/pipeline", &json!({"stages": {"prompting": choice}}));
    let own = Request::new(Method::PUT, format!("/v1/plugins/{}", target.plugin)).bytes("application/wasm", COMPONENT);
    vec![
        absent("PUT /v1/pipeline", "A's plugin as a stage", pipeline(target.choice())),
        absent(
            "PUT /v1/pipeline",
            "A's version under another name",
            pipeline(format!("standard@{}", target.a.version)),
        ),
        absent(
            "PUT /v1/pipeline",
            "A's plugin as a canary",
            Request::put(
                "/v1/pipeline",
                &json!({"stages": {}, "canary": {"percent": 100, "stages": {"prompting": target.choice()}}}),
            ),
        ),
        refused(
            "PUT /v1/pipeline",
            "A's plugin by a path",
            pipeline(format!("../{}/{}", target.a.tenant, target.choice())),
        ),
        absent(
            "DELETE /v1/plugins/{name}/versions/{version}",
            "A's version",
            Request::delete(format!("/v1/plugins/{}/versions/{}", target.plugin, target.a.version)),
        ),
        absent(
            "GET /v1/plugins/{name}/stats",
            "A's plugin",
            Request::get(format!("/v1/plugins/{}/stats", target.plugin)),
        ),
        absent(
            "POST /v1/tools/{name}",
            "a tool, of which it has none",
            Request::post(
                "/v1/tools/find_order",
                &json!({"arguments": {"number": target.a.tenant}}),
            ),
        ),
        served("PUT /v1/plugins/{name}", "a plugin of its own under A's name", own),
        absent(
            "PUT /v1/pipeline",
            "A's plugin, when it has one of that name",
            pipeline(target.choice()),
        ),
        served(
            "GET /v1/pipeline",
            "its pipeline is still its own",
            Request::get("/v1/pipeline"),
        ),
    ]
}

pub fn absent(endpoint: &'static str, what: &str, request: Request) -> Attempt {
    Attempt::new(endpoint, what, request, Expected::NotFound)
}

pub fn refused(endpoint: &'static str, what: &str, request: Request) -> Attempt {
    Attempt::new(endpoint, what, request, Expected::Refused)
}
