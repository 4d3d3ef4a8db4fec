//! The prompts of a request: what the room's pipeline builds of a conversation, or texts as they are. Not here: what follows them
//! (`choice`).

use super::{
    ValidRequest,
    attached_files::AttachedTexts,
    request::Input,
    times::{StageTimes, timed},
    tools::Tools,
};
use crate::{metering::RequestMeter, prompts, shared::Shared, text::Text};
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    chat::Message,
    plugin::{Prompt, StageRequest},
    ports::{ChatEngine, EncodedPrompt, PipelineRun},
    profile::ModelProfile,
};
use std::sync::Arc;
use tracing::{Instrument, info_span};

/// A prompt as the model reads it, and what the stream filters of its answers are told.
pub(super) struct BuiltPrompt {
    pub request: StageRequest,
    pub prompt: Prompt,
    pub encoded: Arc<EncodedPrompt>,
    pub times: StageTimes,
}

/// The prompts of the request, at least one.
pub(super) async fn build(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    run: &dyn PipelineRun,
    request: &ValidRequest,
    tools: Option<&Tools>,
    attached: &AttachedTexts,
) -> Result<Vec<BuiltPrompt>> {
    match request.input() {
        Input::Conversation(_) => Ok(vec![
            of_conversation(shared, pass, meter, run, request, tools, attached).await?,
        ]),
        Input::Prompts { texts, .. } => {
            let mut prompts = Vec::with_capacity(texts.len());
            for text in texts {
                prompts.push(of_text(shared, pass, meter, text, request.max_tokens()).await?);
            }
            Ok(prompts)
        }
    }
}

async fn of_conversation(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    run: &dyn PipelineRun,
    request: &ValidRequest,
    tools: Option<&Tools>,
    attached: &AttachedTexts,
) -> Result<BuiltPrompt> {
    let profile = shared.engine.profile();
    // The pipeline fills what these leave.
    let others: Vec<Message> = tools
        .map(Tools::message)
        .into_iter()
        .chain(attached.message())
        .chain(request.after().iter().cloned())
        .collect();
    let taken = match others.is_empty() {
        true => 0,
        false => {
            prompts::check_prompt(shared.engine.as_ref(), &others)?;
            prompts::encode(shared, pass, meter.handle(), move |engine| engine.encode(&others))
                .await?
                .count()
        }
    };
    attached.check_fits(taken, request.context_tokens(profile.context_tokens))?;
    let stage_request = StageRequest {
        messages: request.asked().to_vec(),
        profile: ModelProfile {
            context_tokens: profile.context_tokens.saturating_sub(taken),
            prompt_tokens: profile.prompt_tokens.saturating_sub(taken),
            ..profile.clone()
        },
        max_tokens: request.max_tokens(),
    };
    let retrieving = run
        .retrieve(&stage_request)
        .instrument(info_span!(target: "riad_services", "retrieve"));
    let (passages, retrieval) = timed(retrieving).await;
    let passages = passages?;
    let building = run.build_prompt(&stage_request, &passages);
    let building = building.instrument(info_span!(target: "riad_services", "build_prompt"));
    let (prompt, prompting) = timed(building).await;
    let mut prompt = prompt?;
    if prompt.messages.is_empty() {
        return Err(Error::new(
            ErrorKind::PluginFailed,
            "the prompting stage of this room returned no messages",
        ));
    }
    attached.insert(&mut prompt.messages);
    prompt.messages.extend_from_slice(request.after());
    if let Some(tools) = tools {
        tools.offer(&mut prompt.messages);
    }
    prompts::check_prompt(shared.engine.as_ref(), &prompt.messages)?;
    let messages = prompt.messages.clone();
    let encoded = prompts::encode(shared, pass, meter.handle(), move |engine| engine.encode(&messages)).await?;
    Ok(BuiltPrompt {
        request: stage_request,
        prompt,
        encoded: Arc::new(encoded),
        times: StageTimes { retrieval, prompting },
    })
}

async fn of_text(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    text: &Text,
    max_tokens: u32,
) -> Result<BuiltPrompt> {
    let text = text.clone();
    let read = move |engine: &dyn ChatEngine| text.read(engine).map_err(|error| error.with_param("prompt"));
    let (words, encoded) = prompts::encode(shared, pass, meter.handle(), read).await?;
    let messages = vec![Message::user(words)];
    Ok(BuiltPrompt {
        request: StageRequest {
            messages: messages.clone(),
            profile: shared.engine.profile().clone(),
            max_tokens,
        },
        prompt: Prompt {
            messages,
            passages: Vec::new(),
        },
        encoded: Arc::new(encoded),
        times: StageTimes::default(),
    })
}
