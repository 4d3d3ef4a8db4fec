//! Finds calls of tools in what a model writes, while it writes: the text around them is content, and a call's arguments are passed on piece
//! by piece. The prompt asks for Hermes' format, and models fall back into the one that they were trained on.
//! Not here: the prompt that offers the tools (`services`), answers that must be calls (`grammar`).

mod call;

use call::{CallReader, Read};
use riad_core::chat::ToolCallPiece;

/// How calls are written. Sources: the chat templates of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Of Hermes and Qwen 2.5: `<tool_call>{"name": …, "arguments": …}</tool_call>`, once for each call.
    Hermes,
    /// Of Llama 3.1: the whole answer is `{"name": …, "parameters": …}`, or several with `;` between them, maybe after `<|python_tag|>`.
    Llama,
    /// Of Mistral since 7B 0.3: `[TOOL_CALLS]` and a list of objects, or `[TOOL_CALLS]name[ARGS]{…}` once for each call, with
    /// `[CALL_ID]` and an id before `[ARGS]` in Small 3.2.
    Mistral,
}

const HERMES: &str = "<tool_call>";
const HERMES_END: &str = "</tool_call>";
const PYTHON_TAG: &str = "<|python_tag|>";
const TOOL_CALLS: &str = "[TOOL_CALLS]";
const CALL_ID: &str = "[CALL_ID]";
const ARGS: &str = "[ARGS]";
const STARTS: [(&str, Format); 3] = [
    (HERMES, Format::Hermes),
    (PYTHON_TAG, Format::Llama),
    (TOOL_CALLS, Format::Mistral),
];

/// Texts of tokens that a tokenizer may have for them. They are no text elsewhere.
pub(crate) const MARKERS: [&str; 6] = [HERMES, HERMES_END, PYTHON_TAG, TOOL_CALLS, CALL_ID, ARGS];

/// Space that is held back before a call.
const SPACE_BYTES: usize = 64;
/// A function's name is not longer.
const NAME_BYTES: usize = 64;
/// A call's id is not longer. Mistral's have 9 letters.
const ID_BYTES: usize = 64;

/// What the text so far has become.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub content: String,
    pub calls: Vec<ToolCallPiece>,
}

pub(crate) struct ToolCallParser {
    /// Names of the tools.
    names: Vec<String>,
    state: State,
    /// Text that may be the beginning of a marker, or of a call.
    held: String,
    /// A marker and what else was read since the content, until there is a call.
    unproven: String,
    /// Calls that have begun, and those that have all of their arguments.
    begun: u32,
    complete: u32,
    /// Whether content other than space has come.
    has_content: bool,
}

enum State {
    Content,
    /// Before a call or between two.
    Between(Format),
    Call(Format, CallReader),
    /// Calls have ended. Nothing but a marker matters any more.
    After,
}

impl ToolCallParser {
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            state: State::Content,
            held: String::new(),
            unproven: String::new(),
            begun: 0,
            complete: 0,
            has_content: false,
        }
    }

    /// Calls that have begun.
    pub fn begun(&self) -> u32 {
        self.begun
    }

    /// Calls that have all of their arguments.
    pub fn complete(&self) -> u32 {
        self.complete
    }

    /// Whether the text that comes now is content, as far as is known.
    pub fn is_in_content(&self) -> bool {
        matches!(self.state, State::Content)
    }

    pub fn push(&mut self, text: &str) -> Found {
        self.held.push_str(text);
        let mut found = Found::default();
        while self.step(&mut found) {}
        self.begun += found.calls.iter().filter(|piece| piece.name.is_some()).count() as u32;
        found
    }

    /// What was held back in vain is content. The rest of a call that was cut off is not.
    pub fn finish(&mut self) -> Found {
        let unread = match std::mem::replace(&mut self.state, State::After) {
            State::Call(_, reader) => reader.unread(),
            State::Content | State::Between(_) | State::After => String::new(),
        };
        let content = std::mem::take(&mut self.unproven) + &unread + &std::mem::take(&mut self.held);
        Found {
            content: if self.complete == 0 { content } else { String::new() },
            calls: Vec::new(),
        }
    }

    /// Whether there may be more to do.
    fn step(&mut self, found: &mut Found) -> bool {
        match &mut self.state {
            State::Content => self.content(found),
            State::After => self.start_marked(found),
            State::Between(format) => {
                let format = *format;
                self.between(format, found)
            }
            State::Call(format, reader) => {
                let (format, number) = (*format, reader.number());
                match reader.push(&std::mem::take(&mut self.held)) {
                    Read::More(pieces) => {
                        if !pieces.is_empty() {
                            self.unproven.clear();
                        }
                        found.calls.extend(pieces);
                        self.complete = number + u32::from(reader.has_arguments());
                        false
                    }
                    Read::End { pieces, rest } => {
                        self.unproven.clear();
                        found.calls.extend(pieces);
                        self.complete = number + 1;
                        self.held = rest;
                        self.state = match format {
                            Format::Hermes => State::After,
                            Format::Llama | Format::Mistral => State::Between(format),
                        };
                        true
                    }
                    Read::NoCall { text, rest } => {
                        self.content_instead(&text, found);
                        self.held = rest;
                        true
                    }
                }
            }
        }
    }

    fn content(&mut self, found: &mut Found) -> bool {
        // The first letter decides whether the whole answer may be a call.
        if !self.has_content && self.held.trim_start().starts_with('{') {
            self.state = State::Between(Format::Llama);
            return true;
        }
        self.start_marked(found)
    }

    /// Looks for the marker of a call. What comes before it is content, unless calls have come before.
    fn start_marked(&mut self, found: &mut Found) -> bool {
        let starts = STARTS
            .iter()
            .filter_map(|(marker, format)| Some((self.held.find(marker)?, *marker, *format)));
        let first = starts.min_by_key(|(at, ..)| *at);
        let (end, next) = match first {
            Some((at, marker, format)) => (at, Some((at + marker.len(), format))),
            None => (self.held.len() - self.unfinished_marker(), None),
        };
        // The space between an answer and its calls belongs to the format; more of it is content.
        let text = self.held.get(..end).unwrap_or_default().trim_end().len();
        let text = match end - text > SPACE_BYTES {
            true => end,
            false => text,
        };
        let rest = self.held.split_off(text);
        let content = std::mem::replace(&mut self.held, rest);
        if self.complete == 0 {
            self.has_content |= !content.trim().is_empty();
            found.content += &content;
        }
        let Some((begins, format)) = next else {
            return false;
        };
        let rest = self.held.split_off(begins - text);
        self.unproven = std::mem::replace(&mut self.held, rest);
        self.state = State::Between(format);
        true
    }

    /// Bytes at the end of the text with which a marker begins.
    fn unfinished_marker(&self) -> usize {
        let lengths = STARTS.iter().map(|(marker, _)| {
            let ends = |length: &usize| marker.get(..*length).is_some_and(|start| self.held.ends_with(start));
            (1..marker.len()).rev().find(ends).unwrap_or(0)
        });
        lengths.max().unwrap_or(0)
    }

    fn between(&mut self, format: Format, found: &mut Found) -> bool {
        let held = std::mem::take(&mut self.held);
        let text = held.trim_start();
        // A marker begins with a bracket, like a list.
        if format == Format::Mistral {
            if let Some(rest) = text.strip_prefix(TOOL_CALLS) {
                self.unproven += held.strip_suffix(rest).unwrap_or_default();
                self.held = rest.to_owned();
                return true;
            }
            if !text.is_empty() && TOOL_CALLS.starts_with(text) {
                self.unproven += held.strip_suffix(text).unwrap_or_default();
                self.held = text.to_owned();
                return false;
            }
        }
        let text = text.trim_start_matches(|letter: char| letter.is_whitespace() || ",;[]".contains(letter));
        self.unproven += held.strip_suffix(text).unwrap_or_default();
        if text.is_empty() {
            return false;
        }
        if text.starts_with('{') {
            // An answer in JSON is no call; a marker says that one comes.
            let names = (format == Format::Llama).then(|| self.names.clone());
            self.held = text.to_owned();
            self.state = State::Call(format, CallReader::object(self.complete, names));
            return true;
        }
        if format == Format::Mistral {
            if let Some((name, arguments)) = self.call_by_name(text) {
                self.unproven.clear();
                let (reader, piece) = CallReader::arguments(self.complete, &name);
                found.calls.push(piece);
                self.held = arguments;
                self.state = State::Call(format, reader);
                return true;
            }
            if may_be_name(text) {
                self.held = text.to_owned();
                return false;
            }
        }
        // A call may still come in it.
        self.content_instead("", found);
        self.held = text.to_owned();
        true
    }

    /// Text where a call was to come.
    fn content_instead(&mut self, text: &str, found: &mut Found) {
        self.state = State::After;
        let before = std::mem::take(&mut self.unproven);
        if self.complete == 0 {
            found.content += &before;
            found.content += text;
            self.has_content = true;
            self.state = State::Content;
        }
    }

    /// `name[ARGS]{`, `name[CALL_ID]id[ARGS]{` or `name{`.
    fn call_by_name(&self, text: &str) -> Option<(String, String)> {
        let (name, arguments) = text.split_once('{')?;
        let name = name.trim_end();
        let name = name.strip_suffix(ARGS).unwrap_or(name);
        let name = name.split_once(CALL_ID).map_or(name, |(name, _)| name).trim();
        let is_known = self.names.iter().any(|known| known == name);
        is_known.then(|| (name.to_owned(), format!("{{{arguments}")))
    }
}

fn may_be_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_-[]".contains(letter);
    text.len() <= NAME_BYTES + CALL_ID.len() + ID_BYTES + ARGS.len()
        && text.chars().all(is_letter)
        && !text.starts_with(']')
}

#[cfg(test)]
mod tests;
