//! `riad:generation`: a prompt of the guest's own. Not here: the queue, the budget and the model (`services`).

use crate::{
    bindings::{
        WitError,
        generation::generation::{Generated, Host, Message, Options, Role},
    },
    convert, errors,
    state::GuestState,
};
use riad_core::{
    chat,
    json::VALUES_MAX,
    ports::{GENERATION_STOPS, GuestPrompt},
};

impl Host for GuestState {
    async fn generate(
        &mut self,
        messages: Vec<Message>,
        options: Options,
    ) -> wasmtime::Result<Result<Generated, WitError>> {
        let _pause = self.begin_host_call()?;
        let prompt = match prompt(messages, options, self.generation_tokens) {
            Ok(prompt) => prompt,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.budget.take_generation() {
            return Ok(Err(errors::to_wit(&error)));
        }
        let generated = self.capabilities.generation.generate(prompt).await;
        Ok(generated
            .map(|generated| Generated {
                text: generated.text,
                prompt_tokens: generated.prompt_tokens,
                completion_tokens: generated.completion_tokens,
                is_cut: generated.is_cut,
            })
            .map_err(|error| errors::to_wit(&error)))
    }
}

fn prompt(messages: Vec<Message>, options: Options, most: u32) -> Result<GuestPrompt, WitError> {
    let invalid = |text: String| Err(WitError::InvalidArgument(text));
    let Options {
        max_tokens,
        temperature,
        stop,
        schema,
    } = options;
    if messages.is_empty() {
        return invalid("a prompt needs a message".into());
    }
    if !(1..=most).contains(&max_tokens) {
        return invalid(format!(
            "`max-tokens` must be 1 to {most} (limits.guest_generation_tokens)"
        ));
    }
    if !(0.0..=2.0).contains(&temperature) {
        return invalid("`temperature` must be 0 to 2".into());
    }
    if stop.len() > GENERATION_STOPS || stop.iter().any(String::is_empty) {
        return invalid(format!("`stop` may have {GENERATION_STOPS} texts, none of them empty"));
    }
    let schema = match schema.map(|schema| convert::parse_object(&schema)) {
        None => None,
        Some(Some(schema)) => Some(schema.into()),
        Some(None) => return invalid(format!("`schema` must be a JSON object of at most {VALUES_MAX} values")),
    };
    let messages = messages.into_iter().map(|message| chat::Message {
        role: match message.role {
            Role::System => chat::Role::System,
            Role::User => chat::Role::User,
            Role::Assistant => chat::Role::Assistant,
        },
        content: message.content,
    });
    Ok(GuestPrompt {
        messages: messages.collect(),
        max_tokens,
        temperature,
        stop,
        schema,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            max_tokens: 16,
            temperature: 0.0,
            stop: vec!["\n".into()],
            schema: Some(r#"{"type":"object"}"#.into()),
        }
    }

    fn message() -> Message {
        Message {
            role: Role::User,
            content: "Hello".into(),
        }
    }

    fn refused(messages: Vec<Message>, change: impl FnOnce(&mut Options)) -> String {
        let mut options = options();
        change(&mut options);
        match prompt(messages, options, 32) {
            Err(WitError::InvalidArgument(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_prompt_is_converted_whole() {
        let prompt = prompt(vec![message()], options(), 16).unwrap();
        assert_eq!(prompt.messages, [chat::Message::user("Hello")]);
        assert_eq!((prompt.max_tokens, prompt.temperature), (16, 0.0));
        assert_eq!(prompt.stop, ["\n"]);
        assert_eq!(prompt.schema, Some(serde_json::json!({"type": "object"})));
    }

    #[test]
    fn options_have_bounds() {
        assert!(refused(Vec::new(), |_| ()).contains("needs a message"));
        for tokens in [0, 33, u32::MAX] {
            assert!(refused(vec![message()], |options| options.max_tokens = tokens).contains("1 to 32"));
        }
        for temperature in [-0.1, 2.1, f32::NAN, f32::INFINITY] {
            assert!(refused(vec![message()], |options| options.temperature = temperature).contains("temperature"));
        }
        for stop in [vec![String::new()], vec!["x".into(); 5]] {
            assert!(refused(vec![message()], |options| options.stop = stop).contains("`stop`"));
        }
        for schema in ["[]", "{", "7"] {
            assert!(refused(vec![message()], |options| options.schema = Some(schema.into())).contains("`schema`"));
        }
    }
}
