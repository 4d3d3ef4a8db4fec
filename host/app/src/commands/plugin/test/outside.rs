//! What a case's room has besides documents, SQL and settings: values with a time to live, the model's answers to prompts of the
//! plugin's own, and the answers of other hosts. Answers are those that the case names; whatever else is asked fails, and says so.

use super::{case::HttpAnswer, room::Room};
use async_trait::async_trait;
use riad_core::{
    Error, ErrorKind, Result,
    ports::{
        Generated, Generator, GuestPrompt, HttpClient, HttpFailure, HttpRequest, HttpResponse, KV_KEY_BYTES,
        KV_SECONDS, KV_VALUE_BYTES, KvStore,
    },
};

#[async_trait]
impl KvStore for Room {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.count();
        check_key(key)?;
        Ok(self.values.0.lock().get(key).cloned())
    }

    async fn set(&self, key: &str, value: Vec<u8>, seconds: u32) -> Result<()> {
        self.count();
        check_key(key)?;
        check_seconds(seconds)?;
        if value.len() > KV_VALUE_BYTES {
            return Err(Error::invalid(format!(
                "the value has {} bytes, at most {KV_VALUE_BYTES} are kept",
                value.len()
            )));
        }
        self.values.0.lock().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.count();
        check_key(key)?;
        Ok(self.values.0.lock().remove(key).is_some())
    }

    async fn increment(&self, key: &str, by: i64, seconds: u32) -> Result<i64> {
        self.count();
        check_key(key)?;
        check_seconds(seconds)?;
        let mut values = self.values.0.lock();
        let number = match values.get(key).map(|bytes| <[u8; 8]>::try_from(bytes.as_slice())) {
            None => 0,
            Some(Ok(bytes)) => i64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(Error::invalid("the value is no number of 8 bytes")),
        };
        let sum = number
            .checked_add(by)
            .ok_or_else(|| Error::invalid("the sum has more than 64 bits"))?;
        values.insert(key.to_owned(), sum.to_le_bytes().to_vec());
        Ok(sum)
    }
}

fn check_key(key: &str) -> Result<()> {
    match key.len() {
        1..=KV_KEY_BYTES => Ok(()),
        bytes => Err(Error::invalid(format!(
            "the key has {bytes} bytes, it must have 1 to {KV_KEY_BYTES}"
        ))),
    }
}

fn check_seconds(seconds: u32) -> Result<()> {
    match seconds {
        1..=KV_SECONDS => Ok(()),
        _ => Err(Error::invalid(format!(
            "`seconds` is {seconds}, it must be 1 to {KV_SECONDS}"
        ))),
    }
}

#[async_trait]
impl Generator for Room {
    async fn generate(&self, prompt: GuestPrompt) -> Result<Generated> {
        self.count();
        let answer = self.answers.lock().pop_front();
        let text = answer.ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "the case has no more answers of the model; add one to its `generation`",
            )
        })?;
        let tokens = |bytes: usize| u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX);
        Ok(Generated {
            prompt_tokens: tokens(prompt.messages.iter().map(|message| message.content.len()).sum()),
            completion_tokens: tokens(text.len()),
            is_cut: false,
            text,
        })
    }
}

#[async_trait]
impl HttpClient for Room {
    async fn send(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpFailure> {
        self.count();
        let method = request.method.as_str();
        let matches = |answer: &&HttpAnswer| answer.method == method && answer.url == request.url;
        let Some(answer) = self.hosts.iter().find(matches) else {
            return Err(HttpFailure::NotGranted(format!(
                "the case has no answer for {method} {}; add one to its `http`",
                request.url
            )));
        };
        Ok(HttpResponse {
            status: answer.status,
            headers: answer.headers.clone().into_iter().collect(),
            body: answer.body.clone().into_bytes().into(),
        })
    }
}
