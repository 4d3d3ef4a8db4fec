//! What a document says of itself, as a JSON object of texts. Dates are RFC 3339 or absent.

use crate::{limits, output::one_line};
use serde_json::{Map, Value};

#[derive(Default)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Sets a member unless it is set, or the text is empty.
    pub fn set(&mut self, key: &str, text: &str) {
        let text = one_line(text, limits::METADATA_CHARACTERS);
        if !text.is_empty() && !self.0.contains_key(key) {
            self.0.insert(key.to_string(), Value::String(text));
        }
    }

    /// Sets a date from what Office, OpenDocument, EPUB and HTML write, which is ISO 8601; anything else is left out.
    pub fn set_date(&mut self, key: &str, text: &str) {
        if let Some(date) = iso_date(text.trim()) {
            self.set(key, &date);
        }
    }

    /// Sets the language if the text has the form of a tag of BCP 47.
    pub fn set_language(&mut self, text: &str) {
        let text = text.trim().replace('_', "-");
        let mut parts = text.split('-');
        let primary = parts.next().unwrap_or_default();
        let is_tag = (2..=8).contains(&primary.len())
            && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
            && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if is_tag && text.len() <= 35 {
            self.set("language", &text);
        }
    }

    pub fn into_json(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// `2026-03-02T10:00:00Z` of it, or of a date alone; local times are taken for UTC, because nothing else is known of them.
fn iso_date(text: &str) -> Option<String> {
    let digits = |from: usize, to: usize, most: u32| -> Option<u32> {
        let part = text.get(from..to)?;
        let number = part
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())??;
        (number <= most).then_some(number)
    };
    let separators =
        |positions: &[(usize, &str)]| positions.iter().all(|(at, mark)| text.get(*at..at + 1) == Some(mark));
    let (year, month, day) = (digits(0, 4, 9999)?, digits(5, 7, 12)?, digits(8, 10, 31)?);
    if !separators(&[(4, "-"), (7, "-")]) || month == 0 || day == 0 {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if text.len() == 10 {
        return Some(format!("{date}T00:00:00Z"));
    }
    let (hour, minute, second) = (
        digits(11, 13, 23)?,
        digits(14, 16, 59)?,
        digits(17, 19, 60).unwrap_or(0),
    );
    if !separators(&[(10, "T"), (13, ":")]) {
        return None;
    }
    let rest = text.get(16..).unwrap_or_default();
    let zone = rest.find(['Z', '+', '-']).and_then(|at| rest.get(at..)).unwrap_or("Z");
    let is_offset = zone.len() == 6
        && zone
            .bytes()
            .enumerate()
            .skip(1)
            .all(|(at, byte)| if at == 3 { byte == b':' } else { byte.is_ascii_digit() });
    let zone = if is_offset { zone } else { "Z" };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_rfc_3339_or_nothing() {
        for (text, expected) in [
            ("2026-03-02", Some("2026-03-02T00:00:00Z")),
            ("2026-03-02T10:11:12Z", Some("2026-03-02T10:11:12Z")),
            ("2026-03-02T10:11:12.345678", Some("2026-03-02T10:11:12Z")),
            ("2026-03-02T10:11:12+01:00", Some("2026-03-02T10:11:12+01:00")),
            ("2026-03-02T10:11", Some("2026-03-02T10:11:00Z")),
            ("2026-13-02", None),
            ("2. März 2026", None),
            ("２０２６-03-02", None),
            ("", None),
        ] {
            assert_eq!(iso_date(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_set_first_stays() {
        let mut metadata = Metadata::default();
        metadata.set("author", " Ada \n Lovelace ");
        metadata.set("author", "Bob");
        metadata.set("subject", " ");
        metadata.set_language("de_AT");
        assert_eq!(metadata.into_json(), r#"{"author":"Ada Lovelace","language":"de-AT"}"#);
    }

    #[test]
    fn a_language_that_is_no_tag_is_left_out() {
        for text in ["", "x", "German language", "de-", "en-\u{e9}"] {
            let mut metadata = Metadata::default();
            metadata.set_language(text);
            assert_eq!(metadata.into_json(), "{}", "{text}");
        }
    }
}
