//! The names of Anthropic's members in errors about a chat, which `services` finds and names as OpenAI does.

use riad_core::{Error, ErrorKind};

/// Where the messages of a chat come from.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The member that each message was read from.
    pub messages: Vec<String>,
}

impl Names {
    /// The error with the client's own name of the member at fault.
    pub fn rename(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::ContextTooLong) {
            return error;
        }
        let Some(param) = error.param() else {
            return error;
        };
        let Some(name) = self.name_of(param) else {
            return error;
        };
        let message = match error.message().strip_prefix(param) {
            Some(rest) => format!("{name}{rest}"),
            None => error.message().to_owned(),
        };
        Error::new(error.kind(), message).with_param(name)
    }

    fn name_of(&self, param: &str) -> Option<String> {
        match param {
            "stop" => return Some("stop_sequences".into()),
            "response_format" => return Some("output_config.format".into()),
            _ => {}
        }
        if let Some((index, _)) = param.strip_prefix("messages[").and_then(|rest| rest.split_once(']')) {
            return self.messages.get(index.parse::<usize>().ok()?).cloned();
        }
        let (tool, member) = param.split_once(".function.")?;
        let member = match member {
            "parameters" => "input_schema",
            same => same,
        };
        Some(format!("{tool}.{member}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_clients_own_member() {
        let names = Names {
            messages: vec!["system".into(), "messages[0].content[2]".into()],
        };
        for (param, message, expected, words) in [
            (
                "stop",
                "stop may have four",
                "stop_sequences",
                "stop_sequences may have four",
            ),
            ("response_format", "a schema", "output_config.format", "a schema"),
            (
                "messages[1].content",
                "messages[1].content: empty",
                "messages[0].content[2]",
                "messages[0].content[2]: empty",
            ),
            ("messages[0].content", "no", "system", "no"),
            ("tools[3].function.parameters", "no", "tools[3].input_schema", "no"),
            ("tools[3].function.name", "no", "tools[3].name", "no"),
            ("messages", "messages has none", "messages", "messages has none"),
            ("top_p", "top_p is too large", "top_p", "top_p is too large"),
        ] {
            let error = names.rename(Error::invalid(message).with_param(param));
            assert_eq!((error.param(), error.message()), (Some(expected), words));
        }
        let busy = names.rename(Error::new(ErrorKind::Busy, "stop").with_param("stop"));
        assert_eq!(busy.param(), Some("stop"), "no error about a member");
    }
}
