//! What of a span leaves the process: the fields in [`ATTRIBUTES`], if their values look like names or numbers. So a careless
//! `info_span!(prompt = …)` elsewhere sends nothing.

use opentelemetry::{
    KeyValue, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;

/// What a field's value must look like to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Up to 128 of `A`–`Z`, `a`–`z`, `0`–`9` and `-_.:/+{}*`: what names, ids and routes are made of, and sentences are not.
    Name,
    /// A whole number, also one that was recorded as text.
    Number,
}

/// The spans that the server makes, from the outside in, and their fields. A test compares this with the sources, and another
/// one with what a collector receives.
pub const SPANS: &[(&str, &[&str])] = &[
    // One HTTP request until its answer begins; it continues the caller's trace by `follow`.
    (REQUEST, &["id", "method", "route", "status"]),
    // From a key or token to a pass.
    ("authorize", &[]),
    // The first two stages of the pipeline, in guests.
    ("retrieve", &[]),
    ("build_prompt", &[]),
    // Counting the prompt's tokens as the chat template writes it.
    ("count_prompt", &[]),
    // Waiting for the engine; once for each choice.
    ("queue", &[]),
    // One choice, from the engine's first token to its last.
    ("generate", &[]),
    // A prompt of a guest's own, in the stage or the tool that asks for it.
    ("generate_for_guest", &[]),
    // One call of a tool of the room's.
    ("call_tool", &[]),
    // The end of the third stage, for each choice; its other calls are in `generate`.
    ("postprocess", &[]),
    // Writing the ledger's entry.
    ("settle", &[]),
];

/// The fields of [`SPANS`] that are sent: the name in our code and log, the name in the trace, what the value must look like.
/// Names of OpenTelemetry's semantic conventions where there are any.
pub const ATTRIBUTES: &[(&str, &str, ValueForm)] = &[
    ("id", "riad.request.id", ValueForm::Name),
    ("method", "http.request.method", ValueForm::Name),
    ("route", "http.route", ValueForm::Name),
    ("status", "http.response.status_code", ValueForm::Number),
];

/// The span of an HTTP request, of kind `SERVER`; all others are `INTERNAL`.
const REQUEST: &str = "request";
const NAME_MAX: usize = 128;

pub(super) fn scrub(mut span: SpanData) -> SpanData {
    // A name in the code is borrowed. An owned one was made at run time and may have a tenant's text in it.
    if let Cow::Owned(_) = span.name {
        span.name = Cow::Borrowed("renamed");
    }
    span.attributes = std::mem::take(&mut span.attributes)
        .into_iter()
        .filter_map(permit)
        .collect();
    span.span_kind = if span.name == REQUEST {
        SpanKind::Server
    } else {
        SpanKind::Internal
    };
    // Descriptions and events are text; links have attributes of their own.
    span.status = if matches!(span.status, Status::Error { .. }) {
        Status::error("")
    } else {
        Status::Unset
    };
    span.events = SpanEvents::default();
    span.links = SpanLinks::default();
    span
}

fn permit(attribute: KeyValue) -> Option<KeyValue> {
    let (_, name, form) = ATTRIBUTES
        .iter()
        .find(|(field, _, _)| *field == attribute.key.as_str())?;
    let value = match form {
        ValueForm::Name => {
            let text = attribute.value.as_str();
            is_name(&text).then(|| Value::from(text.into_owned()))
        }
        ValueForm::Number => number(&attribute.value).map(Value::I64),
    }?;
    Some(KeyValue::new(*name, value))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+{}*".contains(&byte))
}

/// `tracing-opentelemetry` records unsigned numbers as text.
fn number(value: &Value) -> Option<i64> {
    if let Value::I64(number) = value {
        return Some(*number);
    }
    value.as_str().parse().ok()
}
