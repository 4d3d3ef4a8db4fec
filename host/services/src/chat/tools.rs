//! Tools that the model may call, the client's and those of the room's plugin: what may be offered, what the prompt says about them, and
//! what the answer may be. Not here: how calls are found in an answer (`engine`), running a plugin's (`tool_rounds`).

use riad_core::{
    Error, Result,
    chat::{Message, OutputFormat, Role, Tool, ToolUse, is_function_name},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// OpenAI's bound.
const TOOLS_MAX: usize = 128;
/// Of all tools together. They are a part of the prompt, and compiled where a call is required.
const BYTES_MAX: usize = 128 << 10;

/// A tool as the client sent it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfferedTool {
    pub name: String,
    pub description: Option<String>,
    /// `None` is no arguments.
    pub parameters: Option<Value>,
}

/// Whether tools are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    None,
    /// As the model decides.
    #[default]
    Auto,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What a request says of tools, before those of the room's plugin are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientTools {
    tools: Vec<Tool>,
    choice: ToolChoice,
    parallel: bool,
}

/// Tools that the model may call, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Tools {
    tools: Vec<Tool>,
    /// The names of those that the room's plugin has. The others are the client's.
    of_plugin: BTreeSet<String>,
    is_required: bool,
    parallel: bool,
}

impl ClientTools {
    /// # Errors
    /// `InvalidRequest` names what is wrong.
    pub(super) fn check(offered: Vec<OfferedTool>, choice: Option<ToolChoice>, parallel: Option<bool>) -> Result<Self> {
        if offered.len() > TOOLS_MAX {
            return Err(Error::invalid(format!("tools may have up to {TOOLS_MAX} tools")).with_param("tools"));
        }
        let mut names = BTreeSet::new();
        let mut bytes = 0;
        let mut tools = Vec::new();
        for (index, tool) in offered.into_iter().enumerate() {
            let wrong = |member: &str, text: String| {
                Err(Error::invalid(text).with_param(format!("tools[{index}].function.{member}")))
            };
            if !is_function_name(&tool.name) {
                return wrong("name", "a function's name has 1 to 64 letters, digits, _ and -".into());
            }
            if !names.insert(tool.name.clone()) {
                return wrong(
                    "name",
                    format!("two functions have the name {:?}; give each its own", tool.name),
                );
            }
            let none = || json!({"type": "object", "properties": {}, "additionalProperties": false});
            let mut parameters = tool.parameters.unwrap_or_else(none);
            // Many leave it out.
            let r#type = parameters
                .as_object_mut()
                .map(|members| members.entry("type").or_insert(json!("object")));
            if r#type.is_none_or(|r#type| *r#type != "object") {
                return wrong(
                    "parameters",
                    "the parameters of a function are a JSON Schema of an object".into(),
                );
            }
            bytes += parameters.to_string().len() + tool.description.as_ref().map_or(0, String::len);
            tools.push(Tool {
                name: tool.name,
                description: tool.description,
                parameters,
            });
        }
        if bytes > BYTES_MAX {
            let text = format!(
                "the tools have {bytes} bytes, and may have {BYTES_MAX} together; send fewer, or describe them in fewer words"
            );
            return Err(Error::invalid(text).with_param("tools"));
        }
        Ok(Self {
            tools,
            choice: choice.unwrap_or_default(),
            parallel: parallel.unwrap_or(true),
        })
    }

    /// Whether the client offers none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Whether any may be called.
    pub fn may_be_called(&self) -> bool {
        self.choice != ToolChoice::None
    }

    /// The tools that the model may call, with those of the room's plugin. Of two with one name the client's is meant, which its client has
    /// named itself. `None`: there are none to call.
    ///
    /// # Errors
    /// `InvalidRequest` if the choice asks for a tool that there is not.
    pub fn with_plugins(&self, plugins: Vec<Tool>) -> Result<Option<Tools>> {
        if !self.may_be_called() {
            return Ok(None);
        }
        let mut tools = self.tools.clone();
        let is_new = |tool: &Tool| self.tools.iter().all(|known| known.name != tool.name);
        let plugins: Vec<_> = plugins.into_iter().filter(is_new).collect();
        let mut of_plugin: BTreeSet<_> = plugins.iter().map(|tool| tool.name.clone()).collect();
        tools.extend(plugins);
        if tools.is_empty() {
            return match self.choice {
                ToolChoice::None | ToolChoice::Auto => Ok(None),
                ToolChoice::Required | ToolChoice::Named(_) => {
                    Err(Error::invalid("tool_choice needs tools; send them, or leave it out").with_param("tool_choice"))
                }
            };
        }
        if let ToolChoice::Named(name) = &self.choice {
            tools.retain(|tool| tool.name == *name);
            of_plugin.retain(|tool| tool == name);
            if tools.is_empty() {
                let text = format!("tool_choice names the function {name:?}, which is not among the tools");
                return Err(Error::invalid(text).with_param("tool_choice"));
            }
        }
        Ok(Some(Tools {
            tools,
            of_plugin,
            is_required: matches!(self.choice, ToolChoice::Required | ToolChoice::Named(_)),
            parallel: self.parallel,
        }))
    }
}

impl Tools {
    /// Whether the room's plugin runs the calls of it.
    pub fn is_of_plugin(&self, name: &str) -> bool {
        self.of_plugin.contains(name)
    }

    /// Whether the room's plugin has some of them.
    pub fn has_plugins(&self) -> bool {
        !self.of_plugin.is_empty()
    }

    /// Whether the client runs some of them.
    pub fn has_clients(&self) -> bool {
        self.tools.len() > self.of_plugin.len()
    }

    /// What the answer must be, if not any text.
    pub fn format(&self) -> Option<OutputFormat> {
        self.is_required.then(|| OutputFormat::ToolCalls {
            tools: self.tools.clone(),
            parallel: self.parallel,
        })
    }

    /// What is looked for in the answer.
    pub fn used(&self) -> ToolUse {
        ToolUse {
            names: self.tools.iter().map(|tool| tool.name.clone()).collect(),
            parallel: self.parallel,
        }
    }

    /// Tells the model about them, in the system message if there is one. The tags are those of Hermes' and Qwen's templates, on which many
    /// models were trained.
    pub fn offer(&self, messages: &mut Vec<Message>) {
        let text = self.text();
        match messages.first_mut() {
            Some(first) if first.role == Role::System => {
                first.content.push_str("\n\n");
                first.content.push_str(&text);
            }
            Some(_) | None => messages.insert(
                0,
                Message {
                    role: Role::System,
                    content: text,
                },
            ),
        }
    }

    /// The words about the tools alone.
    pub fn message(&self) -> Message {
        Message {
            role: Role::System,
            content: self.text(),
        }
    }

    fn text(&self) -> String {
        let mut text =
            "These functions can be called. Each line describes one, with a JSON Schema of its arguments:\n<tools>\n"
                .to_owned();
        for tool in &self.tools {
            let function = json!({
                "name": tool.name, "description": tool.description.as_deref().unwrap_or_default(), "parameters": tool.parameters,
            });
            text += &json!({"type": "function", "function": function}).to_string();
            text.push('\n');
        }
        text += "</tools>\nTo call a function, write its name and arguments as JSON between these tags";
        text += match self.parallel {
            true => ", once for each call:",
            false => ", for one call only:",
        };
        text += "\n<tool_call>\n{\"name\": \"the function's name\", \"arguments\": {\"argument\": \"value\"}}\n</tool_call>";
        if self.is_required {
            text += "\nAnswer with such a call now.";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> OfferedTool {
        OfferedTool {
            name: name.into(),
            ..OfferedTool::default()
        }
    }

    fn check(tools: &[&str], choice: Option<ToolChoice>) -> Result<Option<Tools>> {
        ClientTools::check(tools.iter().map(|name| tool(name)).collect(), choice, None)?.with_plugins(Vec::new())
    }

    fn of_plugin(names: &[&str]) -> Vec<Tool> {
        let tool = |name: &&str| Tool {
            name: (*name).to_owned(),
            description: None,
            parameters: json!({"type": "object"}),
        };
        names.iter().map(tool).collect()
    }

    #[test]
    fn a_plugins_tools_stand_behind_the_clients() {
        let with = |tools: &[&str], choice| {
            let client = ClientTools::check(tools.iter().map(|name| tool(name)).collect(), choice, None).unwrap();
            client.with_plugins(of_plugin(&["b", "c"]))
        };
        let tools = with(&["a", "b"], None).unwrap().unwrap();
        assert_eq!(tools.used().names, ["a", "b", "c"]);
        assert!(!tools.is_of_plugin("b"), "the client's own");
        assert!(tools.is_of_plugin("c") && tools.has_plugins() && tools.has_clients());
        let tools = with(&[], Some(ToolChoice::Required)).unwrap().unwrap();
        assert!(tools.format().is_some() && !tools.has_clients());
        let tools = with(&["a"], Some(ToolChoice::Named("c".into()))).unwrap().unwrap();
        assert_eq!((tools.used().names, tools.has_clients()), (vec!["c".to_owned()], false));
        assert_eq!(with(&["a"], Some(ToolChoice::None)).unwrap(), None);
    }

    #[test]
    fn a_choice_decides_what_the_answer_must_be() {
        let named = ToolChoice::Named("b".into());
        let names = |tools: &Tools| tools.used().names.join(" ");
        for (choice, required, offered) in [
            (None, false, "a b"),
            (Some(ToolChoice::Auto), false, "a b"),
            (Some(ToolChoice::Required), true, "a b"),
            (Some(named), true, "b"),
        ] {
            let tools = check(&["a", "b"], choice).unwrap().unwrap();
            assert_eq!((tools.format().is_some(), names(&tools).as_str()), (required, offered));
        }
        assert_eq!(check(&["a"], Some(ToolChoice::None)).unwrap(), None);
        assert_eq!(check(&[], Some(ToolChoice::None)).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many: Vec<_> = (0..=TOOLS_MAX).map(|number| format!("f{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        for (tools, choice, param) in [
            (&many[..], None, "tools"),
            (&["a b"], None, "tools[0].function.name"),
            (&["a", ""], None, "tools[1].function.name"),
            (&["a", "a"], None, "tools[1].function.name"),
            (&[], Some(ToolChoice::Required), "tool_choice"),
            (&["a"], Some(ToolChoice::Named("b".into())), "tool_choice"),
        ] {
            assert_eq!(check(tools, choice).unwrap_err().param(), Some(param));
        }
        for parameters in [json!([]), json!({"type": "string"})] {
            let other = OfferedTool {
                parameters: Some(parameters),
                ..tool("a")
            };
            let error = ClientTools::check(vec![other], None, None).unwrap_err();
            assert_eq!(error.param(), Some("tools[0].function.parameters"));
        }
        let untyped = OfferedTool {
            parameters: Some(json!({})),
            ..tool("a")
        };
        let tools = ClientTools::check(vec![untyped], None, None).unwrap();
        assert_eq!(tools.tools[0].parameters, json!({"type": "object"}));
        let long = OfferedTool {
            description: Some("x".repeat(BYTES_MAX)),
            ..tool("a")
        };
        assert_eq!(
            ClientTools::check(vec![long], None, None).unwrap_err().param(),
            Some("tools")
        );
    }

    #[test]
    fn tools_are_described_in_the_system_message() {
        let tools = check(&["find"], Some(ToolChoice::Required)).unwrap().unwrap();
        let mut messages = vec![Message::user("Hello")];
        tools.offer(&mut messages);
        assert_eq!(messages[0].role, Role::System);
        assert_eq!(messages[0], tools.message());
        assert!(
            messages[0].content.contains(r#""name":"find""#),
            "{}",
            messages[0].content
        );
        assert!(messages[0].content.contains("call now"));
        tools.offer(&mut messages);
        assert_eq!(messages.len(), 2, "there is one already");
    }
}
