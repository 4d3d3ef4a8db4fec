//! A server's answer while it comes: its tokens are read as the local engine's are. Not here: whom to ask (`fleet`).
//!
//! What is billed was seen here: the tokens of the prompt that was sent, and those that came. A server that sends texts without tokens is
//! believed what its `usage` says; one that says nothing is refused.

mod chunk;

use super::{
    connection,
    endpoint::{Endpoint, Lease},
    fleet::{Answering, Fleet, Tried},
    model::RemoteModel,
    request::{Asked, remote_grammar},
    sse::Events,
    wrong_answer,
};
use crate::tokens::{Counted, answer::Answer};
use chunk::{Choice, Chunk, Usage};
use riad_core::{Account, Error, Result, adapter::AdapterSource, chat::FinishReason};
use std::{sync::Arc, time::Duration};

/// Between an answer's last token and its usage.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Stands for a text whose tokens are unknown.
const NO_TOKEN: u32 = u32::MAX;

pub(super) struct Reading {
    model: Arc<RemoteModel>,
    asked: Asked,
    answer: Answer,
    usage: Option<Usage>,
    /// Whether the server's answer has begun: from then on no other server is asked.
    has_begun: bool,
    /// Whether it sends the tokens of its texts; `None` before the first.
    has_tokens: Option<bool>,
    /// Of the answer without its reasoning.
    content: Vec<u8>,
    /// Whether the number of the answer's tokens is the server's.
    has_usage: bool,
}

/// How a server's answer ended.
enum Ended {
    Complete(FinishReason),
    /// Before the server's own end, whose usage does not come.
    Cut(FinishReason),
    /// The client has gone.
    Cancelled,
    /// The server says that it cannot, which may be the request's fault.
    Refused(String),
    /// It broke off, or answers what cannot be used.
    Failed(String),
}

/// What has come to its end, or broke off.
fn complete(finish: Option<FinishReason>) -> Ended {
    finish.map_or_else(|| Ended::Failed("it broke off".to_owned()), Ended::Complete)
}

impl Reading {
    pub fn new(model: Arc<RemoteModel>, asked: Asked, answer: Answer) -> Self {
        Self {
            model,
            asked,
            answer,
            usage: None,
            has_begun: false,
            has_tokens: None,
            content: Vec::new(),
            has_usage: false,
        }
    }

    /// Asks, reads and ends the answer. A server that fails before its first token is replaced by another one. `hold` is on the adapter in
    /// the server that is asked first.
    pub async fn run(
        mut self,
        fleet: Arc<Fleet>,
        adapter: Option<AdapterSource>,
        account: Account,
        hold: Option<Lease>,
        counted: Arc<Counted>,
    ) {
        let result = self.ask_and_read(&fleet, adapter.as_ref(), account, hold).await;
        if !self.has_usage {
            self.count_texts();
        }
        self.answer.end(result, &counted);
    }

    async fn ask_and_read(
        &mut self,
        fleet: &Arc<Fleet>,
        adapter: Option<&AdapterSource>,
        account: Account,
        hold: Option<Lease>,
    ) -> Result<FinishReason> {
        let mut tried = Tried::new(hold);
        loop {
            let answering = tokio::select! {
                biased;
                () = self.answer.cancelled() => return Ok(FinishReason::Stop),
                answering = fleet.ask(&self.asked, adapter, account, &mut tried) => answering?,
            };
            let endpoint = Arc::clone(&answering.lease.endpoint);
            self.usage = None;
            match self.read(answering).await? {
                Ended::Complete(finish) => {
                    self.check_usage(&endpoint)?;
                    self.check_format(finish)?;
                    fleet.has_answered(&endpoint, &mut tried);
                    return Ok(finish);
                }
                Ended::Cut(finish) => {
                    self.check_format(finish)?;
                    fleet.has_answered(&endpoint, &mut tried);
                    return Ok(finish);
                }
                Ended::Cancelled => return Ok(FinishReason::Stop),
                Ended::Refused(why) if !self.has_begun => tried.suspect(&endpoint, why),
                Ended::Failed(why) if !self.has_begun => endpoint.failed(&why),
                Ended::Refused(why) | Ended::Failed(why) => {
                    endpoint.failed(&why);
                    return Err(wrong_answer(&why));
                }
            }
        }
    }

    async fn read(&mut self, answering: Answering) -> Result<Ended> {
        // The place is given back when the connection is closed.
        let Answering {
            lease: _lease,
            mut response,
            model,
        } = answering;
        let (mut events, mut finish) = (Events::new(self.asked.prompt_tokens), None);
        loop {
            let piece = tokio::select! {
                biased;
                () = self.answer.cancelled() => return Ok(Ended::Cancelled),
                // The usage comes behind the last token, and the end of the stream behind that.
                () = tokio::time::sleep(LAST_WORDS), if finish.is_some() => {
                    return Ok(finish.map_or(Ended::Cancelled, Ended::Complete));
                }
                piece = response.chunk() => piece,
            };
            let piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(complete(finish)),
                Err(error) => return Ok(Ended::Failed(connection::describe(error).words())),
            };
            let Some(found) = events.push(&piece) else {
                return Ok(Ended::Failed("it sends an event without an end".to_owned()));
            };
            for data in found {
                if data == "[DONE]" {
                    connection::read_rest(response);
                    return Ok(complete(finish));
                }
                let chunk: Chunk = match serde_json::from_str(&data) {
                    Ok(chunk) => chunk,
                    Err(error) => return Ok(Ended::Failed(format!("an event cannot be read: {error}"))),
                };
                if let Some(error) = chunk.error {
                    return Ok(Ended::Refused(format!("it reports an error: {error}")));
                }
                self.usage = chunk.usage.or(self.usage.take());
                let mut choices = chunk.choices.into_iter();
                let Some(choice) = choices.find(|choice| choice.index == 0).filter(|_| finish.is_none()) else {
                    continue;
                };
                if chunk.model.as_deref() != Some(model.as_str()) {
                    // Whose words these are is unknown: nobody gets them.
                    return Ok(Ended::Failed(format!(
                        "it answers as {:?} where {model:?} was asked",
                        chunk.model
                    )));
                }
                let of_server = match choice.finish() {
                    Ok(finish) => finish,
                    Err(other) => return Ok(Ended::Failed(format!("it ends with {other:?}"))),
                };
                let here = self.take(&choice)?;
                finish = here.or(of_server);
                match (here, of_server) {
                    // It would go on, as behind a stop sequence. Without tokens, `max_tokens` was counted in texts: the server is there too.
                    (Some(finish), None) if finish == FinishReason::Stop || self.has_tokens == Some(true) => {
                        return Ok(Ended::Cut(finish));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Why the answer ends with this, if it does.
    fn take(&mut self, choice: &Choice) -> Result<Option<FinishReason>> {
        let has_tokens = choice.token_ids.is_some();
        if !choice.is_empty() {
            if *self.has_tokens.get_or_insert(has_tokens) != has_tokens {
                return Err(wrong_answer("some of its texts have tokens, others have none"));
            }
            if !self.has_begun {
                self.has_begun = true;
                self.answer.computed(self.asked.prompt_tokens as usize, 0);
            }
        }
        match has_tokens {
            true => self.take_tokens(choice),
            false => self.take_text(choice),
        }
    }

    fn take_tokens(&mut self, choice: &Choice) -> Result<Option<FinishReason>> {
        let tokens = choice.token_ids.as_deref().unwrap_or_default();
        let mut scored = choice
            .scores(tokens, self.asked.logprobs, &self.model.vocabulary)?
            .into_iter();
        for token in tokens {
            if *token as usize >= self.model.vocabulary_size {
                return Err(wrong_answer(&format!(
                    "with the token {token}, which the model does not have"
                )));
            }
            let bytes = match self.answer.finds_tools() {
                true => self.model.vocabulary.bytes_with_markers(*token),
                false => self.model.vocabulary.bytes(*token),
            };
            let is_end = self.model.end_tokens.contains(token);
            if self.answer.is_content() && !is_end {
                self.content.extend_from_slice(&bytes);
            }
            if let Some(finish) = self.answer.push(*token, &bytes, is_end, scored.next().flatten()) {
                return Ok(Some(finish));
            }
        }
        Ok(None)
    }

    /// Of a server that sends no tokens, such as llama.cpp's.
    fn take_text(&mut self, choice: &Choice) -> Result<Option<FinishReason>> {
        if choice.text.is_empty() {
            return Ok(None);
        }
        for (is_needed, what) in [
            (self.asked.logprobs.is_some(), "logprobs"),
            (
                self.answer.opener().is_some() || !self.answer.is_content(),
                "a model that reasons",
            ),
        ] {
            if is_needed {
                return Err(Error::invalid(format!(
                    "the model server sends texts without their tokens, which {what} needs"
                )));
            }
        }
        self.content.extend_from_slice(choice.text.as_bytes());
        if self.content.len()
            > self
                .asked
                .max_tokens()
                .saturating_mul(self.model.encoder.longest_token())
        {
            return Err(wrong_answer("that is longer than was asked"));
        }
        Ok(self.answer.push(NO_TOKEN, choice.text.as_bytes(), false, None))
    }

    /// Takes the server's word where there is no other, and tells what does not fit.
    fn check_usage(&mut self, endpoint: &Endpoint) -> Result<()> {
        let seen = self.answer.completion_tokens();
        let Some(usage) = &self.usage else {
            return match self.has_tokens {
                Some(true) => Ok(()),
                Some(false) | None => Err(wrong_answer("without usage, which cannot be billed")),
            };
        };
        self.answer
            .computed(self.asked.prompt_tokens as usize, usage.cached_tokens());
        match self.has_tokens {
            Some(true)
                if usage.completion_tokens as usize != seen || usage.prompt_tokens != self.asked.prompt_tokens =>
            {
                tracing::warn!(
                    server = endpoint.name,
                    prompt_sent = self.asked.prompt_tokens,
                    prompt_reported = usage.prompt_tokens,
                    completion_seen = seen,
                    completion_reported = usage.completion_tokens,
                    "a model server reports another usage than was seen; what was seen is billed"
                );
            }
            Some(true) => {}
            Some(false) | None => {
                self.has_usage = true;
                self.answer.completed(usage.completion_tokens as usize);
            }
        }
        Ok(())
    }

    /// Of what was cut, nothing can be said.
    fn check_format(&self, finish: FinishReason) -> Result<()> {
        match &self.asked.grammar {
            Some(grammar) if finish == FinishReason::Stop && !remote_grammar(grammar)?.allows(&self.content) => {
                Err(wrong_answer("that is not of the format that was asked"))
            }
            _ => Ok(()),
        }
    }

    /// Where the server has not said how many tokens the texts have, the model's tokenizer does.
    fn count_texts(&mut self) {
        if self.has_tokens == Some(false) {
            let counted = self.model.encoder.count_text(&String::from_utf8_lossy(&self.content));
            self.answer.completed(counted);
        }
    }
}
