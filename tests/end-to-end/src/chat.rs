//! A chat request that is answered the same each time. Not here: sending it (`caller`).

use serde_json::{Map, Value, json};

/// The shipped model's name in the API.
pub const MODEL: &str = "riad-mini";
/// The shipped embedder's: its dimensions and its digest.
pub const EMBEDDER: &str = "static-256";

#[derive(Debug, Clone)]
pub struct Chat {
    model: String,
    question: String,
    more: Map<String, Value>,
}

impl Chat {
    /// A greedy answer of the base model.
    #[must_use]
    pub fn new(question: &str) -> Self {
        Self {
            model: MODEL.to_owned(),
            question: question.to_owned(),
            more: Map::new(),
        }
    }

    /// Of the base with one of the tenant's adapters.
    #[must_use]
    pub fn adapter(mut self, alias: &str) -> Self {
        self.model = format!("{MODEL}:{alias}");
        self
    }

    /// Another member of the request.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    #[must_use]
    pub fn body(&self, stream: bool) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": self.question}],
            "temperature": 0,
            "max_tokens": 96,
            "stream": stream,
        });
        body.as_object_mut().unwrap().extend(self.more.clone());
        body
    }
}
