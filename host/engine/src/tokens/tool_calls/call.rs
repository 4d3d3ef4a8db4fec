//! One call while it is written: a JSON object with a name and arguments, or the arguments alone.

use riad_core::chat::ToolCallPiece;
use serde::Deserialize;
use serde_json::Value;

/// One call, from its first `{` to its last `}`.
pub(super) struct CallReader {
    number: u32,
    /// A call of another function is none. `None`: whatever is called is one.
    names: Option<Vec<String>>,
    /// Of the call, as far as it is not known to be one.
    text: String,
    stage: Stage,
    scan: Scan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until the name is known, and the arguments begin.
    Head,
    Arguments,
    /// The same, without an object around them.
    ArgumentsAlone,
    /// The rest of the object around the arguments.
    Tail,
}

pub(super) enum Read {
    More(Vec<ToolCallPiece>),
    /// The call has ended; what came after it.
    End {
        pieces: Vec<ToolCallPiece>,
        rest: String,
    },
    /// It is something else, with what came after it.
    NoCall {
        text: String,
        rest: String,
    },
}

/// An object whose members come in another order, or whose arguments are no object.
#[derive(Deserialize)]
struct Whole {
    name: String,
    #[serde(alias = "parameters", default)]
    arguments: Value,
}

impl CallReader {
    pub fn object(number: u32, names: Option<Vec<String>>) -> Self {
        Self {
            number,
            names,
            text: String::new(),
            stage: Stage::Head,
            scan: Scan::default(),
        }
    }

    /// Of a call whose name came before, and what that makes.
    pub fn arguments(number: u32, name: &str) -> (Self, ToolCallPiece) {
        let reader = Self {
            stage: Stage::ArgumentsAlone,
            ..Self::object(number, None)
        };
        let piece = reader.begin(name.to_owned());
        (reader, piece)
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether nothing more comes of it that matters.
    pub fn has_arguments(&self) -> bool {
        self.stage == Stage::Tail
    }

    /// What was taken in vain.
    pub fn unread(self) -> String {
        self.text
    }

    pub fn push(&mut self, text: &str) -> Read {
        let mut pieces = Vec::new();
        let mut arguments = String::new();
        for (index, letter) in text.char_indices() {
            let depth = self.scan.feed(letter);
            let rest = || text.get(index + letter.len_utf8()..).unwrap_or_default().to_owned();
            match self.stage {
                Stage::Head => {
                    self.text.push(letter);
                    if depth == 0 {
                        return self.whole(&rest());
                    }
                    let name = (letter == '{' && depth == 2).then(|| head(&self.text)).flatten();
                    if let Some(name) = name.filter(|name| self.knows(name)) {
                        pieces.push(self.begin(name));
                        self.text.clear();
                        arguments.push(letter);
                        self.stage = Stage::Arguments;
                    }
                }
                Stage::Arguments | Stage::ArgumentsAlone => {
                    arguments.push(letter);
                    let (ends_at, next) = match self.stage {
                        Stage::ArgumentsAlone => (0, None),
                        Stage::Head | Stage::Arguments | Stage::Tail => (1, Some(Stage::Tail)),
                    };
                    if depth == ends_at {
                        pieces.extend(self.more(std::mem::take(&mut arguments)));
                        match next {
                            Some(next) => self.stage = next,
                            None => return Read::End { pieces, rest: rest() },
                        }
                    }
                }
                Stage::Tail if depth == 0 => return Read::End { pieces, rest: rest() },
                // A marker: the last bracket was forgotten.
                Stage::Tail if letter == '<' && !self.scan.in_string => {
                    let rest = text.get(index..).unwrap_or_default().to_owned();
                    return Read::End { pieces, rest };
                }
                Stage::Tail => {}
            }
        }
        pieces.extend(self.more(arguments));
        Read::More(pieces)
    }

    /// The object has ended before its arguments began in the usual way.
    fn whole(&self, rest: &str) -> Read {
        let call = serde_json::from_str::<Whole>(&self.text).ok();
        let Some(call) = call.filter(|call| self.knows(&call.name)) else {
            return Read::NoCall {
                text: self.text.clone(),
                rest: rest.to_owned(),
            };
        };
        let arguments = match call.arguments {
            // Some models write the arguments as a JSON text.
            Value::String(text) => text,
            Value::Null => "{}".to_owned(),
            arguments @ (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_)) => {
                arguments.to_string()
            }
        };
        let mut pieces = vec![self.begin(call.name)];
        pieces.extend(self.more(arguments));
        Read::End {
            pieces,
            rest: rest.to_owned(),
        }
    }

    fn knows(&self, name: &str) -> bool {
        let names = self.names.as_ref();
        names.is_none_or(|names| names.iter().any(|known| known == name))
    }

    fn begin(&self, name: String) -> ToolCallPiece {
        ToolCallPiece {
            call: self.number,
            name: Some(name),
            arguments: String::new(),
        }
    }

    fn more(&self, arguments: String) -> Option<ToolCallPiece> {
        (!arguments.is_empty()).then_some(ToolCallPiece {
            call: self.number,
            name: None,
            arguments,
        })
    }
}

/// The name in `{"name": "…", "arguments": {`.
fn head(text: &str) -> Option<String> {
    let member = |text: &'_ str, name: &str| -> Option<usize> {
        let rest = text.strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?;
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        Some(text.len() - value.len())
    };
    let text = text.strip_prefix('{')?.trim_start();
    let value = text.get(member(text, "name")?..)?;
    let mut strings = serde_json::Deserializer::from_str(value).into_iter::<String>();
    let name = strings.next()?.ok()?;
    let rest = value.get(strings.byte_offset()..)?.trim_start();
    let rest = rest.strip_prefix(',')?.trim_start();
    let begins = member(rest, "arguments").or_else(|| member(rest, "parameters"))?;
    (rest.get(begins..)? == "{").then_some(name)
}

/// How deep a JSON text is nested.
#[derive(Default)]
struct Scan {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// The depth after this letter.
    fn feed(&mut self, letter: char) -> u32 {
        match (self.in_string, letter) {
            (true, _) if self.escaped => self.escaped = false,
            (true, '\\') => self.escaped = true,
            (_, '"') => self.in_string = !self.in_string,
            (false, '{' | '[') => self.depth += 1,
            (false, '}' | ']') => self.depth = self.depth.saturating_sub(1),
            (_, _) => {}
        }
        // A closing bracket inside of a text ends nothing.
        match self.in_string {
            true => self.depth.max(1),
            false => self.depth,
        }
    }
}
