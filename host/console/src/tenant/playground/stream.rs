//! Runs a playground's chat: piece by piece as server-sent events, or to its end. Not here: what an answer shows (`answer`).

use super::{
    answer::{Answer, Ended, Fact},
    request::PlaygroundForm,
};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use riad_core::{
    Error, PluginVersion, Result, TenantPass,
    chat::{FinishReason, Message, ToolCallPiece},
    document::Passage,
    grants::{Access, Scope},
    plugin::Citation,
    receipt::SignedReceipt,
};
use riad_services::{
    Services,
    chat::{AnswerUsage, ChatEvent, ChatStream},
    logs::LogLine,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};

/// A chat that runs, and what it has said so far.
struct Run {
    services: Services,
    pass: TenantPass,
    chat: ChatStream,
    body: Value,
    base: String,
    versions: Option<Vec<PluginVersion>>,
    /// Number of the last line that was there before.
    logged: u64,
    prompt: Option<Vec<Message>>,
    text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    finish: Option<FinishReason>,
    citations: Vec<Citation>,
}

/// What a reader is told at once.
enum Said {
    Text(String),
    Reasoning(String),
    /// A piece of a call; the first has the name.
    Call {
        text: String,
        begins: bool,
    },
    Nothing,
    End(Box<Answer>),
}

/// The answer when it is complete.
pub(super) async fn collect(
    services: &Services,
    pass: &TenantPass,
    form: &PlaygroundForm,
    base: &str,
) -> Result<Answer> {
    let mut run = Run::begin(services.clone(), pass.clone(), form, base.to_owned()).await?;
    loop {
        if let Said::End(answer) = run.next().await? {
            return Ok(*answer);
        }
    }
}

/// The answer as it is made. The stream owns the chat: a client that goes away drops it, which ends the request.
pub(super) fn events(
    services: Services,
    pass: TenantPass,
    form: PlaygroundForm,
    base: String,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let silence = Duration::from_millis(services.limits().stream_silence_ms);
    let started = stream::once(async move { Run::begin(services, pass, &form, base).await });
    let events = started.flat_map(|started| match started {
        Ok(run) => follow(run).left_stream(),
        Err(error) => stream::iter([failure(&error)]).right_stream(),
    });
    Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(silence))
}

fn follow(run: Run) -> impl Stream<Item = Event> + Send {
    stream::unfold(Some(run), |run| async move {
        let mut run = run?;
        Some(match run.next().await {
            Ok(Said::Text(text)) => (event("text", &json!({"text": text})), Some(run)),
            Ok(Said::Reasoning(text)) => (event("reasoning", &json!({"text": text})), Some(run)),
            Ok(Said::Call { text, begins }) => (event("call", &json!({"text": text, "begins": begins})), Some(run)),
            Ok(Said::Nothing) => (Event::default().comment(""), Some(run)),
            Ok(Said::End(answer)) => (event("end", &answer), None),
            Err(error) => (failure(&error), None),
        })
    })
}

fn failure(error: &Error) -> Event {
    event("failure", &json!({"message": error.message_for_client()}))
}

/// JSON has no line ends in it, so that it is one line of data.
fn event(name: &str, data: &impl Serialize) -> Event {
    match serde_json::to_string(data) {
        Ok(json) => Event::default().event(name).data(json),
        Err(error) => {
            tracing::error!(%error, "an event could not be written");
            Event::default().comment("an event could not be written")
        }
    }
}

impl Run {
    async fn begin(services: Services, pass: TenantPass, form: &PlaygroundForm, base: String) -> Result<Self> {
        let (request, body) = (form.request()?, form.json()?);
        let may_read_plugins = pass.grants().allow(Scope::Plugins, Access::Read);
        let (versions, logged) = match may_read_plugins {
            true => {
                let lines = services.logs().list(&pass).await?;
                let logged = lines.last().map_or(0, |line| line.number);
                (Some(services.plugins().list(&pass).await?), logged)
            }
            false => (None, 0),
        };
        let chat = services.chat().start(&pass, request).await?;
        Ok(Self {
            prompt: chat.prompt().map(<[Message]>::to_vec),
            services,
            pass,
            chat,
            body,
            base,
            versions,
            logged,
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            finish: None,
            citations: Vec::new(),
        })
    }

    async fn next(&mut self) -> Result<Said> {
        let event = self.chat.next().await;
        let event = event.ok_or_else(|| Error::internal("a chat ended without its last event"))??;
        Ok(match event {
            ChatEvent::Text { text, .. } => {
                self.text.push_str(&text);
                Said::Text(text)
            }
            ChatEvent::Reasoning { text, .. } => {
                self.reasoning.push_str(&text);
                Said::Reasoning(text)
            }
            ChatEvent::ToolCall { piece, .. } => {
                let begins = piece.name.is_some();
                let text = self.add_call(piece);
                Said::Call { text, begins }
            }
            ChatEvent::ChoiceEnd { finish, citations, .. } => {
                self.finish = Some(finish);
                self.citations = citations;
                Said::Nothing
            }
            ChatEvent::End {
                receipt,
                passages,
                usage,
            } => Said::End(Box::new(self.end(&receipt, &passages, usage).await?)),
        })
    }

    /// Returns what a reader is shown of the piece.
    fn add_call(&mut self, piece: ToolCallPiece) -> String {
        match piece.name {
            Some(name) => {
                let shown = format!("{name} {}", piece.arguments);
                self.calls.push((name, piece.arguments));
                shown
            }
            None => {
                if let Some((_, arguments)) = self.calls.last_mut() {
                    arguments.push_str(&piece.arguments);
                }
                piece.arguments
            }
        }
    }

    async fn end(&mut self, receipt: &SignedReceipt, passages: &[Passage], usage: AnswerUsage) -> Result<Answer> {
        let logs = match self.versions {
            Some(_) => self.services.logs().list(&self.pass).await?,
            None => Vec::new(),
        };
        let is_new = |line: &LogLine| line.number > self.logged;
        let calls = std::mem::take(&mut self.calls).into_iter();
        Ok(Answer::of(Ended {
            text: std::mem::take(&mut self.text),
            reasoning: std::mem::take(&mut self.reasoning),
            calls: calls.map(|(label, value)| Fact { label, value }).collect(),
            finish: self.finish,
            citations: &self.citations,
            passages,
            receipt,
            usage,
            times: self.chat.times().unwrap_or_default(),
            prompt: self.prompt.as_deref(),
            versions: self.versions.as_deref(),
            logs: logs.into_iter().filter(is_new).collect(),
            currency: self.services.currency(),
            keys: &self.services.usage().receipt_keys(),
            body: &self.body,
            base: &self.base,
        }))
    }
}
