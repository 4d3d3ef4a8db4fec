//! Converts between the types of `riad_core` and of WIT, and checks a guest's output: ids, JSON, numbers of passages, size.

use crate::{bindings, stages};
use riad_core::{
    chat::{FinishReason, Message, Role, Tool, is_function_name},
    document::{Metadata, Passage, Position},
    json::{VALUES_MAX, count_values},
    plugin::{Citation, Ending, Prompt, StageRequest, TOOLS_OFFERED},
    profile::ModelProfile,
};
use std::collections::BTreeSet;

/// Why a guest's output is rejected.
#[derive(Debug)]
pub(crate) enum InvalidOutput {
    TooLarge,
    /// Completes "the retrieval stage of plugin … returned …".
    Malformed(String),
}

/// Reads a guest's output, up to a number of bytes and of JSON values.
pub(crate) struct OutputReader {
    bytes_left: u64,
    values_left: usize,
}

impl OutputReader {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            bytes_left: bytes,
            values_left: VALUES_MAX,
        }
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    pub(crate) fn text(&mut self, text: String) -> Result<String, InvalidOutput> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(text.len() as u64)
            .ok_or(InvalidOutput::TooLarge)?;
        Ok(text)
    }

    pub(crate) fn passages(&mut self, passages: Vec<bindings::Passage>) -> Result<Vec<Passage>, InvalidOutput> {
        passages.into_iter().map(|passage| self.passage(passage)).collect()
    }

    pub(crate) fn prompt(&mut self, prompt: bindings::Prompt) -> Result<Prompt, InvalidOutput> {
        if prompt.messages.is_empty() {
            return Err(InvalidOutput::Malformed("a prompt without messages".into()));
        }
        let messages = prompt.messages.into_iter().map(|message| {
            Ok(Message {
                role: role_from_wit(message.role),
                content: self.text(message.content)?,
            })
        });
        Ok(Prompt {
            messages: messages.collect::<Result<_, InvalidOutput>>()?,
            passages: self.passages(prompt.passages)?,
        })
    }

    /// `passages`: the number of passages in the prompt.
    pub(crate) fn ending(&mut self, ending: bindings::Ending, passages: u32) -> Result<Ending, InvalidOutput> {
        let citations = ending.citations.into_iter().map(|citation| {
            if citation.passage == 0 || citation.passage > passages {
                return Err(InvalidOutput::Malformed(format!(
                    "a citation of passage {}, but the prompt has {passages}",
                    citation.passage
                )));
            }
            Ok(Citation {
                passage: citation.passage,
                grounded: citation.grounded,
            })
        });
        Ok(Ending {
            citations: citations.collect::<Result<_, InvalidOutput>>()?,
            text: self.text(ending.text)?,
        })
    }

    pub(crate) fn tools(&mut self, tools: Vec<stages::Tool>) -> Result<Vec<Tool>, InvalidOutput> {
        if tools.len() > TOOLS_OFFERED {
            return Err(InvalidOutput::Malformed(format!(
                "{} tools, at most {TOOLS_OFFERED} are accepted",
                tools.len()
            )));
        }
        let mut names = BTreeSet::new();
        let mut read = Vec::with_capacity(tools.len());
        for tool in tools {
            let tool = self.tool(tool)?;
            if !names.insert(tool.name.clone()) {
                return Err(InvalidOutput::Malformed(format!(
                    "two tools with the name `{}`",
                    tool.name
                )));
            }
            read.push(tool);
        }
        Ok(read)
    }

    fn tool(&mut self, tool: stages::Tool) -> Result<Tool, InvalidOutput> {
        let name = self.text(tool.name)?;
        if !is_function_name(&name) {
            return Err(InvalidOutput::Malformed(
                "a tool whose name is not 1 to 64 letters, digits, `_` and `-`".into(),
            ));
        }
        let parameters = self.text(tool.parameters)?;
        self.count_values(&parameters, "tools whose `parameters` have")?;
        let parameters = parse_object(&parameters).ok_or_else(|| {
            InvalidOutput::Malformed(format!("the tool `{name}` whose `parameters` are not a JSON object"))
        })?;
        Ok(Tool {
            description: Some(self.text(tool.description)?).filter(|text| !text.is_empty()),
            parameters: parameters.into(),
            name,
        })
    }

    /// `None` if the text is no JSON object. `what` as of [`Self::count_values`].
    pub(crate) fn object(&mut self, json: &str, what: &str) -> Result<Option<Metadata>, InvalidOutput> {
        self.count_values(json, what)?;
        Ok(parse_object(json))
    }

    /// Counts the values of a JSON text among those of this output. `what` completes "… more than 7 JSON values together".
    fn count_values(&mut self, json: &str, what: &str) -> Result<(), InvalidOutput> {
        let values = count_values(json.as_bytes(), self.values_left)
            .ok_or_else(|| InvalidOutput::Malformed(format!("{what} more than {VALUES_MAX} JSON values together")))?;
        self.values_left -= values;
        Ok(())
    }

    fn passage(&mut self, passage: bindings::Passage) -> Result<Passage, InvalidOutput> {
        let document = self.text(passage.document)?;
        let metadata = self.text(passage.metadata)?;
        self.count_values(&metadata, "passages whose `metadata` has")?;
        if !passage.score.is_finite() {
            return Err(InvalidOutput::Malformed(
                "a passage whose score is not a finite number".into(),
            ));
        }
        Ok(Passage {
            document: document
                .parse()
                .map_err(|_| InvalidOutput::Malformed("a passage whose `document` is not a document id".into()))?,
            chunk: passage.chunk,
            title: self.text(passage.title)?,
            text: self.text(passage.text)?,
            score: passage.score,
            metadata: parse_object(&metadata)
                .ok_or_else(|| InvalidOutput::Malformed("a passage whose `metadata` is not a JSON object".into()))?,
            position: Position::default(),
            file: None,
            hit: None,
        })
    }
}

/// `None` if it is no object, or one that becomes a large tree.
pub(crate) fn parse_object(text: &str) -> Option<Metadata> {
    count_values(text.as_bytes(), VALUES_MAX)?;
    serde_json::from_str(text).ok()
}

pub(crate) fn request(request: &StageRequest) -> bindings::Request {
    let ModelProfile {
        id,
        context_tokens,
        prompt_tokens,
        passages,
        sentences,
        completion_tokens: _,
        temperature: _,
    } = &request.profile;
    bindings::Request {
        messages: messages(&request.messages),
        profile: bindings::model::model::Profile {
            id: id.clone(),
            context_tokens: *context_tokens,
            prompt_tokens: *prompt_tokens,
            passages: *passages,
            sentences: *sentences,
        },
        max_tokens: request.max_tokens,
    }
}

pub(crate) fn prompt(prompt: &Prompt) -> bindings::Prompt {
    bindings::Prompt {
        messages: messages(&prompt.messages),
        passages: prompt.passages.iter().map(passage).collect(),
    }
}

pub(crate) fn passage(passage: &Passage) -> bindings::Passage {
    bindings::Passage {
        document: passage.document.to_string(),
        chunk: passage.chunk,
        title: passage.title.clone(),
        text: passage.text.clone(),
        score: passage.score,
        metadata: json(&passage.metadata),
    }
}

pub(crate) fn finish_reason(reason: FinishReason) -> bindings::FinishReason {
    match reason {
        FinishReason::Stop => bindings::FinishReason::Stop,
        FinishReason::Length => bindings::FinishReason::Length,
        FinishReason::ToolCalls => bindings::FinishReason::ToolCalls,
    }
}

pub(crate) fn json(metadata: &Metadata) -> String {
    // `Display` of a JSON value cannot fail, unlike its serialization.
    serde_json::Value::Object(metadata.clone()).to_string()
}

fn messages(messages: &[Message]) -> Vec<bindings::Message> {
    messages
        .iter()
        .map(|message| bindings::Message {
            role: role_to_wit(message.role),
            content: message.content.clone(),
        })
        .collect()
}

fn role_to_wit(role: Role) -> bindings::Role {
    match role {
        Role::System => bindings::Role::System,
        Role::User => bindings::Role::User,
        Role::Assistant => bindings::Role::Assistant,
    }
}

fn role_from_wit(role: bindings::Role) -> Role {
    match role {
        bindings::Role::System => Role::System,
        bindings::Role::User => Role::User,
        bindings::Role::Assistant => Role::Assistant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage_with(document: &str, metadata: &str, score: f64) -> bindings::Passage {
        bindings::Passage {
            document: document.into(),
            chunk: 0,
            title: "t".into(),
            text: "x".into(),
            score,
            metadata: metadata.into(),
        }
    }

    fn invalid(passage: bindings::Passage) -> String {
        match OutputReader::new(1000).passages(vec![passage]).unwrap_err() {
            InvalidOutput::Malformed(text) => text,
            InvalidOutput::TooLarge => panic!("it is small enough"),
        }
    }

    #[test]
    fn passages_from_a_guest_are_checked() {
        assert!(
            OutputReader::new(1000)
                .passages(vec![passage_with("d1", "{}", 0.5)])
                .is_ok()
        );
        assert!(invalid(passage_with("../d1", "{}", 0.5)).contains("document id"));
        assert!(invalid(passage_with("d1", "[]", 0.5)).contains("JSON object"));
        assert!(invalid(passage_with("d1", "{", 0.5)).contains("JSON object"));
        assert!(invalid(passage_with("d1", "{}", f64::NAN)).contains("finite"));
    }

    #[test]
    fn output_is_counted_over_all_its_texts() {
        let passages = vec![passage_with("d1", "{}", 0.0), passage_with("d2", "{}", 0.0)];
        let mut enough = OutputReader::new(12);
        assert!(enough.passages(passages.clone()).is_ok());
        assert_eq!(enough.bytes_left(), 0);
        assert!(matches!(
            OutputReader::new(11).passages(passages),
            Err(InvalidOutput::TooLarge)
        ));
    }

    #[test]
    fn json_values_are_counted_over_all_passages() {
        let metadata = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(VALUES_MAX / 2 - 4));
        let passages = |count| vec![passage_with("d1", &metadata, 0.0); count];
        let mut reader = OutputReader::new(u64::MAX);
        assert!(reader.passages(passages(2)).is_ok());
        let refused = OutputReader::new(u64::MAX).passages(passages(3)).unwrap_err();
        assert!(matches!(refused, InvalidOutput::Malformed(text) if text.contains("JSON values")));
        assert!(parse_object(&metadata).is_some());
        assert!(parse_object(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(VALUES_MAX))).is_none());
    }

    fn tool(name: &str, parameters: &str) -> stages::Tool {
        stages::Tool {
            name: name.into(),
            description: "finds".into(),
            parameters: parameters.into(),
        }
    }

    #[test]
    fn tools_are_checked_as_the_clients_own_are() {
        let read = |tools: Vec<stages::Tool>| OutputReader::new(10_000).tools(tools);
        let refused = |tools: Vec<stages::Tool>| match read(tools).unwrap_err() {
            InvalidOutput::Malformed(text) => text,
            InvalidOutput::TooLarge => panic!("they are small enough"),
        };
        let taken = read(vec![tool("find-order_1", r#"{"type":"object"}"#)]).unwrap();
        assert_eq!(taken[0].parameters, serde_json::json!({"type": "object"}));
        assert!(refused(vec![tool("", "{}")]).contains("1 to 64 letters"));
        assert!(refused(vec![tool("find order", "{}")]).contains("1 to 64 letters"));
        assert!(refused(vec![tool("find", "[]")]).contains("`find` whose `parameters`"));
        assert!(refused(vec![tool("find", "{}"), tool("find", "{}")]).contains("two tools"));
        let many = (0..=TOOLS_OFFERED).map(|number| tool(&format!("t{number}"), "{}"));
        assert!(refused(many.collect()).contains("33 tools"));
        let large = tool("find", &format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000)));
        assert!(matches!(read(vec![large]), Err(InvalidOutput::TooLarge)));
    }

    #[test]
    fn a_prompt_needs_a_message() {
        let empty = bindings::Prompt {
            messages: Vec::new(),
            passages: Vec::new(),
        };
        assert!(matches!(
            OutputReader::new(1000).prompt(empty),
            Err(InvalidOutput::Malformed(_))
        ));
    }

    #[test]
    fn a_citation_names_a_passage_of_the_prompt() {
        let ending = |passage| bindings::Ending {
            text: "end".into(),
            citations: vec![bindings::pipeline::types::Citation {
                passage,
                grounded: true,
            }],
        };
        assert!(OutputReader::new(100).ending(ending(2), 2).is_ok());
        for bad in [0, 3] {
            assert!(matches!(
                OutputReader::new(100).ending(ending(bad), 2),
                Err(InvalidOutput::Malformed(_))
            ));
        }
    }
}
