//! Validation of a chat request. Whether its adapter exists and its prompt fits is known only later, in the room and after the pipeline.

use super::{
    attached_files::{self, AttachedFile},
    conversation::{ChatMessage, Conversation},
    tools::{ClientTools, OfferedTool, ToolChoice},
};
use crate::{file_search::FileSearch, text::Text};
use riad_core::{
    Error, ErrorKind, Limits, ModelName, ResponseId, Result,
    chat::{Message, OutputFormat, Sampling},
    policy::{TenantLimits, Tier},
    profile::ModelProfile,
};
use std::collections::BTreeMap;

const STOP_MAX: usize = 16;
/// The engine looks for the beginnings of each sequence after every token.
const STOP_BYTES: usize = 256;
/// It is compiled for each request.
const SCHEMA_BYTES: usize = 64 << 10;
/// OpenAI's words, by which clients know the error: not all of them look at its code.
const CONTEXT_LENGTH: &str = "this model's maximum context length is";
/// A smaller one makes logits infinite.
const REPETITION_PENALTY_MIN: f32 = 0.01;
/// OpenAI's bounds.
const TOP_LOGPROBS_MAX: u32 = 20;
const LOGIT_BIAS_MAX: usize = 300;

/// A chat request as the client sent it; `None` is a member that it left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    pub messages: Vec<ChatMessage>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<i64>,
    pub min_p: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub presence_penalty: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub stop: Vec<String>,
    pub n: Option<u32>,
    pub seed: Option<u64>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u32>,
    /// By the tokens' numbers.
    pub logit_bias: BTreeMap<String, f32>,
    /// `None` is any text.
    pub format: Option<OutputFormat>,
    pub tools: Vec<OfferedTool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// `None`: the best that is not above the standard one.
    pub service_tier: Option<Tier>,
    /// The response that the caller keeps the answer as, which the receipt names.
    pub kept_as: Option<ResponseId>,
    /// Vector stores in place of the room's own documents.
    pub file_search: Option<FileSearch>,
    /// Of all messages, in their order.
    pub files: Vec<AttachedFile>,
}

/// Texts to continue as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    pub prompts: Vec<Text>,
    /// Whether each choice begins with its prompt.
    pub echo: bool,
    /// The rest of it. What it says of messages and tools is not used.
    pub sampling: ChatRequest,
}

/// A chat request that was found to be well-formed; only [`ValidRequest::check`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidRequest {
    model: ModelName,
    input: Input,
    sampling: Sampling,
    format: Option<OutputFormat>,
    tools: ClientTools,
    /// Whether `sampling.max_tokens` is the client's.
    max_tokens_given: bool,
    /// Of each prompt.
    n: u32,
    tier: Tier,
    kept_as: Option<ResponseId>,
    file_search: Option<FileSearch>,
    files: Vec<AttachedFile>,
    /// Tokens that prompt and completion may have together, if the tenant may have fewer than the model.
    context_limit: Option<u32>,
}

/// What is to be answered or continued.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    Conversation(Conversation),
    Prompts {
        /// At least one text, each to be continued as it is.
        texts: Vec<Text>,
        echo: bool,
    },
}

impl ValidRequest {
    /// # Errors
    /// `ModelNotFound`, `ContextTooLong` or `InvalidRequest` with the field as its param.
    pub fn check(
        mut request: ChatRequest,
        profile: &ModelProfile,
        limits: &Limits,
        tenant: &TenantLimits,
    ) -> Result<Self> {
        let messages = std::mem::take(&mut request.messages);
        let conversation = || Ok(Input::Conversation(Conversation::read(messages, limits)?));
        Self::check_input(conversation, request, profile, limits, tenant)
    }

    /// A request to continue texts. Its messages are not used.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_completion(
        request: CompletionRequest,
        profile: &ModelProfile,
        limits: &Limits,
        tenant: &TenantLimits,
    ) -> Result<Self> {
        let most = limits.choices;
        let CompletionRequest {
            prompts: texts,
            echo,
            sampling,
        } = request;
        let input = || {
            let is_empty = |prompt: &Text| match prompt {
                Text::Words(words) => words.is_empty(),
                Text::Tokens(tokens) => tokens.is_empty(),
            };
            if texts.is_empty() || texts.iter().any(is_empty) {
                return Err(Error::invalid("prompt must have text in it").with_param("prompt"));
            }
            Ok(Input::Prompts { texts, echo })
        };
        let valid = Self::check_input(input, sampling, profile, limits, tenant)?;
        match valid.choices() > most {
            true => Err(Error::invalid(format!(
                "prompt may have up to {most} texts, times n; send the others in requests of their own"
            ))
            .with_param("prompt")),
            false => Ok(valid),
        }
    }

    fn check_input(
        input: impl FnOnce() -> Result<Input>,
        request: ChatRequest,
        profile: &ModelProfile,
        limits: &Limits,
        tenant: &TenantLimits,
    ) -> Result<Self> {
        let model = ModelName::parse(&profile.id, &request.model)?;
        let input = input()?;
        let context = profile.context_tokens;
        if request.max_tokens == Some(0) {
            return Err(Error::invalid("max_tokens must be at least 1").with_param("max_tokens"));
        }
        if let Some(max_tokens) = request.max_tokens.filter(|max_tokens| *max_tokens >= context) {
            return Err(Error::new(
                ErrorKind::ContextTooLong,
                format!(
                    "this model's maximum context length is {context} tokens with the prompt, and max_tokens is \
                     {max_tokens}; lower max_tokens"
                ),
            )
            .with_param("max_tokens"));
        }
        if let Some(most) = tenant.completion_tokens.filter(|most| request.max_tokens > Some(*most)) {
            return Err(
                Error::invalid(format!("max_tokens may be at most {most} for this tenant")).with_param("max_tokens"),
            );
        }
        let context_limit = tenant.context_tokens.filter(|most| *most < context);
        let n = request.n.unwrap_or(1);
        if !(1..=limits.choices).contains(&n) {
            return Err(Error::invalid(format!("n must be 1 to {}", limits.choices)).with_param("n"));
        }
        let is_usable = |stop: &String| (1..=STOP_BYTES).contains(&stop.len());
        if request.stop.len() > STOP_MAX || !request.stop.iter().all(is_usable) {
            return Err(Error::invalid(format!(
                "stop may have up to {STOP_MAX} sequences of 1 to {STOP_BYTES} bytes each"
            ))
            .with_param("stop"));
        }
        let top_p = within("top_p", request.top_p, 0.0..=1.0)?;
        let tools = ClientTools::check(request.tools, request.tool_choice, request.parallel_tool_calls)?;
        let format = check_format(request.format)?;
        request.file_search.as_ref().map(FileSearch::check).transpose()?;
        if !tools.is_empty() && tools.may_be_called() && format.is_some() {
            return Err(Error::invalid(
                "response_format cannot be used with tools, because an answer in it is no call; leave one of them out",
            )
            .with_param("response_format"));
        }
        let temperature = within("temperature", request.temperature, 0.0..=2.0)?.unwrap_or(profile.temperature);
        let sampling = Sampling {
            // Of no probability there is only the likeliest token.
            temperature: if top_p == Some(0.0) { 0.0 } else { temperature },
            top_p: top_p.filter(|top_p| *top_p > 0.0),
            top_k: check_top_k(request.top_k)?,
            min_p: within("min_p", request.min_p, 0.0..=1.0)?,
            frequency_penalty: within("frequency_penalty", request.frequency_penalty, -2.0..=2.0)?.unwrap_or(0.0),
            presence_penalty: within("presence_penalty", request.presence_penalty, -2.0..=2.0)?.unwrap_or(0.0),
            repetition_penalty: within(
                "repetition_penalty",
                request.repetition_penalty,
                REPETITION_PENALTY_MIN..=2.0,
            )?,
            stop: request.stop,
            max_tokens: request.max_tokens.unwrap_or_else(|| {
                let most = tenant.completion_tokens.unwrap_or(u32::MAX);
                profile
                    .completion_tokens
                    .min(context.saturating_sub(1))
                    .min(most)
                    .max(1)
            }),
            seed: request.seed,
            logit_bias: check_bias(&request.logit_bias)?,
            logprobs: check_logprobs(request.logprobs, request.top_logprobs)?,
            // Compiled later, by a worker.
            grammar: None,
            // Known when the room is open.
            tools: None,
        };
        Ok(Self {
            model,
            input,
            sampling,
            format,
            tools,
            max_tokens_given: request.max_tokens.is_some(),
            n,
            tier: check_tier(request.service_tier, tenant.service_tier)?,
            kept_as: request.kept_as,
            file_search: request.file_search,
            files: attached_files::check(request.files)?,
            context_limit,
        })
    }

    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    fn conversation(&self) -> Option<&Conversation> {
        match &self.input {
            Input::Conversation(conversation) => Some(conversation),
            Input::Prompts { .. } => None,
        }
    }

    #[must_use]
    pub fn messages(&self) -> &[Message] {
        self.conversation().map(Conversation::messages).unwrap_or_default()
    }

    /// What a pipeline is given: the messages up to the last question, which is the user's.
    #[must_use]
    pub fn asked(&self) -> &[Message] {
        self.conversation().map(Conversation::asked).unwrap_or_default()
    }

    /// What came after the question, and goes behind the pipeline's prompt.
    #[must_use]
    pub fn after(&self) -> &[Message] {
        self.conversation().map(Conversation::after).unwrap_or_default()
    }

    /// Texts to continue. None if a conversation is to be answered.
    #[must_use]
    pub fn prompts(&self) -> &[Text] {
        match &self.input {
            Input::Conversation(_) => &[],
            Input::Prompts { texts, .. } => texts,
        }
    }

    #[must_use]
    pub fn echo(&self) -> bool {
        matches!(self.input, Input::Prompts { echo: true, .. })
    }

    /// Of each prompt; a conversation has one.
    #[must_use]
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Of all prompts together.
    #[must_use]
    pub fn choices(&self) -> u32 {
        let prompts = u32::try_from(self.prompts().len().max(1)).unwrap_or(u32::MAX);
        self.n.saturating_mul(prompts)
    }

    /// The client's.
    #[must_use]
    pub fn tools(&self) -> &ClientTools {
        &self.tools
    }

    /// What the completion's text must be, if it is no call of a tool.
    #[must_use]
    pub fn format(&self) -> Option<&OutputFormat> {
        self.format.as_ref()
    }

    /// Whether the client reads each token as the model wrote it.
    #[must_use]
    pub fn shows_tokens(&self) -> bool {
        self.sampling.logprobs.is_some()
    }

    #[must_use]
    pub fn kept_as(&self) -> Option<&ResponseId> {
        self.kept_as.as_ref()
    }

    #[must_use]
    pub fn file_search(&self) -> Option<&FileSearch> {
        self.file_search.as_ref()
    }

    #[must_use]
    pub fn files(&self) -> &[AttachedFile] {
        &self.files
    }

    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Tokens that the completion may have, before the prompt is known.
    #[must_use]
    pub fn max_tokens(&self) -> u32 {
        self.sampling.max_tokens
    }

    /// Tokens that prompt and completion may have together, of a model that has so many.
    #[must_use]
    pub fn context_tokens(&self, of_model: u32) -> u32 {
        self.context_limit.map_or(of_model, |limit| limit.min(of_model))
    }

    /// The sampling with `max_tokens` fitted to what the prompt leaves, if the client did not say how many.
    ///
    /// # Errors
    /// `ContextTooLong` with both numbers.
    pub fn fit(&self, prompt_tokens: u32, context_tokens: u32) -> Result<Sampling> {
        let (scope, context_tokens) = match self.context_limit {
            Some(limit) if limit < context_tokens => ("this tenant's limit for the context is", limit),
            Some(_) | None => (CONTEXT_LENGTH, context_tokens),
        };
        let left = context_tokens.saturating_sub(prompt_tokens);
        let needed = if self.max_tokens_given {
            self.sampling.max_tokens
        } else {
            1
        };
        if needed > left {
            return Err(Error::new(
                ErrorKind::ContextTooLong,
                format!(
                    "{scope} {context_tokens} tokens, but the request needs {}: {prompt_tokens} in the \
                     prompt and {needed} for the answer; shorten the messages or lower max_tokens",
                    u64::from(prompt_tokens) + u64::from(needed),
                ),
            )
            .with_param("messages"));
        }
        Ok(Sampling {
            max_tokens: self.sampling.max_tokens.min(left),
            ..self.sampling.clone()
        })
    }
}

/// How many of the likeliest tokens are chosen from. 0 and -1 are other servers' words for all.
fn check_top_k(top_k: Option<i64>) -> Result<Option<u32>> {
    match top_k {
        None | Some(0 | -1) => Ok(None),
        Some(top_k) => u32::try_from(top_k)
            .map(Some)
            .map_err(|_| Error::invalid("top_k must be at least 1, or 0 or -1 for no limit").with_param("top_k")),
    }
}

fn check_logprobs(logprobs: Option<bool>, top: Option<u32>) -> Result<Option<u32>> {
    let top_error = |what: &str| Err(Error::invalid(format!("top_logprobs {what}")).with_param("top_logprobs"));
    match (logprobs.unwrap_or(false), top.unwrap_or(0)) {
        (_, top) if top > TOP_LOGPROBS_MAX => top_error(&format!("must be 0 to {TOP_LOGPROBS_MAX}")),
        (true, top) => Ok(Some(top)),
        (false, 0) => Ok(None),
        (false, _) => top_error("needs logprobs to be true"),
    }
}

fn check_format(format: Option<OutputFormat>) -> Result<Option<OutputFormat>> {
    let wrong = |message: String| Error::invalid(message).with_param("response_format");
    match &format {
        Some(OutputFormat::JsonSchema(schema)) if !schema.is_object() => {
            Err(wrong("a schema must be an object".into()))
        }
        Some(OutputFormat::JsonSchema(schema)) if schema.to_string().len() > SCHEMA_BYTES => {
            Err(wrong(format!("a schema may have up to {SCHEMA_BYTES} bytes")))
        }
        Some(_) | None => Ok(format),
    }
}

/// Whether the model has the tokens is the engine's to say.
fn check_bias(bias: &BTreeMap<String, f32>) -> Result<BTreeMap<u32, f32>> {
    let wrong = |message: String| Error::invalid(message).with_param("logit_bias");
    if bias.len() > LOGIT_BIAS_MAX {
        return Err(wrong(format!("logit_bias may have up to {LOGIT_BIAS_MAX} tokens")));
    }
    let entry = |(token, bias): (&String, &f32)| {
        // Also "+5" and "05" are numbers; two names of one token would be ambiguous.
        let number = token.parse().ok().filter(|number: &u32| number.to_string() == *token);
        let number = number.ok_or_else(|| wrong(format!("logit_bias must name tokens by number, not {token:?}")))?;
        match (-100.0..=100.0).contains(bias) {
            true => Ok((number, *bias)),
            false => Err(wrong(format!("logit_bias of the token {number} must be -100 to 100"))),
        }
    };
    bias.iter().map(entry).collect()
}

/// What the client asked for, if the tenant may have it; else the standard tier, or the tenant's if that is lower.
fn check_tier(requested: Option<Tier>, best: Tier) -> Result<Tier> {
    match requested {
        Some(tier) if tier > best => Err(Error::invalid(format!(
            "service_tier may be at most {} for this tenant; leave it out, or use auto",
            best.as_str()
        ))
        .with_param("service_tier")),
        Some(tier) => Ok(tier),
        None => Ok(Tier::default().min(best)),
    }
}

fn within(name: &str, value: Option<f32>, range: std::ops::RangeInclusive<f32>) -> Result<Option<f32>> {
    match value {
        Some(value) if !range.contains(&value) => Err(Error::invalid(format!(
            "{name} must be at least {} and at most {}",
            range.start(),
            range.end()
        ))
        .with_param(name)),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests;
