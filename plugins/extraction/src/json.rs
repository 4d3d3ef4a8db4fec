//! JSON and lines of JSON as lines `path: value`, one section per element of the outermost list. Streams: no tree is in memory.

use crate::output::{Output, Result, malformed, too_large};
use riad_sdk::{Extracted, ExtractionError, ExtractionOptions, SectionKind};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// `serde_json` recurses no deeper than 128.
const DEPTH: usize = 100;
/// Characters of one key in a path, and bytes of a path.
const KEY_CHARACTERS: usize = 200;
const PATH_BYTES: usize = 1_000;

/// Whether the bytes are one value of JSON, or several. Costs one pass.
pub fn is_json(bytes: &[u8]) -> bool {
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let mut any = false;
    for value in values {
        match value {
            Ok(_) => any = true,
            Err(_) => return false,
        }
    }
    any
}

/// # Errors
/// `Malformed` with line and column, `NoText`, `TooLarge`.
pub fn extract(text: &str, options: ExtractionOptions) -> Result<Extracted> {
    let is_lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(2)
        .all(is_object)
        && text.trim().contains('\n');
    let media_type = if is_lines {
        "application/jsonl"
    } else {
        "application/json"
    };
    let mut output = Output::new(media_type, options);
    output.begin_kind(SectionKind::Rows)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    while deserializer.end().is_err() {
        let mut writer = Writer {
            output: &mut output,
            path: String::new(),
            error: None,
        };
        let read = Value {
            writer: &mut writer,
            depth: 0,
        }
        .deserialize(&mut deserializer);
        if let Some(error) = writer.error {
            return Err(error);
        }
        read.map_err(|error| malformed(format!("the file is no JSON: {error}")))?;
        output.end_section()?;
    }
    output.finish("the JSON has no values")
}

fn is_object(line: &str) -> bool {
    line.starts_with('{') && line.ends_with('}')
}

struct Writer<'a> {
    output: &'a mut Output,
    path: String,
    /// What stopped the reading, if it was not the JSON.
    error: Option<ExtractionError>,
}

impl Writer<'_> {
    fn write<E: Error>(&mut self, value: impl fmt::Display) -> std::result::Result<(), E> {
        let line = if self.path.is_empty() {
            value.to_string()
        } else {
            format!("{}: {value}", self.path)
        };
        let written = self.output.line(&line);
        self.check(written)
    }

    fn check<E: Error>(&mut self, result: Result<()>) -> std::result::Result<(), E> {
        result.map_err(|error| {
            self.error = Some(error);
            E::custom("stopped")
        })
    }
}

struct Value<'a, 'b> {
    writer: &'a mut Writer<'b>,
    depth: usize,
}

impl<'a, 'b> Value<'a, 'b> {
    fn inner(&mut self) -> Value<'_, 'b> {
        Value {
            writer: self.writer,
            depth: self.depth + 1,
        }
    }

    fn check_depth<E: Error>(&mut self) -> std::result::Result<(), E> {
        let is_over = self.depth >= DEPTH;
        let error = || too_large(format!("the JSON has more than {DEPTH} values in each other"));
        self.writer.check(if is_over { Err(error()) } else { Ok(()) })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> std::result::Result<(), E> {
        self.writer.write(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> std::result::Result<(), E> {
        self.writer.write(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> std::result::Result<(), E> {
        self.writer.write(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> std::result::Result<(), E> {
        self.writer.write(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> std::result::Result<(), E> {
        self.writer.write(value)
    }

    fn visit_unit<E: Error>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
        self.check_depth()?;
        while list.next_element_seed(self.inner())?.is_some() {
            if self.depth == 0 {
                let ended = self.writer.output.end_section();
                self.writer.check(ended)?;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
        self.check_depth()?;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let length = self.writer.path.len();
            if length < PATH_BYTES {
                if length > 0 {
                    self.writer.path.push('.');
                }
                self.writer.path.extend(key.chars().take(KEY_CHARACTERS));
            }
            map.next_value_seed(self.inner())?;
            self.writer.path.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 1 << 20,
        max_sections: 1000,
    };

    fn texts(json: &str) -> Vec<String> {
        extract(json, OPTIONS)
            .unwrap()
            .sections
            .into_iter()
            .map(|section| section.text)
            .collect()
    }

    #[test]
    fn values_stand_behind_their_paths() {
        assert_eq!(
            texts(r#"{"a": {"b": [1, true, null, "x\ny"]}, "c": -2.5}"#),
            ["a.b: 1\na.b: true\na.b: x\ny\nc: -2.5"]
        );
    }

    #[test]
    fn each_element_and_each_line_is_a_section() {
        assert_eq!(texts(r#"[{"a": 1}, {"a": 2}]"#), ["a: 1", "a: 2"]);
        assert_eq!(texts("{\"a\": 1}\n{\"a\": 2}\n"), ["a: 1", "a: 2"]);
        let extracted = extract("{\"a\": 1}\n{\"a\": 2}\n", OPTIONS).unwrap();
        assert_eq!(extracted.media_type, "application/jsonl");
    }

    #[test]
    fn broken_json_names_its_line() {
        let error = extract("{\"a\": 1,\n\"b\": }", OPTIONS).unwrap_err();
        assert!(matches!(error, ExtractionError::Malformed(text) if text.contains("line 2")));
    }

    #[test]
    fn deep_json_is_too_large() {
        for open in ["[", "{\"a\":"] {
            let error = extract(&open.repeat(1_000_000), OPTIONS).unwrap_err();
            assert!(matches!(error, ExtractionError::TooLarge(text) if text.contains("100")));
        }
    }
}
