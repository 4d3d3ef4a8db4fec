//! Between the words of `riad_core` and those of WIT. What comes from a guest is checked on the way: ids, JSON, numbers of
//! passages, and how much there is of it. Not here: host calls (`capabilities/`).

use crate::bindings;
use riad_core::{
    chat::{Message, Role},
    document::{Metadata, Passage},
    plugin::{Citation, Ending, Prompt, StageRequest},
    profile::ModelProfile,
};

/// What is wrong with what a guest gave back.
#[derive(Debug)]
pub(crate) enum Flaw {
    TooMuch,
    /// Completes "the retrieval stage of plugin … returned …".
    Invalid(String),
}

/// Takes what a guest gave back, up to a number of bytes.
pub(crate) struct Intake {
    left: u64,
}

impl Intake {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: bytes }
    }

    /// Bytes that may still come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn text(&mut self, text: String) -> Result<String, Flaw> {
        self.left = self.left.checked_sub(text.len() as u64).ok_or(Flaw::TooMuch)?;
        Ok(text)
    }

    pub(crate) fn passages(&mut self, passages: Vec<bindings::Passage>) -> Result<Vec<Passage>, Flaw> {
        passages.into_iter().map(|passage| self.passage(passage)).collect()
    }

    pub(crate) fn prompt(&mut self, prompt: bindings::Prompt) -> Result<Prompt, Flaw> {
        if prompt.messages.is_empty() {
            return Err(Flaw::Invalid("a prompt without messages".into()));
        }
        let messages = prompt.messages.into_iter().map(|message| {
            Ok(Message {
                role: role_in(message.role),
                content: self.text(message.content)?,
            })
        });
        Ok(Prompt {
            messages: messages.collect::<Result<_, Flaw>>()?,
            passages: self.passages(prompt.passages)?,
        })
    }

    /// `passages`: how many the prompt has.
    pub(crate) fn ending(&mut self, ending: bindings::Ending, passages: u32) -> Result<Ending, Flaw> {
        let citations = ending.citations.into_iter().map(|citation| {
            if citation.passage == 0 || citation.passage > passages {
                return Err(Flaw::Invalid(format!(
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
            citations: citations.collect::<Result<_, Flaw>>()?,
            text: self.text(ending.text)?,
        })
    }

    fn passage(&mut self, passage: bindings::Passage) -> Result<Passage, Flaw> {
        let document = self.text(passage.document)?;
        let metadata = self.text(passage.metadata)?;
        if !passage.score.is_finite() {
            return Err(Flaw::Invalid("a passage whose score is not a finite number".into()));
        }
        Ok(Passage {
            document: document
                .parse()
                .map_err(|_| Flaw::Invalid("a passage whose `document` is not a document id".into()))?,
            chunk: passage.chunk,
            title: self.text(passage.title)?,
            text: self.text(passage.text)?,
            score: passage.score,
            metadata: object(&metadata)
                .ok_or_else(|| Flaw::Invalid("a passage whose `metadata` is not a JSON object".into()))?,
        })
    }
}

/// The JSON object in a text.
pub(crate) fn object(text: &str) -> Option<Metadata> {
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

pub(crate) fn json(metadata: &Metadata) -> String {
    // `Display` of a JSON value cannot fail, unlike serializing any type.
    serde_json::Value::Object(metadata.clone()).to_string()
}

fn messages(messages: &[Message]) -> Vec<bindings::Message> {
    messages
        .iter()
        .map(|message| bindings::Message {
            role: role_out(message.role),
            content: message.content.clone(),
        })
        .collect()
}

fn role_out(role: Role) -> bindings::Role {
    match role {
        Role::System => bindings::Role::System,
        Role::User => bindings::Role::User,
        Role::Assistant => bindings::Role::Assistant,
    }
}

fn role_in(role: bindings::Role) -> Role {
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
        match Intake::new(1000).passages(vec![passage]).unwrap_err() {
            Flaw::Invalid(text) => text,
            Flaw::TooMuch => panic!("not too much"),
        }
    }

    #[test]
    fn passages_from_a_guest_are_checked() {
        assert!(Intake::new(1000).passages(vec![passage_with("d1", "{}", 0.5)]).is_ok());
        assert!(invalid(passage_with("../d1", "{}", 0.5)).contains("document id"));
        assert!(invalid(passage_with("d1", "[]", 0.5)).contains("JSON object"));
        assert!(invalid(passage_with("d1", "{", 0.5)).contains("JSON object"));
        assert!(invalid(passage_with("d1", "{}", f64::NAN)).contains("finite"));
    }

    #[test]
    fn output_is_counted_over_all_its_texts() {
        let passages = vec![passage_with("d1", "{}", 0.0), passage_with("d2", "{}", 0.0)];
        let mut enough = Intake::new(12);
        assert!(enough.passages(passages.clone()).is_ok());
        assert_eq!(enough.left(), 0);
        assert!(matches!(Intake::new(11).passages(passages), Err(Flaw::TooMuch)));
    }

    #[test]
    fn a_prompt_needs_a_message() {
        let empty = bindings::Prompt {
            messages: Vec::new(),
            passages: Vec::new(),
        };
        assert!(matches!(Intake::new(1000).prompt(empty), Err(Flaw::Invalid(_))));
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
        assert!(Intake::new(100).ending(ending(2), 2).is_ok());
        for bad in [0, 3] {
            assert!(matches!(Intake::new(100).ending(ending(bad), 2), Err(Flaw::Invalid(_))));
        }
    }
}
