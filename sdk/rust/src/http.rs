//! Requests to hosts that the server's operator has granted to this tenant. No redirect is followed, and no private address is reached.

use crate::{StageError, bindings::capabilities::riad::http::http};
use serde::{Serialize, de::DeserializeOwned};

pub use http::{Header, HttpError, Method, Request, Response};

/// Sends a request.
///
/// # Errors
/// `NotGranted` names the grant that is missing; see `HttpError` for the others. A status such as 404 is an answer and no error.
pub fn send(request: &Request) -> Result<Response, HttpError> {
    http::send(request)
}

impl Request {
    #[must_use]
    pub fn new(method: Method, url: &str) -> Self {
        Self {
            method,
            url: url.to_string(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new(Method::Get, url)
    }

    /// With a body of JSON.
    ///
    /// # Errors
    /// `InvalidArgument` when the value cannot be JSON.
    pub fn post_json(url: &str, body: &impl Serialize) -> Result<Self, HttpError> {
        let body = serde_json::to_vec(body).map_err(|error| HttpError::InvalidArgument(error.to_string()))?;
        let mut request = Self::new(Method::Post, url).header("content-type", "application/json");
        request.body = body;
        Ok(request)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(Header {
            name: name.to_string(),
            value: value.to_string(),
        });
        self
    }
}

impl Response {
    /// A header's first value; its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Failed` when it has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| HttpError::Failed(format!("the answer cannot be read: {error}")))
    }
}

impl HttpError {
    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidArgument(text) | Self::NotGranted(text) | Self::Failed(text) => text.clone(),
            Self::TimedOut => "there was no whole answer in time".to_string(),
            Self::LimitExceeded(text) => format!("limit exceeded: {text}"),
        }
    }
}

impl From<HttpError> for StageError {
    fn from(error: HttpError) -> Self {
        Self::Failed(error.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_of_parts() {
        let request = Request::post_json("https://api.acme.com/orders", &vec![1, 2]).unwrap();
        assert_eq!((request.method, request.body.as_slice()), (Method::Post, &b"[1,2]"[..]));
        assert_eq!(request.headers[0].value, "application/json");
    }

    #[test]
    fn an_answer_is_read_by_header_and_shape() {
        let response = Response {
            status: 200,
            headers: vec![Header {
                name: "etag".to_string(),
                value: "x".to_string(),
            }],
            body: b"[1]".to_vec(),
        };
        assert_eq!(response.header("ETag"), Some("x"));
        assert_eq!(response.json::<Vec<u32>>(), Ok(vec![1]));
        assert!(
            response
                .json::<String>()
                .unwrap_err()
                .message()
                .contains("cannot be read")
        );
    }
}
