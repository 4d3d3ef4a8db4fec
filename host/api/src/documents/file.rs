//! A document's file: which kind it is, and its bytes as text. Not here: what a text may be (`services`).

use axum::extract::multipart::Field;
use percent_encoding::percent_decode_str;
use riad_core::{Error, Result};
use riad_services::chunking::Format;
use std::cmp::Ordering;

const PARAM: &str = "file";

/// How the files of other kinds begin.
const OTHER_KINDS: [(&[u8], &str); 11] = [
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive, as those of Office are"),
    (b"\xd0\xcf\x11\xe0", "an older file of Office"),
    (b"{\\rtf", "a file in RTF"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x7fELF", "a program"),
    (b"\0asm", "a program"),
];

/// A kind of text that the server can read.
pub(super) struct FileKind {
    pub format: Format,
    /// The file's name without folders and ending.
    pub stem: String,
}

impl FileKind {
    /// By the name that the form gives the file, before its bytes are read.
    ///
    /// # Errors
    /// `InvalidRequest` names the kind.
    pub fn of(field: &Field<'_>) -> Result<Self> {
        let name = extended_name(field).or_else(|| field.file_name().map(str::to_owned));
        let name = name.unwrap_or_default();
        // Some clients send the path.
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let Some((stem, ending)) = name.rsplit_once('.') else {
            return Err(wrong(format!(
                "the file's name must end in .txt or .md, and {name:?} has no ending"
            )));
        };
        let format = Format::of_file(name).ok_or_else(|| {
            wrong(format!(
                "files of the kind .{ending} cannot be read; send the text as .txt or .md"
            ))
        })?;
        Ok(Self {
            format,
            stem: stem.to_owned(),
        })
    }
}

/// The bytes as text: UTF-8, or UTF-16 with or without a mark. The mark itself is no part of it.
///
/// # Errors
/// `InvalidRequest` says what the file is instead.
pub(super) fn decode(bytes: &[u8]) -> Result<String> {
    if let Some((_, kind)) = OTHER_KINDS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(wrong(format!(
            "the file is {kind}, whatever its name says; send its text as .txt or .md"
        )));
    }
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            Err(wrong("the file is UTF-32; save it as UTF-8".to_owned()))
        }
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        _ if bytes.contains(&0) => unmarked_utf16(bytes),
        _ => {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = std::str::from_utf8(text);
            text.map(str::to_owned)
                .map_err(|_| wrong("the file is neither UTF-8 nor UTF-16; save it as UTF-8".to_owned()))
        }
    }
}

/// Spaces and line ends have a zero on the same side in every text, and few letters have one on the other.
fn unmarked_utf16(bytes: &[u8]) -> Result<String> {
    let zeros = |at: usize| bytes.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let text = match zeros(0).cmp(&zeros(1)) {
        Ordering::Less => utf16(bytes, u16::from_le_bytes).ok(),
        Ordering::Greater => utf16(bytes, u16::from_be_bytes).ok(),
        Ordering::Equal => None,
    };
    text.filter(|text| !text.contains('\0'))
        .ok_or_else(|| wrong("the file has zeros in it, so it is no text".to_owned()))
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<String> {
    let broken = || wrong("the file looks like UTF-16 and is not well-formed; save it as UTF-8".to_owned());
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(broken());
    }
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<std::result::Result<_, _>>();
    text.map_err(|_| broken())
}

/// `filename*` of RFC 8187: a name in UTF-8, which some clients send for other letters than ASCII's, alone or beside `filename`.
fn extended_name(field: &Field<'_>) -> Option<String> {
    let header = field.headers().get("content-disposition")?.as_bytes();
    let header = std::str::from_utf8(header).ok()?;
    let (_, value) = header
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("filename*"))?;
    let (charset, rest) = value.trim().trim_matches('"').split_once('\'')?;
    let (_, name) = rest.split_once('\'')?;
    let name = percent_decode_str(name);
    match charset.eq_ignore_ascii_case("utf-8") {
        true => name.decode_utf8().ok().map(Into::into),
        false => Some(name.map(char::from).collect()),
    }
}

fn wrong(message: String) -> Error {
    Error::invalid(message).with_param(PARAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_text_is_the_same_in_every_encoding() {
        let text = "Zürich und 東京,\n\u{1F600}.";
        let (little, big) = (units(text, u16::to_le_bytes), units(text, u16::to_be_bytes));
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            little.clone(),
            [&[0xff, 0xfe][..], &little].concat(),
            big.clone(),
            [&[0xfe, 0xff][..], &big].concat(),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text, "{bytes:x?}");
        }
        assert_eq!(decode(b"").unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, word) in [
            (&b"%PDF-1.7 ..."[..], "PDF"),
            (b"PK\x03\x04\x14\0", "ZIP"),
            (b"{\\rtf1", "RTF"),
            (b"\xff\xd8\xff\xe0", "image"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"\xff\xfea", "UTF-16"),
            (b"\xff\xfe\x00\xd8a\0", "UTF-16"),
            (b"caf\xe9", "UTF-8"),
            (b"a\0\0b", "zeros"),
            (b"a\0b\0\0\0c\0", "zeros"),
        ] {
            let error = decode(bytes).unwrap_err();
            assert!(error.message().contains(word), "{error}");
            assert_eq!(error.param(), Some("file"));
        }
    }
}
