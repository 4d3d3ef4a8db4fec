//! Plain text and source code, which stay as they are. Not here: their encoding (`encoding`).

use crate::{
    encoding::Decoded,
    output::{Output, Result},
};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};
use std::borrow::Cow;

/// Text, one section per page where form feeds separate pages.
///
/// # Errors
/// `NoText`, `TooLarge`.
pub fn plain(text: &str, options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new("text/plain", options);
    let pages: Vec<&str> = text.split('\x0c').collect();
    for (index, page) in pages.iter().enumerate() {
        if pages.len() > 1 {
            output.begin_page(u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        }
        output.line(page.trim_start_matches('\n'))?;
    }
    output.finish("the file has nothing but space in it")
}

/// # Errors
/// `NoText`, `TooLarge`.
pub fn code(text: &str, media_type: &'static str, options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new(media_type, options);
    output.begin_kind(SectionKind::Code)?;
    output.line(text.trim_start_matches('\n'))?;
    output.finish("the file has nothing but space in it")
}

/// Ends lines with `\n`, and takes terminals' colors and overstruck letters out.
pub fn normalize(text: String) -> String {
    let text = if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text
    };
    if text.contains(['\x1b', '\x08']) {
        without_escapes(&text).into_owned()
    } else {
        text
    }
}

fn without_escapes(text: &str) -> Cow<'_, str> {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x08' => {
                clean.pop();
            }
            '\x1b' => {
                if characters.next_if_eq(&'[').is_some() {
                    while characters
                        .next_if(|next| !next.is_ascii_alphabetic() && *next != '\n')
                        .is_some()
                    {}
                    characters.next_if(char::is_ascii_alphabetic);
                }
            }
            other => clean.push(other),
        }
    }
    Cow::Owned(clean)
}

/// The warning of a text with broken bytes in it.
pub fn warning(decoded: &Decoded) -> Option<String> {
    (decoded.broken > 0).then(|| format!("{} characters were broken and stand as \u{fffd}", decoded.broken))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 1 << 20,
        max_sections: 1000,
    };

    #[test]
    fn text_stays_as_it_is_but_for_line_ends() {
        let text = normalize("a\r\nb\rc\n\n  d\n".to_string());
        let extracted = plain(&text, OPTIONS).unwrap();
        assert_eq!(extracted.sections.len(), 1);
        assert_eq!(extracted.sections[0].text, "a\nb\nc\n\n  d");
        assert_eq!(extracted.sections[0].page, None);
    }

    #[test]
    fn form_feeds_separate_pages() {
        let extracted = plain("one\x0c\n\x0cthree", OPTIONS).unwrap();
        let pages: Vec<_> = extracted
            .sections
            .iter()
            .map(|section| (section.page, section.text.as_str()))
            .collect();
        assert_eq!(pages, [(Some(1), "one"), (Some(3), "three")]);
    }

    #[test]
    fn colors_and_overstruck_letters_go() {
        assert_eq!(normalize("\x1b[1;31mred\x1b[0m N\x08NA\x08A".to_string()), "red NA");
    }

    #[test]
    fn code_keeps_its_indentation() {
        let extracted = code("\n  fn a() {\n\tb\n  }\n", "text/x-rust", OPTIONS).unwrap();
        assert_eq!(extracted.sections[0].text, "  fn a() {\n\tb\n  }");
        assert_eq!(extracted.sections[0].kind, SectionKind::Code);
    }
}
