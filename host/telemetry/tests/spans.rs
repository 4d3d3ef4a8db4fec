//! The table of spans against the sources of every crate. What a collector receives is compared with it in
//! `tests/end-to-end/tests/telemetry/traces.rs`, which needs a model.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests; the hidden .clippy.toml relaxes only what stands inside #[test]"
)]

use riad_telemetry::{ATTRIBUTES, SPANS};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The level of spans that are sent; others would need `is_ours` of `trace.rs` to change.
const MACRO: &str = "info_span!(";

type Fields = BTreeMap<String, BTreeSet<String>>;

fn read_sources(folder: &Path, spans: &mut Fields) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, spans);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text: String = fs::read_to_string(&path)
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            for (place, _) in text.match_indices(MACRO) {
                add_span(arguments(&text[place + MACRO.len()..]), spans);
            }
        }
    }
}

/// The arguments of a macro call, from behind its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().unwrap().push(character);
    }
    arguments.iter().map(|argument| argument.trim().to_owned()).collect()
}

/// The name is the first text that is no `target:`; what follows are fields.
fn add_span(arguments: Vec<String>, spans: &mut Fields) {
    let mut rest = arguments
        .into_iter()
        .filter(|argument| !argument.starts_with("target:"));
    let name = rest.next().unwrap().trim_matches('"').to_owned();
    let fields = rest
        .map(|field| {
            field
                .split('=')
                .next()
                .unwrap()
                .trim_matches(['%', '?', ' '])
                .to_owned()
        })
        .filter(|field| !field.is_empty());
    spans.entry(name).or_default().extend(fields);
}

#[test]
fn the_table_has_the_spans_and_fields_of_the_sources() {
    let host = Path::new(env!("RIAD_SOURCE")).join("host");
    let mut made = Fields::new();
    for entry in fs::read_dir(host).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.is_dir() {
            read_sources(&source, &mut made);
        }
    }
    let listed: Fields = SPANS
        .iter()
        .map(|(name, fields)| {
            (
                (*name).to_owned(),
                fields.iter().map(|field| (*field).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(made, listed);
}

#[test]
fn the_fields_of_the_table_are_those_that_are_sent() {
    let listed: BTreeSet<&str> = SPANS.iter().flat_map(|(_, fields)| fields.iter().copied()).collect();
    let sent: BTreeSet<&str> = ATTRIBUTES.iter().map(|(field, _, _)| *field).collect();
    assert_eq!(listed, sent);
}
