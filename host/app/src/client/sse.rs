//! Server-sent events of a streamed answer.

use super::failure;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::Response;
use riad_api_types::error::ErrorBody;
use riad_core::{Error, ErrorKind, Result};
use serde::{Deserialize, de::DeserializeOwned};

/// What the server sends: an event of the answer, or the error that ends it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message<T> {
    Error(ErrorBody),
    Event(T),
}

/// The events of one answer.
pub struct Events {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    lines: Lines,
    url: String,
}

impl Events {
    pub(super) fn new(response: Response, url: String) -> Self {
        Self {
            bytes: response.bytes_stream().boxed(),
            lines: Lines::default(),
            url,
        }
    }

    /// The next event; `None` after `[DONE]`.
    ///
    /// # Errors
    /// The error of an `error` event; `Unavailable` when the stream ends without `[DONE]`.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            while let Some(line) = self.lines.pop() {
                let Some(data) = line.strip_prefix("data:").map(str::trim) else {
                    continue;
                };
                if data == "[DONE]" {
                    return Ok(None);
                }
                return match serde_json::from_str(data).map_err(|error| failure::not_riad(&self.url, error))? {
                    Message::Error(body) => Err(failure::refused(0, body.error)),
                    Message::Event(event) => Ok(Some(event)),
                };
            }
            match self.bytes.next().await {
                Some(bytes) => self
                    .lines
                    .push(&bytes.map_err(|error| failure::transport(&self.url, error))?),
                None => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        format!("{} ended the answer early; try again", self.url),
                    ));
                }
            }
        }
    }
}

/// Cuts bytes into lines, wherever the network cut them.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn pop(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.0.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    async fn read(pieces: Vec<&'static str>) -> (Vec<Value>, Option<Error>) {
        let mut events = Events {
            bytes: futures::stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))).boxed(),
            lines: Lines::default(),
            url: "http://x".into(),
        };
        let mut seen = Vec::new();
        loop {
            match events.next().await {
                Ok(Some(value)) => seen.push(value),
                Ok(None) => return (seen, None),
                Err(error) => return (seen, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn events_are_whole_wherever_the_network_cuts_them() {
        let (seen, error) = read(vec![
            "da",
            "ta: {\"a\":",
            "\"é\"}\r\n\r\n: comment\n\ndata: {\"b\":2}\n\nda",
            "ta: [DONE]\n\n",
        ])
        .await;
        assert_eq!(seen, [json!({"a": "é"}), json!({"b": 2})]);
        assert!(error.is_none());
    }

    #[tokio::test]
    async fn an_error_in_the_middle_is_an_error() {
        let (seen, error) = read(vec![
            "data: {\"a\":1}\n\ndata: {\"error\":{\"message\":\"it trapped\",\"type\":\"server_error\",\"param\":null,\"code\":\"plugin_failed\"}}\n\n",
        ])
        .await;
        assert_eq!(seen.len(), 1);
        assert_eq!(error.unwrap().kind(), ErrorKind::PluginFailed);
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_an_error() {
        let (_, error) = read(vec!["data: {\"a\":1}\n\n"]).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::Unavailable);
    }
}
