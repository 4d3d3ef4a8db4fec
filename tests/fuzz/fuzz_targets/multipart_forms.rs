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
    // What a header cannot say, or says otherwise.
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-/ ".contains(c));
    if !plain(&document.name) || !plain(&document.media_type) || document.title.is_empty() {
        return;
    }
    let field = |name: &str, more: &str, value: &[u8]| {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    let media_type = match document.media_type.is_empty() {
        true => String::new(),
        false => format!("\r\nContent-Type: {}", document.media_type),
    };
    let file = format!("; filename=\"{}\"{media_type}", document.name);
    let form = [
        field("title", "", document.title.as_bytes()),
        field("metadata", "", document.metadata.as_bytes()),
        field("file", &file, &document.bytes),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat();
    let boundary = |text: &[u8]| text.windows(BOUNDARY.len()).filter(|part| *part == BOUNDARY.as_bytes()).count();
    if boundary(&form) != 4 {
        return;
    }
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let again = fuzzing::read_document_form(content_type.as_bytes(), &form);
    assert_eq!(again.as_ref().ok(), Some(document), "{:?}", again.as_ref().err());
}
