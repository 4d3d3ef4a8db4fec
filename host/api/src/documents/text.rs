//! Sends a document while its text is read, piece by piece: a text of megabytes, and its JSON, which may be six times as long, are
//! never in memory as a whole.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use riad_api_types::documents::Document;
use riad_core::{Error, Result};
use riad_services::documents::{DocumentText, PIECE_BYTES};

/// JSON of one byte of text, at most.
const ESCAPED: u64 = 6;

/// Bytes that the answer has in memory at the same time: a piece as it is read and as JSON.
pub(super) fn answer_bytes(text_bytes: u64) -> u64 {
    text_bytes.min(PIECE_BYTES) * (ESCAPED + 1)
}

/// A `DocumentWithText`.
pub(super) fn answer(text: DocumentText) -> Result<Response> {
    let document = Document::from(text.document().clone());
    let mut head = serde_json::to_vec(&document).map_err(Error::internal)?;
    // Its closing brace comes after the text.
    head.pop();
    head.extend_from_slice(b",\"text\":\"");
    let pieces = stream::try_unfold(text, |mut text| async move {
        let piece = text.next().await?;
        Ok::<_, Error>(piece.map(|piece| (escape(&piece), text)))
    });
    let whole = stream::once(async { Ok(Bytes::from(head)) })
        .chain(pieces)
        .chain(stream::once(async { Ok(Bytes::from_static(b"\"}")) }));
    let body = Body::from_stream(whole.inspect_err(|error| tracing::error!(?error, "a document's text broke off")));
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

/// Bytes of a text as they stand in a JSON string. Those of other characters than ASCII's stay as they are, also if a piece ends
/// between them.
fn escape(text: &[u8]) -> Bytes {
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 8);
    for byte in text {
        match byte {
            b'"' => escaped.extend_from_slice(b"\\\""),
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            b'\n' => escaped.extend_from_slice(b"\\n"),
            b'\r' => escaped.extend_from_slice(b"\\r"),
            b'\t' => escaped.extend_from_slice(b"\\t"),
            // Below 0x20 the first digit is 0 or 1.
            0..0x20 => escaped.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + byte / 16, hex_digit(byte % 16)]),
            _ => escaped.push(*byte),
        }
    }
    escaped.into()
}

const fn hex_digit(value: u8) -> u8 {
    match value {
        0..10 => b'0' + value,
        _ => b'a' + value - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_wherever_it_is_cut() {
        let text: String = (0..0x180)
            .filter_map(char::from_u32)
            .chain("𝄞\u{2028}\\\"".chars())
            .collect();
        for cut in 0..=text.len() {
            let (one, two) = text.as_bytes().split_at(cut);
            let json = [b"\"", &*escape(one), &*escape(two), b"\""].concat();
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }
        let longest = escape(&[1; 100]);
        assert_eq!(longest.len() as u64, 100 * ESCAPED);
    }
}
