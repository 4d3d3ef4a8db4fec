//! What of a span leaves the process: names and numbers from a list. A careless `info_span!(prompt = …)` elsewhere stays here.

use opentelemetry::{
    KeyValue, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;

/// What a field's value must look like to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Up to 128 of `A`–`Z`, `a`–`z`, `0`–`9` and `-_.:/+{}*`: what names, ids and routes are made of, and sentences are not.
    Name,
    /// A whole number, also one that was recorded as text.
    Number,
}

/// Fields of spans that are sent: the name in our code and in our log, the name in the trace, what it must look like. Names of
/// OpenTelemetry's semantic conventions (HTTP, generative AI, errors) where there are any.
pub const ATTRIBUTES: &[(&str, &str, Form)] = &[
    ("id", "riad.request.id", Form::Name),
    ("method", "http.request.method", Form::Name),
    ("route", "http.route", Form::Name),
    ("status", "http.response.status_code", Form::Number),
    ("error_kind", ERROR_TYPE, Form::Name),
    ("tenant", "riad.tenant", Form::Name),
    ("operation", "gen_ai.operation.name", Form::Name),
    ("model", "gen_ai.request.model", Form::Name),
    ("adapter", "riad.adapter", Form::Name),
    ("prompt_tokens", "gen_ai.usage.input_tokens", Form::Number),
    ("completion_tokens", "gen_ai.usage.output_tokens", Form::Number),
    ("embedded_tokens", "riad.embedded_tokens", Form::Number),
    ("finish_reason", "riad.finish_reason", Form::Name),
    ("choice", "riad.choice", Form::Number),
    ("outcome", "riad.outcome", Form::Name),
    ("plugin", "riad.plugin", Form::Name),
    ("stage", "riad.stage", Form::Name),
    ("fuel", "riad.fuel", Form::Number),
    ("lane", "riad.lane", Form::Number),
    ("queue_requests", "riad.queue_requests", Form::Number),
    ("passages", "riad.passages", Form::Number),
];

/// A span that has it has failed.
const ERROR_TYPE: &str = "error.type";
/// The span around an HTTP request: all others are internal.
const REQUEST: &str = "request";
const NAME_MAX: usize = 128;

pub(super) fn scrub(mut span: SpanData) -> SpanData {
    // A name in the code is borrowed from it. One that is owned was put together at run time, of who knows what.
    if let Cow::Owned(_) = span.name {
        span.name = Cow::Borrowed("renamed");
    }
    span.attributes = std::mem::take(&mut span.attributes)
        .into_iter()
        .filter_map(permitted)
        .collect();
    span.span_kind = if span.name == REQUEST {
        SpanKind::Server
    } else {
        SpanKind::Internal
    };
    // Descriptions and events are text; links bring attributes of their own, and nobody makes any.
    let failed = span
        .attributes
        .iter()
        .any(|attribute| attribute.key.as_str() == ERROR_TYPE);
    span.status = if failed || matches!(span.status, Status::Error { .. }) {
        Status::error("")
    } else {
        Status::Unset
    };
    span.events = SpanEvents::default();
    span.links = SpanLinks::default();
    span
}

fn permitted(attribute: KeyValue) -> Option<KeyValue> {
    let (_, name, form) = ATTRIBUTES
        .iter()
        .find(|(field, _, _)| *field == attribute.key.as_str())?;
    let value = match form {
        Form::Name => {
            let text = attribute.value.as_str();
            is_name(&text).then(|| Value::from(text.into_owned()))
        }
        Form::Number => number(&attribute.value).map(Value::I64),
    }?;
    Some(KeyValue::new(*name, value))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+{}*".contains(&byte))
}

/// The layer for spans records unsigned numbers as text.
fn number(value: &Value) -> Option<i64> {
    if let Value::I64(number) = value {
        return Some(*number);
    }
    value.as_str().parse().ok()
}
