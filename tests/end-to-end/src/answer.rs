//! What a server answered, read to its end.

use reqwest::{Response, StatusCode, header::HeaderMap};
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    /// The JSON of a success; anything else fails the test.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.json()
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A text in the JSON; empty if it is null.
    #[must_use]
    pub fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let value = json
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.body));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// The code of OpenAI's error envelope; empty if it has none.
    #[must_use]
    pub fn code(&self) -> String {
        self.text("/error/code")
    }

    #[must_use]
    pub fn message(&self) -> String {
        self.text("/error/message")
    }

    /// A header; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails the test if the answer is not this error.
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.code(), code, "{}", self.body);
        self
    }
}
