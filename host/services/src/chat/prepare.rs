//! From a valid request to a running generation: budget, room, adapter, pipeline, prompt, queue.

use super::{
    ValidRequest, choice,
    prepared::{self, Prepared, PreparedChoice},
    prompt::{self, BuiltPrompt},
};
use crate::{adapters, capabilities::capabilities, metering::RequestMeter, models, pipeline, shared::Shared};
use riad_core::{
    Digest, Error, Result, TenantPass,
    chat::{Grammar, OutputFormat},
    ledger::{Kind, Purpose},
    plugin::{Stage, StageRequest},
    ports::{GenerationStream, PipelinePlan, PipelineRun, PlannedComponent},
    price::Usage,
};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// A request whose first generation runs.
pub(super) struct Started {
    pub prepared: Prepared,
    pub first: GenerationStream,
}

pub(super) async fn prepare(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    request: ValidRequest,
    deadline: Instant,
) -> Result<Started> {
    let meter = admit(shared, pass).await?;
    // Keeps the request open until the outcome of this is recorded, also when the deadline drops the future that owns the meter.
    let outcome = meter.handle();
    let starting = timeout_at(deadline, start(shared, pass, request, deadline, meter));
    let started = starting
        .await
        .unwrap_or_else(|_| Err(prepared::deadline_exceeded(shared)));
    outcome.record_result(started)
}

/// Before anything is read: a tenant over its limits costs nothing.
pub(super) async fn admit(shared: &Shared, pass: &TenantPass) -> Result<RequestMeter> {
    let purpose = Purpose {
        kind: Kind::Chat,
        model: shared.engine.profile().id.clone(),
        adapter: None,
        plugin: String::new(),
    };
    shared.metering.admit(pass, purpose).await
}

async fn start(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    request: ValidRequest,
    deadline: Instant,
    meter: RequestMeter,
) -> Result<Started> {
    let guests = Usage {
        requests: 1,
        fuel: shared.limits.guest_fuel,
        ..Usage::default()
    };
    meter.hold(guests).await?;
    let room = shared.rooms.open(pass).await?;
    let adapter = models::pin(&room, request.model()).await?;
    if adapter.is_some() {
        adapters::tell_once(shared, pass, &room).await?;
    }
    meter.set_adapter(request.model().adapter().cloned());
    let (plan, plugins) = pipeline::plan(shared, pass, &room).await?;
    let may_show_unfiltered = may_show_unfiltered(shared, &plan);
    if request.shows_tokens() && !may_show_unfiltered {
        return Err(tokens_may_not_be_shown());
    }
    if request.tools().is_some() && !may_show_unfiltered {
        return Err(calls_may_not_be_shown());
    }
    if !request.prompts().is_empty() && !is_standard(shared, &plan, Stage::Prompting) {
        return Err(prompts_may_not_be_passed_by());
    }
    meter.set_plugins(plugins);
    let index_watermark = room.documents.watermark().await?;
    meter.update_served_by(|served| {
        served.adapter_generation = adapter.as_ref().map(|adapter| adapter.generation);
        served.plugins = plan.stages.iter().map(served_by).collect();
        served.index_watermark = index_watermark;
    });
    let run: Arc<dyn PipelineRun> = shared
        .sandbox
        .start(&plan, capabilities(shared, pass, &room, meter.guest_meter()))
        .await?
        .into();
    meter.attach_guests(&run);

    let prompts = prompt::build(shared, pass, &meter, run.as_ref(), &request).await?;
    let counts = || prompts.iter().map(|prompt| prompt.encoded.count());
    let longest = counts().max().unwrap_or(0);
    let mut sampling = request.fit(longest, shared.engine.profile().context_tokens)?;
    if let Some(format) = request.format() {
        sampling.grammar = Some(compile_grammar(shared, pass, &meter, &request, format).await?);
    }

    // Filters are opened before the queue, so that no place in the batch is held while a guest prepares, and while the hold is written to the disk.
    let holding = meter.hold(Usage {
        prompt_tokens: counts().map(u64::from).sum::<u64>() * u64::from(request.n()),
        completion_tokens: u64::from(sampling.max_tokens) * u64::from(request.choices()),
        ..Usage::default()
    });
    // The standard stage is for answers to questions: it takes the space away with which a text goes on.
    let filtered = request.prompts().is_empty() || !may_show_unfiltered;
    let opening = open_choices(run.as_ref(), &prompts, &request, filtered, sampling.max_tokens);
    let ((), choices) = futures::try_join!(holding, opening)?;
    let passages = prompts.into_iter().flat_map(|prompt| prompt.prompt.passages).collect();
    let prepared = Prepared {
        shared: Arc::clone(shared),
        pass: pass.clone(),
        adapter,
        alias: request.model().adapter().cloned(),
        passages,
        sampling,
        tier: request.tier(),
        deadline,
        shows_reasoning: may_show_unfiltered,
        choices,
        run,
        meter,
    };
    // The first choice waits here, so that a full queue is an answer with a status and not a broken stream.
    let first = prepared.choices.first();
    let first = first.ok_or_else(|| Error::internal("a request has no choices"))?;
    let first = choice::begin(&prepared, first).await?;
    Ok(Started { prepared, first })
}

/// The choices of each prompt, with their stream filters.
async fn open_choices(
    run: &dyn PipelineRun,
    prompts: &[BuiltPrompt],
    request: &ValidRequest,
    filtered: bool,
    max_tokens: u32,
) -> Result<Vec<PreparedChoice>> {
    let mut choices = Vec::new();
    for prompt in prompts {
        let stage_request = StageRequest {
            max_tokens,
            ..prompt.request.clone()
        };
        let text = prompt.prompt.messages.first().filter(|_| request.echo());
        let text: Option<Arc<str>> = text.map(|message| message.content.as_str().into());
        for of_prompt in 0..request.n() {
            choices.push(PreparedChoice {
                number: u32::try_from(choices.len()).map_err(Error::internal)?,
                of_prompt,
                prompt: Arc::clone(&prompt.encoded),
                echo: text.clone(),
                filter: match filtered {
                    true => Some(run.open_filter(&stage_request, &prompt.prompt).await?),
                    false => None,
                },
            });
        }
    }
    Ok(choices)
}

async fn compile_grammar(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    request: &ValidRequest,
    format: &OutputFormat,
) -> Result<Grammar> {
    let (engine, format) = (Arc::clone(&shared.engine), format.clone());
    let mut work = shared.work(pass).keep(meter.handle());
    let compiled = work.run(move || engine.compile_grammar(&format)).await;
    let param = match request.tools() {
        Some(_) => "tools",
        None => "response_format",
    };
    compiled.map_err(|error| error.with_param(param))
}

/// Whether the client may read what the model wrote and no stream filter has read: the tokens of logprobs, and the reasoning. A plugin of
/// the tenant's may take words out of the answer, which they would still show. The standard stage changes no word.
fn may_show_unfiltered(shared: &Shared, plan: &PipelinePlan) -> bool {
    is_standard(shared, plan, Stage::Postprocessing)
}

fn is_standard(shared: &Shared, plan: &PipelinePlan, stage: Stage) -> bool {
    let planned = plan.stages.get(&stage);
    planned.is_some_and(|planned| planned.digest == shared.standard.digest)
}

/// A request that asks for logprobs is refused. The reasoning is left out instead, because no request asks for it.
fn tokens_may_not_be_shown() -> Error {
    Error::invalid(
        "logprobs would show what this room's postprocessing plugin takes out of an answer; leave it out, or have the standard \
         pipeline serve the stage postprocessing",
    )
    .with_param("logprobs")
}

fn calls_may_not_be_shown() -> Error {
    Error::invalid(
        "calls of tools would show what this room's postprocessing plugin takes out of an answer; leave the tools out, or have the \
         standard pipeline serve the stage postprocessing",
    )
    .with_param("tools")
}

/// What a tenant's plugin tells the model, no key of the tenant's may leave out.
fn prompts_may_not_be_passed_by() -> Error {
    Error::invalid(
        "a text that is continued as it is would pass by this room's prompting plugin; use /v1/chat/completions, or have the standard \
         pipeline serve the stage prompting",
    )
    .with_param("prompt")
}

fn served_by((stage, component): (&Stage, &PlannedComponent)) -> (Stage, Digest) {
    (*stage, component.digest)
}
