//! The playground's form, and the request that it becomes: the same as a client's. Not here: which values a request may have (`services`).

use riad_core::{Error, Result};
use riad_services::chat::{ChatMessage, ChatRequest, OfferedTool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// As the page sends it. A field that is left empty is left out of the request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PlaygroundForm {
    pub model: String,
    pub system: String,
    /// The turns before the question: a JSON list of [`Turn`].
    pub history: String,
    pub question: String,
    pub temperature: String,
    pub max_tokens: String,
    /// `auto`, `none` or `required`.
    pub tool_choice: String,
    /// Tools of the client's own, as OpenAI's `tools`: a JSON list.
    pub tools: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    pub role: String,
    pub content: String,
}

#[derive(Deserialize)]
struct ToolDefinition {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
}

impl PlaygroundForm {
    /// The conversation so far, without the question.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no list of turns.
    pub fn turns(&self) -> Result<Vec<Turn>> {
        if self.history.trim().is_empty() {
            return Ok(Vec::new());
        }
        let wrong = |error| Error::invalid(format!("history is no list of turns: {error}")).with_param("history");
        serde_json::from_str(&self.history).map_err(wrong)
    }

    /// # Errors
    /// `InvalidRequest` names the field that cannot be read.
    pub fn request(&self) -> Result<ChatRequest> {
        let message = |role: &str, content: &str| ChatMessage {
            role: role.to_owned(),
            content: Some(content.to_owned()),
            ..ChatMessage::default()
        };
        let system = Some(self.system.as_str()).filter(|system| !system.trim().is_empty());
        let turns = self.turns()?;
        let earlier = turns.iter().map(|turn| message(&turn.role, &turn.content));
        Ok(ChatRequest {
            model: self.model.clone(),
            messages: system
                .map(|system| message("system", system))
                .into_iter()
                .chain(earlier)
                .chain([message("user", &self.question)])
                .collect(),
            temperature: number("temperature", &self.temperature)?,
            max_tokens: number("max_tokens", &self.max_tokens)?,
            tools: self.offered_tools()?,
            tool_choice: self.choice()?,
            ..ChatRequest::default()
        })
    }

    /// The same request as JSON of `POST /v1/chat/completions`.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn json(&self) -> Result<Value> {
        let request = self.request()?;
        let messages: Vec<Value> = request
            .messages
            .iter()
            .map(|message| serde_json::json!({"role": message.role, "content": message.content}))
            .collect();
        let mut body = serde_json::json!({"model": request.model, "messages": messages});
        let mut set = |name: &str, value: Option<Value>| {
            if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
                members.insert(name.to_owned(), value);
            }
        };
        // As it was typed: a 32-bit number would be written with more digits.
        set("temperature", serde_json::from_str(self.temperature.trim()).ok());
        set("max_tokens", request.max_tokens.map(Value::from));
        set("tools", serde_json::from_str(self.tools.trim()).ok());
        let choice = Some(self.tool_choice.as_str()).filter(|choice| !matches!(*choice, "" | "auto"));
        set("tool_choice", choice.map(Value::from));
        Ok(body)
    }

    /// Whether more than the question was filled in.
    pub fn has_options(&self) -> bool {
        let is_set = |text: &String| !text.trim().is_empty();
        let is_chosen = !matches!(self.tool_choice.as_str(), "" | "auto");
        is_chosen
            || [&self.system, &self.temperature, &self.max_tokens, &self.tools]
                .into_iter()
                .any(is_set)
    }

    fn choice(&self) -> Result<Option<ToolChoice>> {
        Ok(match self.tool_choice.as_str() {
            "" => None,
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => return Err(Error::invalid("tool_choice is auto, none or required").with_param("tool_choice")),
        })
    }

    fn offered_tools(&self) -> Result<Vec<OfferedTool>> {
        if self.tools.trim().is_empty() {
            return Ok(Vec::new());
        }
        let wrong = |error| {
            let text = format!(
                "tools must be a JSON list like [{{\"type\": \"function\", \"function\": {{\"name\": \"…\"}}}}]: {error}"
            );
            Error::invalid(text).with_param("tools")
        };
        let tools: Vec<ToolDefinition> = serde_json::from_str(&self.tools).map_err(wrong)?;
        let offered = tools.into_iter().map(|tool| OfferedTool {
            name: tool.function.name,
            description: tool.function.description,
            parameters: tool.function.parameters,
        });
        Ok(offered.collect())
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::invalid(format!("{name} must be a number, not {text:?}")).with_param(name)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> PlaygroundForm {
        PlaygroundForm {
            model: "base".to_owned(),
            question: "Why?".to_owned(),
            ..PlaygroundForm::default()
        }
    }

    #[test]
    fn empty_fields_are_left_out() {
        let request = form().request().unwrap();
        assert_eq!(request.messages.len(), 1);
        assert_eq!(
            (request.temperature, request.max_tokens, request.tool_choice),
            (None, None, None)
        );
        let json = form().json().unwrap();
        assert_eq!(
            json,
            serde_json::json!({"model": "base", "messages": [{"role": "user", "content": "Why?"}]})
        );
    }

    #[test]
    fn a_conversation_keeps_its_order() {
        let form = PlaygroundForm {
            system: "Be brief.".to_owned(),
            history: r#"[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]"#.to_owned(),
            temperature: "0.2".to_owned(),
            ..form()
        };
        let request = form.request().unwrap();
        let roles: Vec<_> = request.messages.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert_eq!(form.json().unwrap()["temperature"], serde_json::json!(0.2));
    }

    #[test]
    fn the_field_that_cannot_be_read_is_named() {
        for (form, param) in [
            (
                PlaygroundForm {
                    temperature: "warm".to_owned(),
                    ..form()
                },
                "temperature",
            ),
            (
                PlaygroundForm {
                    history: "{}".to_owned(),
                    ..form()
                },
                "history",
            ),
            (
                PlaygroundForm {
                    tools: "[{}]".to_owned(),
                    ..form()
                },
                "tools",
            ),
            (
                PlaygroundForm {
                    tool_choice: "maybe".to_owned(),
                    ..form()
                },
                "tool_choice",
            ),
        ] {
            assert_eq!(form.request().unwrap_err().param(), Some(param));
        }
    }
}
