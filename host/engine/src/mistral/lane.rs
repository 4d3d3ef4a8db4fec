//! One lane: a mistral.rs engine with its own KV cache and thread over the shared weights, and the slot for its
//! active adapter. Not here: which request gets it (`pool`), reading its answers (`drain`).

use super::engine_error;
use crate::{Device, Dtype, EngineConfig};
use either::Either;
use indexmap::IndexMap;
use mistralrs::{
    MessageContent, Model, ModelDType, NormalRequest, Request, RequestMessage, Response, TextMessageRole, TextMessages,
    TextModelBuilder,
};
use riad_core::{
    Error, Result,
    chat::{Message, Role, Sampling},
};
use riad_lora::{Adapter, LaneSlot, LoadGuard, SharedWeights};
use std::sync::Arc;
use tokio::sync::mpsc::{self, Receiver};

pub(super) struct Lane {
    number: usize,
    model: Model,
    slot: LaneSlot,
}

/// What every lane of an engine is built of.
pub(super) struct LaneParts {
    pub config: EngineConfig,
    pub weights: Arc<SharedWeights>,
}

impl Lane {
    /// Builds the lane. The first of a model reads the weights, further ones share them; they load one after another.
    pub async fn load(number: usize, parts: &LaneParts) -> Result<Self> {
        let slot = LaneSlot::default();
        let builder = builder(&parts.config);
        let model_name = parts.config.model.clone();
        let weights = parts.weights.clone();
        let runtime = tokio::runtime::Handle::current();
        let adapter_slot = slot.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let _guard = LoadGuard::enter(weights, adapter_slot);
            runtime.block_on(builder.build())
        });
        let model = loaded
            .await
            .map_err(|e| engine_error("panicked while it loaded the model", e))?
            .map_err(|e| {
                Error::invalid(format!("engine.model: \"{model_name}\" cannot be loaded: {e}"))
                    .with_param("engine.model")
            })?;
        tracing::debug!(lane = number, "lane loaded");
        Ok(Self { number, model, slot })
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// The lane must be idle.
    pub fn set_adapter(&self, adapter: Option<Arc<Adapter>>) {
        self.slot.set(adapter);
    }

    /// Starts a request under `id`. The receiver must be read to its end: the engine waits for it inside its step.
    pub async fn send(&self, id: usize, messages: &[Message], sampling: &Sampling) -> Result<Receiver<Response>> {
        let (answers, receiver) = mpsc::channel(64);
        let messages = RequestMessage::Chat {
            messages: chat(messages),
            enable_thinking: None,
            reasoning_effort: None,
        };
        let mut request =
            NormalRequest::new_simple(messages, super::sampling::params(sampling), answers, id, None, None);
        request.is_streaming = true;
        self.hand_over(Request::Normal(Box::new(request))).await?;
        Ok(receiver)
    }

    pub async fn count(&self, messages: &[Message]) -> Result<u32> {
        let mut chat = TextMessages::new();
        for message in messages {
            chat = chat.add_message(role(message.role), &message.content);
        }
        let tokens = self
            .model
            .tokenize(Either::Left(chat), None, true, true, None)
            .await
            .map_err(|e| {
                Error::invalid(format!("the model's chat template refuses these messages: {e}")).with_param("messages")
            })?;
        Ok(u32::try_from(tokens.len()).unwrap_or(u32::MAX))
    }

    async fn hand_over(&self, request: Request) -> Result<()> {
        // Restarts the engine's thread if it has died.
        let sender = self
            .model
            .inner()
            .get_sender(None)
            .map_err(|e| engine_error("is not running", e))?;
        sender
            .send(request)
            .await
            .map_err(|_| engine_error("is not running", "its thread has ended"))
    }
}

fn builder(config: &EngineConfig) -> TextModelBuilder {
    let dtype = match config.dtype {
        Dtype::Auto => ModelDType::Auto,
        Dtype::F32 => ModelDType::F32,
        Dtype::F16 => ModelDType::F16,
        Dtype::Bf16 => ModelDType::BF16,
    };
    // No prefix cache: its key knows neither tenant nor adapter.
    let builder = TextModelBuilder::new(&config.model)
        .with_dtype(dtype)
        .with_prefix_cache_n(None)
        .with_max_num_seqs(1);
    match config.device {
        Device::Cpu => builder.with_force_cpu(),
        Device::Auto | Device::Cuda | Device::Metal => builder,
    }
}

fn role(role: Role) -> TextMessageRole {
    match role {
        Role::System => TextMessageRole::System,
        Role::User => TextMessageRole::User,
        Role::Assistant => TextMessageRole::Assistant,
    }
}

fn chat(messages: &[Message]) -> Vec<IndexMap<String, MessageContent>> {
    messages
        .iter()
        .map(|message| {
            IndexMap::from([
                ("role".to_owned(), Either::Left(message.role.as_str().to_owned())),
                ("content".to_owned(), Either::Left(message.content.clone())),
            ])
        })
        .collect()
}
