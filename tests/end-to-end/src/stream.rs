//! A streamed answer, event by event. Not here: what the events must be.

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;

pub struct Stream {
    pub headers: HeaderMap,
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Stream {
    #[must_use]
    pub fn new(response: Response) -> Self {
        Self {
            headers: response.headers().clone(),
            bytes: response.bytes_stream().boxed(),
            buffer: Vec::new(),
        }
    }

    /// The data of the next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                let data: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                // A comment that keeps the connection alive has no data.
                if data.is_empty() {
                    continue;
                }
                return Some(data.join("\n"));
            }
            match self.bytes.next().await {
                Some(bytes) => self.buffer.extend_from_slice(&bytes.unwrap()),
                None => {
                    assert!(self.buffer.is_empty(), "the stream ended inside of an event");
                    return None;
                }
            }
        }
    }

    /// The next event as JSON.
    pub async fn next_json(&mut self) -> Value {
        let data = self.next().await.expect("the stream has ended");
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// All events to the end of the stream; the final `[DONE]`, if it came, is a JSON text.
    pub async fn rest(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(data) = self.next().await {
            let done = || (data == "[DONE]").then(|| Value::from("[DONE]"));
            let event = serde_json::from_str(&data).ok().or_else(done);
            events.push(event.unwrap_or_else(|| panic!("neither JSON nor [DONE]: {data}")));
        }
        events
    }

    /// The text of one choice, put together.
    #[must_use]
    pub fn text(events: &[Value], choice: u64) -> String {
        Self::deltas(events, choice).concat()
    }

    /// The pieces of text of one choice.
    #[must_use]
    pub fn deltas(events: &[Value], choice: u64) -> Vec<String> {
        events
            .iter()
            .filter_map(|event| event["choices"].as_array())
            .flatten()
            .filter(|chunk| chunk["index"] == choice)
            .filter_map(|chunk| Some(chunk["delta"]["content"].as_str()?.to_owned()))
            .collect()
    }

    /// The receipt, passages and citations of a stream.
    #[must_use]
    pub fn riad(events: &[Value]) -> Value {
        let mut said = events.iter().filter_map(|event| event.get("riad"));
        let riad = said.next().expect("no event has the receipt").clone();
        assert!(said.next().is_none(), "two events have a receipt");
        riad
    }
}
