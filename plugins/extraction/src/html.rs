//! HTML: the text of a page without its navigation. Tokens drive a small stack of open elements instead of a tree, so that neither memory
//! nor time depend on how deep a page nests.

mod tokens;
mod walk;

use crate::output::{Output, Result};
use riad_sdk::{Extracted, ExtractionOptions};
use tokens::{Tag, Token, Tokens};
use walk::Walk;

/// # Errors
/// `NoText`, `TooLarge`.
pub fn extract(text: &str, options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new("text/html", options);
    let first = write(text, &mut output)?;
    output.suggest_title(&first);
    output.finish("the page has no text")
}

/// Writes a page's text, and its title and metadata where there are none yet. Returns its first heading of the first level.
///
/// # Errors
/// `TooLarge`.
pub fn write(text: &str, output: &mut Output) -> Result<String> {
    read_head(text, output);
    let before = output.is_empty();
    let first = Walk::new(output, true).run(text)?;
    // A page that is nothing but navigation, or does not end it.
    if before && output.is_empty() {
        return Walk::new(output, false).run(text);
    }
    Ok(first)
}

/// The encoding that a page declares.
pub fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(2048)).unwrap_or(bytes)).to_ascii_lowercase();
    let label = |after: &str| {
        let (_, rest) = head.split_once(after)?;
        let rest = rest.trim_start_matches(['"', '\'', ' ']);
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)))
            .unwrap_or(rest.len());
        rest.get(..end).filter(|label| !label.is_empty()).map(str::to_string)
    };
    label("charset=").or_else(|| label("encoding="))
}

fn read_head(text: &str, output: &mut Output) {
    let mut in_title = false;
    for token in Tokens::new(text) {
        match token {
            Token::Start(tag) => match tag.name.as_str() {
                "title" => in_title = true,
                "html" => {
                    if let Some(language) = tag.attribute("lang") {
                        output.metadata.set_language(language);
                    }
                }
                "meta" => meta(&tag, output),
                "body" | "p" | "div" | "h1" => break,
                _ => in_title = false,
            },
            Token::Text(text) if in_title => output.suggest_title(&text),
            Token::Text(_) => {}
            Token::End(name) => {
                in_title = false;
                if name == "head" {
                    break;
                }
            }
        }
    }
}

fn meta(tag: &Tag, output: &mut Output) {
    let Some(content) = tag.attribute("content") else {
        return;
    };
    let name = tag
        .attribute("name")
        .or_else(|| tag.attribute("property"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    match name.as_str() {
        "author" | "dc.creator" | "article:author" => output.metadata.set("author", content),
        "description" | "og:description" | "dc.description" => output.metadata.set("description", content),
        "keywords" => output.metadata.set("keywords", content),
        "dc.subject" => output.metadata.set("subject", content),
        "dc.language" => output.metadata.set_language(content),
        "date" | "dc.date" | "article:published_time" => output.metadata.set_date("created", content),
        "last-modified" | "article:modified_time" => output.metadata.set_date("modified", content),
        _ => {}
    }
}

/// Text with white space as a browser shows it.
fn push_collapsed(text: &str, into: &mut String) {
    let mut is_spaced = into.is_empty() || into.ends_with([' ', '\n']);
    for character in text.chars() {
        if character.is_whitespace() {
            if !is_spaced {
                into.push(' ');
            }
            is_spaced = true;
        } else if !matches!(character, '\u{ad}' | '\u{200b}' | '\u{feff}') {
            into.push(character);
            is_spaced = false;
        }
    }
}

#[cfg(test)]
mod tests;
