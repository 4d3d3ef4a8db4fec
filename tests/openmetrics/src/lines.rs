//! One line of the text.

use crate::scrape::{MetricType, Sample};
use std::{iter::Peekable, str::Chars};

pub(super) enum Line {
    Help { name: String, text: String },
    Type { name: String, kind: MetricType },
    Unit { name: String, unit: String },
    Sample(Sample),
}

/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str, line: usize) -> Result<Line, String> {
    match text.strip_prefix('#') {
        Some(rest) => description(rest),
        None => sample(text, line).map(Line::Sample),
    }
}

fn description(rest: &str) -> Result<Line, String> {
    let mut words = rest.splitn(4, ' ');
    let (Some(""), Some(keyword), Some(name), Some(text)) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(
            "a line beginning with # is `# HELP name text`, `# TYPE name type` or `# UNIT name unit`".to_owned(),
        );
    };
    if !is_metric_name(name) {
        return Err(format!("{name:?} is no name of a metric"));
    }
    let name = name.to_owned();
    match keyword {
        "HELP" => Ok(Line::Help {
            name,
            text: help(text)?,
        }),
        "TYPE" => Ok(Line::Type {
            name,
            kind: kind(text)?,
        }),
        "UNIT" => Ok(Line::Unit {
            name,
            unit: text.to_owned(),
        }),
        other => Err(format!("{other:?} is none of HELP, TYPE and UNIT")),
    }
}

fn help(text: &str) -> Result<String, String> {
    let mut chars = text.chars();
    let mut help = String::new();
    while let Some(char) = chars.next() {
        help.push(match char {
            '\\' => escaped(chars.next())?,
            plain => plain,
        });
    }
    Ok(help)
}

fn kind(text: &str) -> Result<MetricType, String> {
    match text {
        "counter" => Ok(MetricType::Counter),
        "gauge" => Ok(MetricType::Gauge),
        "histogram" => Ok(MetricType::Histogram),
        other => Err(format!("{other:?} is none of counter, gauge and histogram")),
    }
}

fn sample(text: &str, line: usize) -> Result<Sample, String> {
    let end = text
        .find(['{', ' '])
        .ok_or("a sample is a name, labels in braces if it has any, a space and a value")?;
    let (name, rest) = text.split_at(end);
    if !is_metric_name(name) {
        return Err(format!("{name:?} is no name of a metric"));
    }
    let mut chars = rest.chars().peekable();
    let labels = match chars.next_if_eq(&'{') {
        Some(_) => labels(&mut chars)?,
        None => Vec::new(),
    };
    if chars.next() != Some(' ') {
        return Err("no space before the value".to_owned());
    }
    let value: String = chars.collect();
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: number(&value)?,
        line,
    })
}

/// What follows the opening brace, the closing one included.
fn labels(chars: &mut Peekable<Chars<'_>>) -> Result<Vec<(String, String)>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    if chars.next_if_eq(&'}').is_some() {
        return Ok(labels);
    }
    loop {
        let mut name = String::new();
        while let Some(char) = chars.next_if(|char| *char != '=') {
            name.push(char);
        }
        if !is_label_name(&name) {
            return Err(format!("{name:?} is no name of a label"));
        }
        if labels.iter().any(|(known, _)| *known == name) {
            return Err(format!("the label {name} stands there twice"));
        }
        if chars.next() != Some('=') || chars.next() != Some('"') {
            return Err(format!("no =\" after the label {name}"));
        }
        labels.push((name, quoted(chars)?));
        match chars.next() {
            Some(',') => {}
            Some('}') => return Ok(labels),
            Some(_) | None => return Err("labels are separated by commas and end with a brace".to_owned()),
        }
    }
}

/// What follows the opening quote, the closing one included.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut value = String::new();
    loop {
        match chars.next() {
            Some('"') => return Ok(value),
            Some('\\') => value.push(escaped(chars.next())?),
            Some(plain) => value.push(plain),
            None => return Err("a label's value does not end".to_owned()),
        }
    }
}

fn escaped(char: Option<char>) -> Result<char, String> {
    match char {
        Some('n') => Ok('\n'),
        Some(same @ ('\\' | '"')) => Ok(same),
        Some(other) => Err(format!("\\{other} escapes nothing")),
        None => Err("a backslash at the end".to_owned()),
    }
}

/// Rust reads more words for infinities than the format has.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let value = match text {
        "NaN" => Some(f64::NAN),
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ if text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte)) => text.parse().ok(),
        _ => None,
    };
    value.ok_or_else(|| format!("{text:?} is no number"))
}

/// Without the colon that the format permits: it is for names of recording rules.
fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Two underscores at the beginning are Prometheus' own.
fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.starts_with("__")
}
