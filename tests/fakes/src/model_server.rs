//! A model server as vLLM has it: `POST /v1/completions` with events of tokens, adapters that are loaded and unloaded at run time. It says
//! what it is told to, and keeps what it was asked.

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What it calls the base model: the names that the suites ask for.
const BASES: [&str; 2] = ["served-model", "riad-mini"];

const BODY_END: Duration = Duration::from_millis(2);

/// What it answers next, and from then on.
#[derive(Clone, Debug)]
pub struct Script {
    /// Of one event each.
    pub events: Vec<Vec<u32>>,
    /// The texts that belong to them.
    pub texts: Vec<String>,
    pub finish: &'static str,
    pub fault: Fault,
    /// Before each event.
    pub pause: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Texts without their tokens, as llama.cpp's server.
    NoTokens,
    NoUsage,
    /// Neither tokens nor usage.
    OnlyTexts,
    /// Ten more than there were.
    WrongUsage,
    WrongModel,
    /// The connection is closed behind so many events.
    DiesBehind(usize),
    Status(u16),
    /// A good answer, and no adapters.
    RefusesAdapters,
    /// Without the model's name.
    Nameless,
    /// It reads only so many tokens, as its list of models says.
    Reads(u32),
    /// An event that says that it cannot.
    ErrorEvent,
}

pub struct ModelServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<Value>>,
    loaded: Mutex<BTreeSet<String>>,
    /// Names of adapters in the order in which they were loaded and unloaded; those with a `-` were unloaded.
    adapters: Mutex<Vec<String>>,
    open: AtomicUsize,
    /// From where completions were asked.
    connections: Mutex<BTreeSet<SocketAddr>>,
}

/// An answer that is being sent.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ModelServer {
    pub async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            asked: Mutex::default(),
            loaded: Mutex::default(),
            adapters: Mutex::default(),
            open: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/completions", post(complete))
            .route("/v1/models", get(models))
            .route("/v1/load_lora_adapter", post(load))
            .route("/v1/unload_lora_adapter", post(unload))
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn answer(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// Bodies of completions.
    #[must_use]
    pub fn asked(&self) -> Vec<Value> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Names of adapters as they were loaded, and behind a `-` unloaded.
    #[must_use]
    pub fn adapters(&self) -> Vec<String> {
        self.shared.adapters.lock().unwrap().clone()
    }

    /// Answers that are being sent.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many connections completions were asked over.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// As after a restart.
    pub fn forget_adapters(&self) {
        self.shared.loaded.lock().unwrap().clear();
    }

    /// As before a restart of who asks.
    pub fn remember_adapter(&self, name: &str) {
        self.shared.loaded.lock().unwrap().insert(name.to_owned());
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let loaded = shared.loaded.lock().unwrap();
    let names = loaded.iter().map(String::as_str).chain(BASES);
    let fault = shared.script.lock().unwrap().fault;
    let most = if let Fault::Reads(most) = fault {
        Some(most)
    } else {
        None
    };
    let names = names.map(|name| json!({"id": name, "object": "model", "max_model_len": most}));
    Json(json!({"object": "list", "data": names.collect::<Vec<_>>()}))
}

async fn load(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> StatusCode {
    let fault = shared.script.lock().unwrap().fault;
    let name = body["lora_name"].as_str().unwrap();
    let has_it = shared.loaded.lock().unwrap().contains(name);
    // As vLLM, whose engine refuses it.
    if fault == Fault::RefusesAdapters {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    // Kept with the adapter, it would have the files read again in each step.
    assert!(body.get("load_inplace").is_none(), "{body}");
    if has_it {
        return StatusCode::BAD_REQUEST;
    }
    let folder = std::path::Path::new(body["lora_path"].as_str().unwrap());
    assert!(
        folder.join("adapter_model.safetensors").is_file(),
        "{}",
        folder.display()
    );
    shared.loaded.lock().unwrap().insert(name.to_owned());
    shared.adapters.lock().unwrap().push(name.to_owned());
    StatusCode::OK
}

async fn unload(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> StatusCode {
    let name = body["lora_name"].as_str().unwrap();
    shared.adapters.lock().unwrap().push(format!("-{name}"));
    match shared.loaded.lock().unwrap().remove(name) {
        true => StatusCode::OK,
        false => StatusCode::NOT_FOUND,
    }
}

async fn complete(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Json(body): Json<Value>,
) -> Response {
    shared.connections.lock().unwrap().insert(address);
    shared.asked.lock().unwrap().push(body.clone());
    let script = shared.script.lock().unwrap().clone();
    let model = body["model"].as_str().unwrap();
    if !BASES.contains(&model) && !shared.loaded.lock().unwrap().contains(model) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Fault::Status(status) = script.fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    shared.open.fetch_add(1, Ordering::SeqCst);
    let open = Open(shared);
    let mut events: Vec<Option<String>> = events(&script, &body).into_iter().map(Some).collect();
    if let Fault::DiesBehind(count) = script.fault {
        events.truncate(count);
        events.push(None);
    }
    let pause = script.pause;
    // As vLLM, which ends the body a moment after the last event.
    let end = stream::once(async {
        tokio::time::sleep(BODY_END).await;
        Ok(String::new())
    });
    let body = stream::iter(events).then(move |event| {
        // Dropped with the stream.
        let _open = &open;
        async move {
            tokio::time::sleep(pause).await;
            event.map_or_else(
                || Err(std::io::Error::other("it dies")),
                |data| Ok(format!("data: {data}\n\n")),
            )
        }
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(body.chain(end)))
        .unwrap()
}

fn events(script: &Script, body: &Value) -> Vec<String> {
    if script.fault == Fault::ErrorEvent {
        return vec![json!({"error": {"message": "the engine is dead", "code": 500}}).to_string()];
    }
    let model = if script.fault == Fault::WrongModel {
        json!("another")
    } else if script.fault == Fault::Nameless {
        Value::Null
    } else {
        body["model"].clone()
    };
    let last = script.events.len().saturating_sub(1);
    let mut events: Vec<String> = script
        .events
        .iter()
        .enumerate()
        .map(|(number, tokens)| {
            let mut choice = json!({
                "index": 0,
                "text": script.texts.get(number).cloned().unwrap_or_default(),
                "finish_reason": (number == last).then_some(script.finish),
            });
            if ![Fault::NoTokens, Fault::OnlyTexts].contains(&script.fault) {
                choice["token_ids"] = json!(tokens);
            }
            if let Some(top) = body["logprobs"].as_u64() {
                choice["logprobs"] = logprobs(tokens, top);
            }
            json!({"object": "text_completion", "model": model, "choices": [choice]}).to_string()
        })
        .collect();
    if ![Fault::NoUsage, Fault::OnlyTexts].contains(&script.fault) {
        let more = if script.fault == Fault::WrongUsage { 10 } else { 0 };
        let completion: usize = script.events.iter().map(Vec::len).sum();
        let usage = json!({
            "prompt_tokens": body["prompt"].as_array().unwrap().len() + more,
            "completion_tokens": completion + more,
            "prompt_tokens_details": {"cached_tokens": 1},
        });
        events.push(json!({"model": model, "choices": [], "usage": usage}).to_string());
    }
    events.push("[DONE]".to_owned());
    events
}

/// Each token has the logprob -1, and the token after it -2.
fn logprobs(tokens: &[u32], top: u64) -> Value {
    let name = |token: u32| format!("token_id:{token}");
    let likeliest = tokens.iter().map(|token| match top {
        0 => json!({}),
        1 => json!({name(*token): -1.0}),
        _ => json!({name(*token): -1.0, name(token + 1): -2.0}),
    });
    json!({
        "tokens": tokens.iter().map(|token| name(*token)).collect::<Vec<_>>(),
        "token_logprobs": vec![-1.0; tokens.len()],
        "top_logprobs": likeliest.collect::<Vec<_>>(),
    })
}
