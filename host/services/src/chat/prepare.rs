//! From a valid request to a running generation: budget, room, adapter, pipeline, prompt, queue.

use super::{
    Tools, ValidRequest, choice,
    prepared::{self, Prepared},
    size,
};
use crate::{adapters, capabilities::capabilities, metering::RequestMeter, models, pipeline, shared::Shared};
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass,
    chat::{Grammar, Message, OutputFormat},
    ledger::{Kind, Purpose},
    plugin::{Stage, StageRequest},
    ports::{EncodedPrompt, GenerationStream, PipelinePlan, PipelineRun, PlannedComponent},
    price::Usage,
    profile::ModelProfile,
};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, info_span};

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
    let purpose = Purpose {
        kind: Kind::Chat,
        model: shared.engine.profile().id.clone(),
        adapter: None,
        plugin: String::new(),
    };
    // Before anything is read: a tenant over its limits costs nothing.
    let meter = shared.metering.admit(pass, purpose).await?;
    // Keeps the request open until the outcome of this is recorded, also when the deadline drops the future that owns the meter.
    let outcome = meter.handle();
    let starting = timeout_at(deadline, start(shared, pass, request, deadline, meter));
    let started = starting
        .await
        .unwrap_or_else(|_| Err(prepared::deadline_exceeded(shared)));
    outcome.record_result(started)
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

    let profile = shared.engine.profile();
    // The pipeline fills what these leave.
    let others: Vec<Message> = request
        .tools()
        .map(Tools::message)
        .into_iter()
        .chain(request.after().iter().cloned())
        .collect();
    let taken = match others.is_empty() {
        true => 0,
        false => {
            size::check_prompt(shared.engine.as_ref(), &others)?;
            meter
                .record_engine_result(encode(shared, pass, &meter, &others).await)?
                .count()
        }
    };
    let mut stage_request = StageRequest {
        messages: request.asked().to_vec(),
        profile: ModelProfile {
            context_tokens: profile.context_tokens.saturating_sub(taken),
            prompt_tokens: profile.prompt_tokens.saturating_sub(taken),
            ..profile.clone()
        },
        max_tokens: request.max_tokens(),
    };
    let passages = run
        .retrieve(&stage_request)
        .instrument(info_span!(target: "riad_services", "retrieve"))
        .await?;
    let building = run.build_prompt(&stage_request, &passages);
    let mut prompt = building
        .instrument(info_span!(target: "riad_services", "build_prompt"))
        .await?;
    if prompt.messages.is_empty() {
        return Err(Error::new(
            ErrorKind::PluginFailed,
            "the prompting stage of this room returned no messages",
        ));
    }
    prompt.messages.extend_from_slice(request.after());
    if let Some(tools) = request.tools() {
        tools.offer(&mut prompt.messages);
    }
    size::check_prompt(shared.engine.as_ref(), &prompt.messages)?;
    let encoding = encode(shared, pass, &meter, &prompt.messages);
    let encoded = encoding
        .instrument(info_span!(target: "riad_services", "count_prompt"))
        .await;
    let encoded = meter.record_engine_result(encoded)?;
    let prompt_tokens = encoded.count();
    let mut sampling = request.fit(prompt_tokens, profile.context_tokens)?;
    if let Some(format) = request.format() {
        sampling.grammar = Some(compile_grammar(shared, pass, &meter, &request, format).await?);
    }

    // Filters are opened before the queue, so that no place in the batch is held while a guest prepares, and while the hold is written to the disk.
    stage_request.max_tokens = sampling.max_tokens;
    let choices = u64::from(request.choices());
    let holding = meter.hold(Usage {
        prompt_tokens: u64::from(prompt_tokens) * choices,
        completion_tokens: u64::from(sampling.max_tokens) * choices,
        ..Usage::default()
    });
    let opening = async {
        let mut filters = Vec::new();
        for _ in 0..request.choices() {
            filters.push(run.open_filter(&stage_request, &prompt).await?);
        }
        Ok(filters)
    };
    let ((), filters) = futures::try_join!(holding, opening)?;
    let prepared = Prepared {
        shared: Arc::clone(shared),
        pass: pass.clone(),
        adapter,
        alias: request.model().adapter().cloned(),
        prompt,
        encoded,
        sampling,
        tier: request.tier(),
        deadline,
        shows_reasoning: may_show_unfiltered,
        filters,
        run,
        meter,
    };
    // The first choice waits here, so that a full queue is an answer with a status and not a broken stream.
    let first = choice::begin(&prepared, 0).await?;
    Ok(Started { prepared, first })
}

/// The tokens of a prompt. The handle keeps the request open as long as a processor works for it.
async fn encode(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: &RequestMeter,
    messages: &[Message],
) -> Result<EncodedPrompt> {
    let (engine, messages) = (Arc::clone(&shared.engine), messages.to_vec());
    let mut work = shared.work(pass).keep(meter.handle());
    work.run(move || engine.encode(&messages)).await
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
    let postprocessing = plan.stages.get(&Stage::Postprocessing);
    postprocessing.is_some_and(|planned| planned.digest == shared.standard.digest)
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

fn served_by((stage, component): (&Stage, &PlannedComponent)) -> (Stage, Digest) {
    (*stage, component.digest)
}
