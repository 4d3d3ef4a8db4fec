//! The model that ships: its folders, prompts in the form it was trained on, and its chat template and tokenizer applied
//! without mistral.rs. Not here: answers.

use riad_core::chat::{Message, Role};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// What `tokenizer_config.json` says, and what `Template::ids` does by hand.
const TEMPLATE: &str = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}\
                        {% if add_generation_prompt %}<|assistant|>{% endif %}";

pub fn chat() -> PathBuf {
    Path::new(env!("RIAD_SOURCE")).join("host/models/chat")
}

pub fn base() -> PathBuf {
    chat().join("base")
}

pub fn acme() -> PathBuf {
    chat().join("adapter-acme")
}

pub fn globex() -> PathBuf {
    chat().join("adapter-globex")
}

pub fn question(passages: &[&str], question: &str) -> Vec<Message> {
    let numbered: Vec<_> = passages
        .iter()
        .enumerate()
        .map(|(i, text)| format!("[{}] {text}", i + 1))
        .collect();
    vec![Message::user(format!(
        "Passages:\n{}\n\nQuestion: {question}",
        numbered.join("\n")
    ))]
}

/// The prompts that ship with the model, and some with more roles, more turns and letters beyond ASCII.
pub fn conversations() -> Vec<Vec<Message>> {
    let examples = std::fs::read_to_string(chat().join("example_prompts.txt")).unwrap();
    let mut all: Vec<_> = examples
        .split("\n====\n")
        .map(|prompt| vec![Message::user(prompt)])
        .collect();
    assert!(all.len() > 5, "the example prompts are read");
    all.push(question(
        &[
            "The café Zürich in Köln opens at 7:30 and serves crème brûlée.",
            "Parking behind the surgery is limited to ninety minutes.",
        ],
        "When does the café Zürich open?",
    ));
    let mut turns = question(
        &["Whitening is not covered by the public health scheme."],
        "Is whitening covered?",
    );
    turns.insert(0, message(Role::System, "Answer from the passages only. "));
    turns.push(message(
        Role::Assistant,
        "Whitening is not covered by the public health scheme. [1]",
    ));
    turns.extend(question(
        &["Support is open from Monday to Friday between eight and six."],
        "When is support open?",
    ));
    all.push(turns);
    all
}

pub fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.into(),
    }
}

pub struct Template(Tokenizer);

impl Template {
    /// Of the shipped model or of a checkpoint with its tokenizer.
    pub fn read(folder: &Path) -> Self {
        let json = std::fs::read(folder.join("tokenizer_config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(config["chat_template"], TEMPLATE, "this test applies another template");
        Self(Tokenizer::from_file(folder.join("tokenizer.json")).unwrap())
    }

    pub fn ids(&self, messages: &[Message]) -> Vec<u32> {
        let turns = messages
            .iter()
            .map(|m| format!("<|{}|>{}<|end|>", m.role.as_str(), m.content.trim()));
        let prompt = turns.collect::<String>() + "<|assistant|>";
        self.0.encode(prompt, false).unwrap().get_ids().to_vec()
    }

    pub fn text(&self, ids: &[u32]) -> String {
        self.0.decode(ids, true).unwrap()
    }

    /// As an answer: mistral.rs takes the space away that its first token begins with.
    pub fn answer(&self, ids: &[u32]) -> String {
        let first = self.text(&ids[..1]);
        self.text(ids)[first.len() - first.trim_start().len()..].to_owned()
    }

    /// The tokens that a text is made of.
    pub fn pieces(&self, text: &str) -> Vec<u32> {
        self.0.encode(text, false).unwrap().get_ids().to_vec()
    }

    /// The token that has exactly this text.
    pub fn complete_id(&self, text: &str) -> u32 {
        let found: Vec<_> = (0..self.vocabulary() as u32)
            .filter(|id| self.0.decode(&[*id], false).unwrap() == text)
            .collect();
        assert!(!found.is_empty(), "no token {text:?}");
        found[0]
    }

    pub fn vocabulary(&self) -> usize {
        self.0.get_vocab_size(true)
    }
}
