//! A document in a multipart form, after a first line that is its `Content-Type`. What was read can be written as a form again
//! and is then read the same; what is refused is the sender's fault.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_api::fuzzing::{self, Document};
use riad_core::ErrorKind;

/// Longer than any text could repeat by accident; a text that has it is left out.
const BOUNDARY: &str = "riad-fuzz-4f1c9a2be07d";

fuzz_target!(|data: &[u8]| {
    let (content_type, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    match fuzzing::read_document_form(content_type, body) {
        Ok(document) => check(&document),
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::TooLarge),
            "{error}"
        ),
    }
});

fn check(document: &Document) {
    let parts = [&document.title, &document.text, &document.metadata];
    if parts.iter().any(|part| part.contains(BOUNDARY)) {
        return;
    }
    let file = if document.markdown { "a.md" } else { "a.txt" };
    let field = |name: &str, more: &str, value: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
    };
    let form = [
        field("title", "", &document.title),
        field("metadata", "", &document.metadata),
        field("file", &format!("; filename=\"{file}\""), &document.text),
        format!("--{BOUNDARY}--\r\n"),
    ]
    .concat();
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let again = fuzzing::read_document_form(content_type.as_bytes(), form.as_bytes());
    assert_eq!(again.as_ref().ok(), Some(document), "{:?}", again.as_ref().err());
}
