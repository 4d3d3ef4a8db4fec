//! Markdown: headings become the path of sections, whose text is the source between them. A scanner of lines, linear in any input.

use crate::output::{Output, Result};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};

/// # Errors
/// `NoText`, `TooLarge`.
pub fn extract(text: &str, options: ExtractionOptions) -> Result<Extracted> {
    let mut output = Output::new("text/markdown", options);
    output.begin_kind(SectionKind::Markdown)?;
    let mut from = front_matter(text, &mut output);
    let mut at = from;
    let mut fence: Option<(char, usize)> = None;
    let mut in_comment = false;
    // Where the line before began, if it is a paragraph of one line, which `===` below makes a heading.
    let mut paragraph: Option<usize> = None;
    for line in text.get(from..).unwrap_or_default().split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if let Some((mark, length)) = fence {
            let count = trimmed.chars().take_while(|character| *character == mark).count();
            if count >= length && trimmed.chars().all(|character| character == mark) {
                fence = None;
            }
            continue;
        }
        if in_comment {
            in_comment = !trimmed.contains("-->");
            continue;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(opened) = opens_fence(trimmed) {
            fence = Some(opened);
            paragraph = None;
        } else if trimmed.starts_with("<!--") {
            in_comment = !trimmed.contains("-->");
            paragraph = None;
        } else if indent <= 3
            && let Some((level, title)) = atx_heading(trimmed)
        {
            output.line(text.get(from..start).unwrap_or_default().trim_start_matches('\n'))?;
            heading(&mut output, level, title)?;
            from = at;
            paragraph = None;
        } else if indent <= 3
            && let (Some(level), Some(title_at)) = (underline(trimmed), paragraph)
        {
            output.line(text.get(from..title_at).unwrap_or_default().trim_start_matches('\n'))?;
            heading(&mut output, level, text.get(title_at..start).unwrap_or_default())?;
            from = at;
            paragraph = None;
        } else {
            let may_be_title = indent <= 3
                && !trimmed.is_empty()
                && !trimmed.starts_with(['>', '|', '-', '*', '+', '<'])
                && !trimmed.starts_with(|character: char| character.is_ascii_digit());
            // A second line of the same paragraph is no title of its own.
            let follows_text = paragraph.is_some()
                || text.get(from..start).unwrap_or_default().ends_with(|c: char| c != '\n')
                || !is_after_blank(text, from, start);
            paragraph = (may_be_title && !follows_text).then_some(start);
        }
    }
    output.line(text.get(from..).unwrap_or_default().trim_start_matches('\n'))?;
    output.finish("the file has nothing but space in it")
}

fn is_after_blank(text: &str, from: usize, start: usize) -> bool {
    let before = text.get(from..start).unwrap_or_default();
    before.is_empty() || before.trim_end_matches([' ', '\t']).ends_with("\n\n") || before == "\n"
}

fn opens_fence(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start_matches(['>', ' ']);
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.chars().take_while(|character| *character == mark).count();
    let info = line.get(length..).unwrap_or_default();
    (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length))
}

fn atx_heading(line: &str) -> Option<(u8, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = line.get(level..)?;
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim();
    let closed = rest.trim_end_matches('#');
    let title = if closed.is_empty() || closed.ends_with([' ', '\t']) {
        closed
    } else {
        rest
    };
    Some((u8::try_from(level).unwrap_or(6), title.trim()))
}

fn underline(line: &str) -> Option<u8> {
    let is_all = |mark: char| line.len() >= 2 && line.chars().all(|character| character == mark);
    if is_all('=') {
        Some(1)
    } else if is_all('-') {
        Some(2)
    } else {
        None
    }
}

fn heading(output: &mut Output, level: u8, source: &str) -> Result<()> {
    let title = inline_text(source.trim());
    if level == 1 {
        output.suggest_title(&title);
    }
    output.heading(level, &title)
}

/// A heading without the marks of emphasis, code and links.
fn inline_text(source: &str) -> String {
    let source = source
        .rsplit_once(" {#")
        .filter(|(_, id)| id.ends_with('}'))
        .map_or(source, |(text, _)| text);
    let mut text = String::with_capacity(source.len());
    let mut characters = source.chars().peekable();
    let mut in_target = false;
    while let Some(character) = characters.next() {
        match character {
            ')' if in_target => in_target = false,
            _ if in_target => {}
            '\\' => text.extend(characters.next_if(char::is_ascii_punctuation)),
            '*' | '`' | '[' => {}
            '!' if characters.peek() == Some(&'[') => {}
            ']' => in_target = characters.next_if_eq(&'(').is_some(),
            other => text.push(other),
        }
    }
    text
}

/// Reads the YAML between `---` lines at the beginning, and returns where the text begins.
fn front_matter(text: &str, output: &mut Output) -> usize {
    let mut lines = text.split_inclusive('\n');
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return 0;
    }
    let mut end = text.find('\n').map_or(text.len(), |at| at + 1);
    let mut members = Vec::new();
    for line in lines.take(500) {
        end += line.len();
        let trimmed = line.trim_end();
        if trimmed == "---" || trimmed == "..." {
            for (key, value) in members {
                member(output, key, value);
            }
            return end;
        }
        if let Some((key, value)) = trimmed.split_once(':') {
            members.push((key, value.trim().trim_matches(['"', '\''])));
        }
    }
    0
}

fn member(output: &mut Output, key: &str, value: &str) {
    match key {
        "title" => output.suggest_title(value),
        "author" | "subject" | "description" | "keywords" => output.metadata.set(key, value),
        "date" => output.metadata.set_date("created", value),
        "lang" | "language" => output.metadata.set_language(value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 1 << 20,
        max_sections: 1000,
    };

    fn sections(text: &str) -> Vec<(String, String)> {
        let sections = extract(text, OPTIONS).unwrap().sections;
        sections
            .into_iter()
            .map(|section| (section.heading.join(" > "), section.text))
            .collect()
    }

    fn pair(heading: &str, text: &str) -> (String, String) {
        (heading.to_string(), text.to_string())
    }

    #[test]
    fn headings_of_both_forms_are_found() {
        assert_eq!(
            sections("intro\n\n# A *b* `c`\none\n## [D](http://x) ##\n\ntwo\n\nE\n===\nthree\n\nF\n---\nfour\n"),
            [
                pair("", "intro"),
                pair("A b c", "one"),
                pair("A b c > D", "two"),
                pair("E", "three"),
                pair("E > F", "four")
            ]
        );
    }

    #[test]
    fn what_stands_in_code_is_no_heading() {
        let text = "# A\n```sh\n# no heading\n~~~\n```\n\n    # nor this\n\n<!--\n# nor this\n-->\n#nor\n";
        let found = sections(text);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.starts_with("```sh\n# no heading"));
    }

    #[test]
    fn rules_and_tables_are_no_headings() {
        let text = "one\ntwo\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- x\n---\n";
        assert_eq!(sections(text), [pair("", text.trim_end())]);
    }

    #[test]
    fn front_matter_is_metadata() {
        let extracted = extract(
            "---\ntitle: \"Guide\"\nauthor: Ada\ndate: 2026-03-02\nlang: de\n---\n# One\ntext\n",
            OPTIONS,
        )
        .unwrap();
        assert_eq!(extracted.title, "Guide");
        assert_eq!(
            extracted.metadata,
            r#"{"author":"Ada","created":"2026-03-02T00:00:00Z","language":"de"}"#
        );
        assert_eq!(extracted.sections[0].text, "text");
    }

    #[test]
    fn headings_alone_are_text() {
        assert_eq!(sections("# A\n# B\n"), [pair("", "A"), pair("", "B")]);
    }
}
