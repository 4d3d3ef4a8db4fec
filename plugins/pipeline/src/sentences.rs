//! A passage's text as clean sentences: Markdown's marks gone, one line each, whole. Headings are kept apart: they say
//! what the sentences beneath are about, and are not quoted. Not here: which sentences a prompt keeps (`window`).

use std::borrow::Cow;

/// A sentence and the heading above it (empty without one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    pub text: String,
    pub heading: String,
}

/// Words before a full stop that do not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "st", "vs", "etc", "e.g", "i.e", "cf", "approx", "fig", "inc", "ltd", "jr", "sr",
    "no", "nr", "z.b", "d.h", "bzw", "ca", "u.a",
];

/// The sentences of a text. A text of headings only gives the headings.
#[must_use]
pub fn sentences(text: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut headings = Vec::new();
    let mut heading = String::new();
    let mut paragraph = String::new();
    let mut end = |paragraph: &mut String, heading: &str| {
        for text in split(paragraph) {
            found.push(Sentence {
                text,
                heading: heading.to_string(),
            });
        }
        paragraph.clear();
    };
    for line in text.lines() {
        match Line::of(line) {
            Line::Blank => end(&mut paragraph, &heading),
            Line::Heading(title) => {
                end(&mut paragraph, &heading);
                heading = inline(title);
                headings.push(heading.clone());
            }
            Line::Item(item) => {
                end(&mut paragraph, &heading);
                paragraph.push_str(item);
            }
            Line::Row(row) => {
                end(&mut paragraph, &heading);
                paragraph.push_str(&row);
                end(&mut paragraph, &heading);
            }
            Line::Text(text) => {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(text);
            }
        }
    }
    end(&mut paragraph, &heading);
    if found.is_empty() {
        found = headings
            .into_iter()
            .flat_map(|title| split(&title))
            .map(|text| Sentence {
                text,
                heading: String::new(),
            })
            .collect();
    }
    found
}

enum Line<'a> {
    Blank,
    Heading(&'a str),
    Item(&'a str),
    Row(String),
    Text(&'a str),
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim().trim_start_matches(['>', ' ']);
        if line.is_empty() || line.starts_with("```") || line.starts_with("~~~") {
            return Self::Blank;
        }
        if line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | ' ')) {
            return Self::Blank;
        }
        let marks = line.len() - line.trim_start_matches('#').len();
        if (1..=6).contains(&marks) && line.trim_start_matches('#').starts_with([' ', '\t']) {
            return Self::Heading(line.trim_matches('#').trim());
        }
        for mark in ["- ", "* ", "+ ", "• "] {
            if let Some(item) = line.strip_prefix(mark) {
                return Self::Item(item.trim());
            }
        }
        let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = line.len() - after_number.len();
        if (1..=3).contains(&digits)
            && let Some(item) = after_number
                .strip_prefix(". ")
                .or_else(|| after_number.strip_prefix(") "))
        {
            return Self::Item(item.trim());
        }
        if line.starts_with('|') && line.ends_with('|') {
            let cells: Vec<&str> = line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
            if cells.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':'))) {
                return Self::Blank;
            }
            return Self::Row(cells.join(", "));
        }
        Self::Text(line)
    }
}

/// Splits clean text at the ends of its sentences. What ends without a mark gets a full stop, so that it does not run into
/// the sentence that follows.
fn split(paragraph: &str) -> Vec<String> {
    let text = inline(paragraph);
    let mut found = Vec::new();
    let mut current = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        current.push(character);
        let ends = match character {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => {
                while let Some(closing) =
                    characters.next_if(|c| matches!(c, '.' | '!' | '?' | '"' | '”' | '’' | '\'' | ')' | ']' | '»'))
                {
                    current.push(closing);
                }
                // A small letter after the space: an abbreviation, or a name such as `node.js`.
                let mut ahead = characters.clone();
                ahead.next() == Some(' ')
                    && ahead.next().is_none_or(|next| !next.is_lowercase())
                    && !(character == '.' && abbreviated(&current))
            }
            _ => false,
        };
        if ends {
            keep(&mut found, &mut current);
        }
    }
    keep(&mut found, &mut current);
    found
}

fn keep(found: &mut Vec<String>, current: &mut String) {
    let sentence = current.trim();
    if sentence.chars().any(char::is_alphanumeric) {
        let mut sentence = sentence.to_string();
        let ended = sentence
            .trim_end_matches(['"', '”', '’', '\'', ')', ']', '»'])
            .ends_with(['.', '!', '?', '。', '！', '？']);
        if !ended {
            sentence.truncate(sentence.trim_end_matches([',', ';', ':', ' ']).len());
            sentence.push('.');
        }
        found.push(sentence);
    }
    current.clear();
}

fn abbreviated(current: &str) -> bool {
    let Some(before) = current.strip_suffix('.') else {
        return false;
    };
    let word = before.rsplit([' ', '(', '"']).next().unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    initial || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// One line without Markdown's inline marks: emphasis, code, links, and runs of white space.
fn inline(text: &str) -> String {
    let text = match text.contains(['*', '_', '`', '[']) {
        true => Cow::Owned(links(&text.replace("**", "").replace("__", "").replace('`', ""))),
        false => Cow::Borrowed(text),
    };
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// `[text](address)` becomes `text`.
fn links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let link = after.split_once("](").and_then(|(label, tail)| {
            let (_, tail) = tail.split_once(')')?;
            (!label.contains(['[', ']'])).then_some((label, tail))
        });
        match link {
            Some((label, tail)) => {
                if out.ends_with('!') {
                    out.pop();
                }
                out.push_str(label);
                rest = tail;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        sentences(text).into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn sentences_end_where_they_end() {
        assert_eq!(
            texts("The window is 41 days. Is it? Yes!\nDr. Lund pays 3.50 euros, e.g. by card. \"Fine.\" Next one"),
            [
                "The window is 41 days.",
                "Is it?",
                "Yes!",
                "Dr. Lund pays 3.50 euros, e.g. by card.",
                "\"Fine.\"",
                "Next one."
            ]
        );
        assert_eq!(texts("退款期为41天。送货免费。"), ["退款期为41天。", "送货免费。"]);
        assert!(texts(" \n***\n").is_empty());
    }

    #[test]
    fn markdown_becomes_sentences() {
        let text = "# Refunds\n\nThe **window** is\n41 days, see [terms](https://example.org/a_b).\n\n## Items\n\n- Drill: 89 euros\n* Saw\n1. `Sander`\n\n> Quoted.\n\n```\ncode\n```\n| a | b |\n|---|:-:|\n| 1 | 2 |";
        assert_eq!(
            texts(text),
            [
                "The window is 41 days, see terms.",
                "Drill: 89 euros.",
                "Saw.",
                "Sander.",
                "Quoted.",
                "code.",
                "a, b.",
                "1, 2."
            ]
        );
        let found = sentences(text);
        assert_eq!(found.first().unwrap().heading, "Refunds");
        assert_eq!(found.last().unwrap().heading, "Items");
    }

    #[test]
    fn headings_alone_are_the_text() {
        assert_eq!(texts("# Kestrel drill\n"), ["Kestrel drill."]);
    }

    #[test]
    fn what_only_looks_like_markdown_stays() {
        assert_eq!(
            texts("#hashtag wins. Item [3] of 5 * 2."),
            ["#hashtag wins.", "Item [3] of 5 * 2."]
        );
    }
}
