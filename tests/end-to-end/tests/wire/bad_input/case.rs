//! A bad request and the error that it must get.

use reqwest::{Method, RequestBuilder, multipart::Form};
use riad_end_to_end::{Answer, Caller};
use serde_json::Value;

/// What is sent.
pub enum Body {
    None,
    Json(Value),
    /// Content type and bytes.
    Raw(&'static str, Vec<u8>),
    Form(Form),
}

pub struct Case {
    method: Method,
    path: String,
    body: Body,
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    words: Vec<String>,
}

impl Case {
    /// A request that is answered with 400 until something else is said.
    pub fn new(method: Method, path: &str, body: Body) -> Self {
        Self {
            method,
            path: path.to_owned(),
            body,
            status: 400,
            kind: "invalid_request_error",
            code: None,
            param: None,
            words: Vec::new(),
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, Body::None)
    }

    pub fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, Body::None)
    }

    pub fn post(path: &str, body: Value) -> Self {
        Self::new(Method::POST, path, Body::Json(body))
    }

    pub fn put(path: &str, body: Value) -> Self {
        Self::new(Method::PUT, path, Body::Json(body))
    }

    pub fn is(mut self, status: u16, code: &'static str) -> Self {
        self.status = status;
        self.code = Some(code);
        self
    }

    /// The field at fault.
    pub fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// Words that the message must have.
    pub fn says(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub async fn check(self, caller: &Caller) {
        let name = format!("{} {} {}", self.method, self.path, self.body.shown());
        let request = caller.request(self.method, &self.path);
        let answer = caller.send(self.body.into_request(request)).await;
        let short = |text: &str| text.chars().take(400).collect::<String>();
        assert_eq!(answer.status.as_u16(), self.status, "{name}\n{}", short(&answer.body));
        assert_eq!(answer.text("/error/type"), self.kind, "{name}");
        assert_eq!(
            answer.json()["error"]["code"].as_str(),
            self.code,
            "{name}\n{}",
            answer.body
        );
        assert_eq!(
            answer.json()["error"]["param"].as_str(),
            self.param.as_deref(),
            "{name}\n{}",
            answer.body
        );
        let message = answer.message();
        assert!(
            message.chars().count() >= 10,
            "{name}: says next to nothing: {message:?}"
        );
        for word in self.words {
            assert!(message.contains(&word), "{name}: {message:?} lacks {word:?}");
        }
        well_formed(&answer);
    }
}

/// OpenAI's envelope and nothing from inside of the server.
fn well_formed(answer: &Answer) {
    let json = answer.json();
    let mut members: Vec<_> = json["error"].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["code", "message", "param", "type"]);
    for inside in ["/tmp/", ".rs:", "sqlite", "SQLite", "panicked", "Error {"] {
        assert!(!answer.body.contains(inside), "{}", answer.body);
    }
}

impl Body {
    fn shown(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Json(value) => value.to_string().chars().take(200).collect(),
            Self::Raw(kind, bytes) => format!("{} bytes of {kind}", bytes.len()),
            Self::Form(_) => "a form".into(),
        }
    }

    fn into_request(self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Json(value) => request.json(&value),
            Self::Raw(kind, bytes) => request.header("content-type", kind).body(bytes),
            Self::Form(form) => request.multipart(form),
        }
    }
}

pub async fn check_all(caller: &Caller, cases: Vec<Case>) {
    for case in cases {
        case.check(caller).await;
    }
}
