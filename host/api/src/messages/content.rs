//! Anthropic's messages, whose blocks may be texts, calls and results, to the messages of a chat, which are one of them each.

use super::names::Names;
use riad_api_types::messages::{MessagesContent, MessagesInput, MessagesInputBlock};
use riad_core::{Error, Result};
use riad_services::chat::{ChatMessage, ToolCall};
use serde_json::Value;

/// The messages of a chat, and where each comes from.
#[derive(Default)]
pub(super) struct Conversation {
    pub messages: Vec<ChatMessage>,
    pub names: Names,
}

impl Conversation {
    pub fn read(system: Option<MessagesContent>, messages: Vec<MessagesInput>) -> Result<Self> {
        let mut conversation = Self::default();
        if let Some(system) = system {
            let text = texts("system", system)?;
            if !text.trim().is_empty() {
                conversation.push_text("system".into(), "system", text);
            }
        }
        for (index, message) in messages.into_iter().enumerate() {
            let name = format!("messages[{index}].content");
            match (message.role.as_str(), message.content) {
                ("user" | "assistant" | "system", MessagesContent::Text(text)) => {
                    conversation.push_text(name, &message.role, text);
                }
                ("user" | "assistant" | "system", MessagesContent::Blocks(blocks)) if blocks.is_empty() => {
                    return Err(wrong(&name, "must have a text or at least one block"));
                }
                ("user", MessagesContent::Blocks(blocks)) => conversation.push_user(&name, blocks)?,
                ("assistant", MessagesContent::Blocks(blocks)) => conversation.push_assistant(name, blocks)?,
                ("system", blocks @ MessagesContent::Blocks(_)) => {
                    let text = texts(&name, blocks)?;
                    conversation.push_text(name, "system", text);
                }
                _ => {
                    let name = format!("messages[{index}].role");
                    return Err(wrong(&name, "must be user, assistant or system"));
                }
            }
        }
        Ok(conversation)
    }

    fn push(&mut self, name: String, message: ChatMessage) {
        self.messages.push(message);
        self.names.messages.push(name);
    }

    fn push_text(&mut self, name: String, role: &str, text: String) {
        let message = ChatMessage {
            role: role.to_owned(),
            content: Some(text),
            ..ChatMessage::default()
        };
        self.push(name, message);
    }

    /// Texts beside each other are one message, a result is one of its own.
    fn push_user(&mut self, name: &str, blocks: Vec<MessagesInputBlock>) -> Result<()> {
        let has_result = blocks.iter().any(|block| block.r#type == "tool_result");
        let mut run: Option<(String, String)> = None;
        for (index, block) in blocks.into_iter().enumerate() {
            let name = format!("{name}[{index}]");
            match block.r#type.as_str() {
                "text" => {
                    let text = text_of(&name, block)?;
                    match &mut run {
                        Some((_, before)) => {
                            before.push('\n');
                            before.push_str(&text);
                        }
                        None => run = Some((name, text)),
                    }
                }
                "tool_result" => {
                    self.push_run(run.take(), has_result);
                    let result = result(&name, block)?;
                    self.push(name, result);
                }
                "thinking" | "redacted_thinking" | "tool_use" => {
                    let text = format!("a block {:?} belongs into a message of the assistant", block.r#type);
                    return Err(wrong(&format!("{name}.type"), &text));
                }
                other => return Err(unread(&name, other, "text and tool_result")),
            }
        }
        self.push_run(run, has_result);
        Ok(())
    }

    /// An empty text beside a result asks nothing.
    fn push_run(&mut self, run: Option<(String, String)>, has_result: bool) {
        if let Some((name, text)) = run.filter(|(_, text)| !has_result || !text.trim().is_empty()) {
            self.push_text(name, "user", text);
        }
    }

    fn push_assistant(&mut self, name: String, blocks: Vec<MessagesInputBlock>) -> Result<()> {
        let mut message = ChatMessage {
            role: "assistant".into(),
            ..ChatMessage::default()
        };
        for (index, block) in blocks.into_iter().enumerate() {
            let name = format!("{name}[{index}]");
            match block.r#type.as_str() {
                "text" => {
                    let text = text_of(&name, block)?;
                    match &mut message.content {
                        Some(before) => {
                            before.push('\n');
                            before.push_str(&text);
                        }
                        None => message.content = Some(text),
                    }
                }
                "tool_use" => message.tool_calls.push(call(&name, block)?),
                // What a model thought is not given to it again, whoever's it was.
                "thinking" | "redacted_thinking" => {}
                "tool_result" => {
                    let text = "a block \"tool_result\" belongs into a message of the user";
                    return Err(wrong(&format!("{name}.type"), text));
                }
                other => return Err(unread(&name, other, "text, thinking and tool_use")),
            }
        }
        if message.content.is_some() || !message.tool_calls.is_empty() {
            self.push(name, message);
        }
        Ok(())
    }
}

fn call(name: &str, block: MessagesInputBlock) -> Result<ToolCall> {
    let missing = |member: &str| wrong(&format!("{name}.{member}"), "is missing");
    let input = match block.input {
        Some(input @ Value::Object(_)) => input,
        Some(_) => return Err(wrong(&format!("{name}.input"), "must be an object")),
        None => return Err(missing("input")),
    };
    Ok(ToolCall {
        id: Some(block.id.ok_or_else(|| missing("id"))?),
        name: block.name.ok_or_else(|| missing("name"))?,
        arguments: input.to_string(),
    })
}

fn result(name: &str, block: MessagesInputBlock) -> Result<ChatMessage> {
    let Some(id) = block.tool_use_id else {
        return Err(wrong(&format!("{name}.tool_use_id"), "is missing"));
    };
    let text = match block.content {
        Some(content) => texts(&format!("{name}.content"), content)?,
        None => String::new(),
    };
    Ok(ChatMessage {
        role: "tool".into(),
        content: Some(match block.is_error {
            Some(true) => format!("The tool failed:\n{text}"),
            Some(false) | None => text,
        }),
        tool_call_id: Some(id),
        ..ChatMessage::default()
    })
}

/// A content that can only be text.
fn texts(name: &str, content: MessagesContent) -> Result<String> {
    let blocks = match content {
        MessagesContent::Text(text) => return Ok(text),
        MessagesContent::Blocks(blocks) => blocks,
    };
    let read = |(index, block): (usize, MessagesInputBlock)| {
        let name = format!("{name}[{index}]");
        match block.r#type.as_str() {
            "text" => text_of(&name, block),
            other => Err(unread(&name, other, "text")),
        }
    };
    let texts: Vec<_> = blocks.into_iter().enumerate().map(read).collect::<Result<_>>()?;
    Ok(texts.join("\n"))
}

fn text_of(name: &str, block: MessagesInputBlock) -> Result<String> {
    block.text.ok_or_else(|| wrong(&format!("{name}.text"), "is missing"))
}

fn unread(name: &str, r#type: &str, read: &str) -> Error {
    let text = format!("blocks of the type {type:?} are not read here; this server reads {read}");
    wrong(&format!("{name}.type"), &text)
}

pub(super) fn wrong(name: &str, what: &str) -> Error {
    Error::invalid(format!("{name}: {what}")).with_param(name)
}
