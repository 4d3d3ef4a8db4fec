//! Texts and conversations to the model's tokens and back, which costs a processor and no money. Not here: what a room's pipeline adds to
//! a conversation (`chat`).

use crate::{
    chat::{ChatMessage, Conversation},
    models::pin,
    prompts,
    shared::Shared,
    text::{Text, words_of},
};
use riad_core::{
    Error, ErrorKind, ModelName, Result, TenantPass,
    grants::{Access, Scope},
    ports::ChatEngine,
};
use std::sync::Arc;

/// What is to be tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untokenized {
    /// A text, with the tokens that the tokenizer puts before every text or without.
    Text { text: String, with_prefix: bool },
    /// A conversation in the chat template.
    Messages(Vec<ChatMessage>),
}

pub struct Tokenized {
    pub tokens: Vec<u32>,
    /// The text of each token alone, if it was asked for.
    pub texts: Option<Vec<String>>,
    /// Tokens that prompt and answer may have together.
    pub context_tokens: u32,
}

type Encode = Box<dyn FnOnce(&dyn ChatEngine) -> Result<Vec<u32>> + Send>;

pub struct TokenService(pub(crate) Arc<Shared>);

impl TokenService {
    /// # Errors
    /// `ModelNotFound`, `ContextTooLong` or `InvalidRequest` with the member as its param; `Busy` if too much of the account's work waits.
    pub async fn tokenize(
        &self,
        pass: &TenantPass,
        model: &str,
        input: Untokenized,
        with_texts: bool,
    ) -> Result<Tokenized> {
        self.check_model(pass, model).await?;
        let engine = Arc::clone(&self.0.engine);
        let encode: Encode = match input {
            Untokenized::Text { text, with_prefix } => {
                let text = Text::Words(text);
                text.check_size(engine.as_ref()).map_err(|e| e.with_param("prompt"))?;
                Box::new(move |engine| {
                    let (_, encoded) = text.read(engine)?;
                    let skipped = match with_prefix {
                        true => 0,
                        false => engine.encode_text("")?.tokens.len(),
                    };
                    Ok(encoded.tokens.into_iter().skip(skipped).collect())
                })
            }
            Untokenized::Messages(messages) => {
                let conversation = Conversation::read(messages, &self.0.limits)?;
                prompts::check_prompt(engine.as_ref(), conversation.messages())?;
                Box::new(move |engine| Ok(engine.encode(conversation.messages())?.tokens))
            }
        };
        let (tokens, texts) = self
            .0
            .work(pass)
            .run(move || {
                let tokens = encode(engine.as_ref())?;
                let text = |token: &u32| engine.text_of(&[*token]).unwrap_or_default();
                let texts = with_texts.then(|| tokens.iter().map(text).collect());
                Ok((tokens, texts))
            })
            .await?;
        Ok(Tokenized {
            tokens,
            texts,
            context_tokens: self.0.context_tokens(pass),
        })
    }

    /// The text that tokens stand for, control tokens too.
    ///
    /// # Errors
    /// As [`Self::tokenize`].
    pub async fn detokenize(&self, pass: &TenantPass, model: &str, tokens: Vec<u32>) -> Result<String> {
        self.check_model(pass, model).await?;
        let engine = Arc::clone(&self.0.engine);
        let most = engine.profile().context_tokens;
        if tokens.len() > most as usize {
            let text = format!(
                "there are {} tokens, and this model's context has {most}; send fewer",
                tokens.len()
            );
            return Err(Error::new(ErrorKind::ContextTooLong, text).with_param("tokens"));
        }
        let mut work = self.0.work(pass);
        work.run(move || words_of(&tokens, engine.as_ref()).map_err(|error| error.with_param("tokens")))
            .await
    }

    /// Every adapter has the base model's tokens; but a name must be one of the caller's.
    async fn check_model(&self, pass: &TenantPass, model: &str) -> Result<()> {
        pass.require(Scope::Chat, Access::Read)?;
        let model = ModelName::parse(&self.0.engine.profile().id, model)?;
        if model.adapter().is_some() {
            pin(&self.0.rooms.open(pass).await?, &model).await?;
        }
        Ok(())
    }
}
