//! A conversation as clients send it, with roles in any order, to messages that pipelines and chat templates know. Not here: what a
//! template refuses all the same (`engine`).

use riad_core::{
    Error, Limits, Result,
    chat::{Message, Role},
    json,
};
use serde_json::Value;
use std::collections::HashMap;

/// A message as the client sent it; its role is unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatMessage {
    pub role: String,
    /// `None` if the client left it out.
    pub content: Option<String>,
    /// What an assistant asked tools for.
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's result: the call that it answers.
    pub tool_call_id: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// `None` if the client left it out.
    pub id: Option<String>,
    pub name: String,
    /// JSON, if the model wrote it well.
    pub arguments: String,
}

/// A conversation, and where it was last asked something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    messages: Vec<Message>,
    /// Messages up to the last question, which is the user's. What follows it is what was done for an answer so far.
    asked: usize,
}

impl Conversation {
    /// # Errors
    /// `InvalidRequest` names the message at fault.
    pub fn read(mut messages: Vec<ChatMessage>, limits: &Limits) -> Result<Self> {
        if messages.is_empty() || messages.len() > limits.messages as usize {
            return Err(
                Error::invalid(format!("messages must have 1 to {} messages", limits.messages)).with_param("messages"),
            );
        }
        order_results(&mut messages);
        let question = messages.iter().rposition(|message| message.role == "user");
        let messages = messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| read(index, message));
        let mut messages = messages.collect::<Result<Vec<_>>>()?;
        let is_blank = |message: &Message| message.content.trim().is_empty();
        if let Some(index) = question
            && messages.get(index).is_some_and(is_blank)
        {
            return Err(at_fault(
                index,
                "content",
                "the last message of the user must have text in it",
            ));
        }
        // Where nobody asks, the last instruction is what is to be answered.
        let question = question.or_else(|| messages.iter().rposition(|message| message.role == Role::System));
        let question = question.unwrap_or_else(|| {
            messages.insert(0, Message::user(""));
            0
        });
        if let Some(message) = messages.get_mut(question) {
            message.role = Role::User;
        }
        if messages.iter().all(is_blank) {
            return Err(Error::invalid("the messages must have text in them").with_param("messages"));
        }
        Ok(Self {
            messages,
            asked: question + 1,
        })
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Up to the last question, which is the last message.
    pub fn asked(&self) -> &[Message] {
        self.messages.get(..self.asked).unwrap_or_default()
    }

    /// What came after the question: calls of tools, their results, the beginning of an answer.
    pub fn after(&self) -> &[Message] {
        self.messages.get(self.asked..).unwrap_or_default()
    }
}

/// The messages that the stages of a request read, of a conversation of any length: those up to its last question.
///
/// # Errors
/// `InvalidRequest` names the message at fault.
pub fn asked(messages: Vec<ChatMessage>) -> Result<Vec<Message>> {
    let limits = Limits {
        messages: u32::MAX,
        ..Limits::default()
    };
    Ok(Conversation::read(messages, &limits)?.asked().to_vec())
}

/// Puts the results of tools into the order of their calls. The model reads both as texts without ids, so that their order is all that tells
/// which result is whose. A result without a call stays where it is.
fn order_results(messages: &mut [ChatMessage]) {
    let mut rest = messages;
    while let Some((message, after)) = rest.split_first_mut() {
        if message.tool_calls.len() > 1 {
            let results = after.iter().take_while(|message| is_result(message)).count();
            if let Some(results) = after.get_mut(..results) {
                order_by_calls(results, &message.tool_calls);
            }
        }
        rest = after;
    }
}

fn order_by_calls(results: &mut [ChatMessage], calls: &[ToolCall]) {
    // A call's place by its id. Of two calls with one id, the first.
    let mut places = HashMap::new();
    for (place, call) in calls.iter().enumerate() {
        if let Some(id) = call.id.as_deref() {
            places.entry(id).or_insert(place);
        }
    }
    let place = |result: &ChatMessage| places.get(result.tool_call_id.as_deref()?).copied();
    let (slots, mut ordered): (Vec<_>, Vec<_>) = results
        .iter()
        .enumerate()
        .filter_map(|(slot, result)| Some((slot, (place(result)?, result.clone()))))
        .unzip();
    ordered.sort_by_key(|(place, _)| *place);
    for (slot, (_, result)) in slots.into_iter().zip(ordered) {
        if let Some(there) = results.get_mut(slot) {
            *there = result;
        }
    }
}

/// OpenAI's older name is the second.
fn is_result(message: &ChatMessage) -> bool {
    matches!(message.role.as_str(), "tool" | "function")
}

fn read(index: usize, message: ChatMessage) -> Result<Message> {
    let needs_text = || at_fault(index, "content", "is missing; a message of this role needs text");
    let (role, content) = match message.role.as_str() {
        // OpenAI's newer name for the same thing.
        "system" | "developer" => (Role::System, message.content.ok_or_else(needs_text)?),
        "user" => (Role::User, message.content.ok_or_else(needs_text)?),
        "assistant" => (
            Role::Assistant,
            with_calls(message.content.unwrap_or_default(), &message.tool_calls),
        ),
        _ if is_result(&message) => (Role::User, result(&message.content.unwrap_or_default())),
        _ => {
            return Err(at_fault(
                index,
                "role",
                "a role is system, developer, user, assistant, tool or function",
            ));
        }
    };
    Ok(Message { role, content })
}

fn at_fault(index: usize, member: &str, what: &str) -> Error {
    let param = format!("messages[{index}].{member}");
    Error::invalid(format!("{param}: {what}")).with_param(param)
}

/// Calls and results as Hermes and Qwen are trained on them, which other models understand too.
pub(super) fn with_calls(mut content: String, calls: &[ToolCall]) -> String {
    for call in calls {
        // A text is one value of the body, whatever stands in it.
        let is_small = json::count_values(call.arguments.as_bytes(), json::VALUES_MAX).is_some();
        let arguments = is_small.then(|| serde_json::from_str(&call.arguments).ok()).flatten();
        let arguments = arguments.unwrap_or(Value::String(call.arguments.clone()));
        // The name first, as models write it; a JSON object of ours may have its members in another order.
        let call = format!(
            "{{\"name\":{},\"arguments\":{arguments}}}",
            Value::from(call.name.as_str())
        );
        if !content.is_empty() {
            content.push('\n');
        }
        content.push_str(&format!("<tool_call>\n{call}\n</tool_call>"));
    }
    content
}

pub(super) fn result(content: &str) -> String {
    format!("<tool_response>\n{content}\n</tool_response>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> ChatMessage {
        ChatMessage {
            role: role.into(),
            content: Some(content.into()),
            ..ChatMessage::default()
        }
    }

    fn call(role: &str, arguments: &str) -> ChatMessage {
        ChatMessage {
            role: role.into(),
            tool_calls: vec![ToolCall {
                name: "look_up".into(),
                arguments: arguments.into(),
                ..ToolCall::default()
            }],
            ..ChatMessage::default()
        }
    }

    fn read(messages: Vec<ChatMessage>) -> Result<Conversation> {
        Conversation::read(messages, &Limits::default())
    }

    fn outline(messages: &[Message]) -> Vec<(&str, &str)> {
        messages
            .iter()
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect()
    }

    #[test]
    fn a_conversation_of_any_order_has_a_question() {
        for (roles, asked, after) in [
            (&["user"][..], &["user"][..], &[][..]),
            (&["system", "system", "user"], &["system", "system", "user"], &[]),
            (&["system"], &["user"], &[]),
            (&["user", "developer"], &["user"], &["system"]),
            (&["user", "assistant"], &["user"], &["assistant"]),
            (&["system", "assistant"], &["user"], &["assistant"]),
            (&["assistant"], &["user"], &["assistant"]),
            (&["assistant", "user"], &["assistant", "user"], &[]),
            (&["user", "user"], &["user", "user"], &[]),
            (&["user", "tool"], &["user"], &["user"]),
            (
                &["user", "assistant", "function", "tool"],
                &["user"],
                &["assistant", "user", "user"],
            ),
        ] {
            let read = read(roles.iter().map(|role| message(role, "x")).collect()).unwrap();
            let names = |messages: &[Message]| messages.iter().map(|message| message.role.as_str()).collect::<Vec<_>>();
            assert_eq!(
                (names(read.asked()), names(read.after())),
                (asked.to_vec(), after.to_vec()),
                "{roles:?}"
            );
        }
    }

    #[test]
    fn calls_of_tools_and_their_results_are_read() {
        let messages = vec![
            message("user", "What is the code?"),
            call("assistant", r#"{"key": "vault"}"#),
            message("tool", "4711"),
        ];
        let conversation = read(messages).unwrap();
        assert_eq!(
            outline(conversation.after()),
            [
                (
                    "assistant",
                    "<tool_call>\n{\"name\":\"look_up\",\"arguments\":{\"key\":\"vault\"}}\n</tool_call>"
                ),
                ("user", "<tool_response>\n4711\n</tool_response>"),
            ]
        );
        // What a model wrote badly is passed on as a text.
        let conversation = read(vec![message("user", "x"), call("assistant", "{\"key")]).unwrap();
        assert!(conversation.messages()[1].content.contains(r#""arguments":"{\"key""#));
    }

    #[test]
    fn results_are_in_the_order_of_their_calls() {
        let calls = |ids: &[&str]| ChatMessage {
            role: "assistant".into(),
            tool_calls: ids
                .iter()
                .map(|id| ToolCall {
                    id: (!id.is_empty()).then(|| (*id).to_owned()),
                    name: "look_up".into(),
                    arguments: "{}".into(),
                })
                .collect(),
            ..ChatMessage::default()
        };
        for (ids, results, expected) in [
            (&["a", "b", "c"][..], &["c", "a", "b"][..], "a b c"),
            (&["a", "b"], &["a", "b"], "a b"),
            (&["a", "b", "c"], &["c", "b"], "b c"),
            // Nothing is known of a result without its call: it stays where the client put it.
            (&["a", "b"], &["x", "b", "a"], "x a b"),
            (&["a", "b"], &["b", "x", "a"], "a x b"),
            (&["a", "b"], &["b", "", "a"], "a  b"),
            (&["", ""], &["b", "a"], "b a"),
            // Two results of one call keep their order.
            (&["a", "b"], &["b", "a", "b"], "a b b"),
            (&["a", "a", "b"], &["b", "a", "a"], "a a b"),
        ] {
            let result = |id: &&str| ChatMessage {
                tool_call_id: (!id.is_empty()).then(|| (*id).to_owned()),
                ..message("tool", id)
            };
            let mut messages = vec![message("user", "x"), calls(ids)];
            messages.extend(results.iter().map(result));
            // The next run of results belongs to other calls.
            messages.extend([calls(&["b", "a"]), result(&"a"), result(&"b"), message("user", "y")]);
            messages.extend([result(&"b"), result(&"a")]);
            order_results(&mut messages);
            let texts = |from: usize, count: usize| {
                let texts = messages[from..from + count].iter();
                texts
                    .map(|message| message.content.clone().unwrap())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(texts(2, results.len()), expected, "{ids:?} {results:?}");
            assert_eq!(texts(results.len() + 3, 2), "b a");
            // Behind a user's message they have no calls before them.
            assert_eq!(texts(results.len() + 6, 2), "b a");
        }
    }

    #[test]
    fn the_message_at_fault_is_named() {
        let without = |role: &str| ChatMessage {
            role: role.into(),
            ..ChatMessage::default()
        };
        for (messages, param) in [
            (vec![], "messages"),
            (vec![message("user", "x"); 257], "messages"),
            (vec![message("user", "x"), message("robot", "x")], "messages[1].role"),
            (vec![without("system"), message("user", "x")], "messages[0].content"),
            (vec![without("user"), message("user", "x")], "messages[0].content"),
            (
                vec![message("user", " \n"), message("assistant", "x")],
                "messages[0].content",
            ),
            (vec![without("user")], "messages[0].content"),
            (vec![message("system", " "), without("assistant")], "messages"),
        ] {
            assert_eq!(read(messages).unwrap_err().param(), Some(param));
        }
        assert!(read(vec![message("user", "x"), without("assistant"), without("tool")]).is_ok());
    }
}
