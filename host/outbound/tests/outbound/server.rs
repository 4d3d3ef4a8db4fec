//! A server on this machine that sends scripted answers and records its requests.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the next requests get.
#[derive(Clone)]
pub enum Answer {
    Json(String),
    Status(StatusCode),
    /// A good body, and a status that says otherwise.
    Failure(String),
    Redirect(String),
    /// Nothing, forever.
    Silence,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// The last one stays.
    answers: Mutex<Vec<Answer>>,
}

impl Server {
    pub async fn start(answers: impl Into<Vec<Answer>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            answers: Mutex::new(answers.into()),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn answer(&self, answers: impl Into<Vec<Answer>>) {
        *self.shared.answers.lock().unwrap() = answers.into();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// Waits until it was asked `count` times, and not forever.
    pub async fn wait_for(&self, count: usize) {
        for _ in 0..3000 {
            if self.count() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("asked {} times, not {count}", self.count());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    shared.seen.lock().unwrap().push(Seen { path, headers, body });
    let answer = {
        let mut answers = shared.answers.lock().unwrap();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    };
    let response = Response::builder();
    match answer {
        Answer::Json(json) => response.body(Body::from(json)),
        Answer::Status(status) => response.status(status).body(Body::empty()),
        Answer::Failure(json) => response.status(StatusCode::BAD_GATEWAY).body(Body::from(json)),
        Answer::Redirect(to) => response
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header("location", to)
            .body(Body::empty()),
        Answer::Silence => std::future::pending().await,
    }
    .unwrap()
}
