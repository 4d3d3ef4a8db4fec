//! From a valid request to a running generation: budget, room, adapter, pipeline, prompt, queue.

use super::{
    ValidRequest, attached_files, choice,
    event::SearchedFiles,
    prepared::{Prepared, PreparedChoice},
    prompt::{self, BuiltPrompt},
    tools::Tools,
};
use crate::{
    adapters, canary,
    capabilities::{GuestFileSearch, capabilities},
    file_search::FileSearch,
    generations::Generations,
    metering::RequestMeter,
    models, pipeline,
    shared::Shared,
    vector_stores,
};
use riad_core::{
    Error, ErrorKind, Result, TenantPass, VectorStoreId,
    chat::{Grammar, Message, OutputFormat},
    document::Passage,
    ledger::{Kind, Purpose},
    plugin::{Stage, StageRequest},
    ports::{GenerationStream, PipelinePlan, PipelineRun, Room},
    price::Usage,
};
use std::{collections::BTreeMap, sync::Arc};
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
    let started = starting.await.unwrap_or_else(|_| Err(shared.deadline_exceeded()));
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
    let stages = stages_called(&request);
    // The texts of files are a stage of a document, in an instance of its own.
    let of_files: &[Stage] = if request.files().is_empty() {
        &[]
    } else {
        &[Stage::Extraction]
    };
    let planned = [Stage::CHAT.as_slice(), of_files].concat();
    let called = [stages, of_files].concat();
    let pipeline::Serving {
        mut plan,
        names,
        canary,
        vector_stores,
    } = pipeline::plan(shared, pass, &room, &meter, &planned, &called).await?;
    let may_show_unfiltered = may_show_unfiltered(shared, &plan);
    if request.shows_tokens() && !may_show_unfiltered {
        return Err(tokens_may_not_be_shown());
    }
    if !request.tools().is_empty() && request.tools().may_be_called() && !may_show_unfiltered {
        return Err(calls_may_not_be_shown());
    }
    if !request.prompts().is_empty() && !is_standard(shared, &plan, Stage::Prompting) {
        return Err(prompts_may_not_be_passed_by());
    }
    meter.set_plugins(names);
    let index_watermark = room.documents.watermark().await?;
    meter.update_served_by(|served| {
        served.adapter_generation = adapter.as_ref().map(|adapter| adapter.generation);
        served.plugins = plan.digests();
        served.index_watermark = index_watermark;
        served.response = request.kept_as().cloned();
    });
    let generations = Generations {
        shared: Arc::clone(shared),
        pass: pass.clone(),
        adapter,
        alias: request.model().adapter().cloned(),
        tier: request.tier(),
        deadline,
    };
    let extraction = plan.stages.remove(&Stage::Extraction).map(|component| PipelinePlan {
        stages: BTreeMap::from([(Stage::Extraction, component)]),
        ..plan.clone()
    });
    let attached = attached_files::read(
        &generations,
        &room,
        &meter,
        request.files(),
        extraction,
        canary.as_ref(),
    )
    .await?;
    let searched = guest_search(&room, request.file_search(), vector_stores).await?;
    let capabilities = capabilities(&generations, &room, meter.guest_meter(), searched.clone());
    let started = shared.sandbox.start(&plan, capabilities).await;
    let run: Arc<dyn PipelineRun> = canary::record_start(canary.as_ref(), started)?.into();
    meter.attach_guests(Arc::clone(&run) as _);

    let offers_plugins = plan.stages.contains_key(&Stage::Tools) && stages.contains(&Stage::Tools);
    let plugins = match offers_plugins {
        true => meter.record_result(run.offer_tools().await)?,
        false => Vec::new(),
    };
    let tools = request.tools().with_plugins(plugins)?;
    let prompts = prompt::build(shared, pass, &meter, run.as_ref(), &request, tools.as_ref(), &attached).await?;
    let counts = || prompts.iter().map(|prompt| prompt.encoded.count());
    let longest = counts().max().unwrap_or(0);
    let context_tokens = request.context_tokens(shared.engine.profile().context_tokens);
    let mut sampling = request.fit(longest, shared.engine.profile().context_tokens)?;
    sampling.tools = tools.as_ref().map(Tools::used);
    let format = request.format().cloned();
    if let Some(format) = format.or_else(|| tools.as_ref()?.format()) {
        let param = match tools {
            Some(_) => "tools",
            None => "response_format",
        };
        let compiled = compile_grammar(shared, pass, &meter, format).await;
        sampling.grammar = Some(compiled.map_err(|error| error.with_param(param))?);
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
    let stage_times = prompts.first().map(|prompt| prompt.times).unwrap_or_default();
    let passages = prompts.into_iter().flat_map(|prompt| prompt.prompt.passages);
    let passages = locate(&room, passages.collect()).await?;
    let searched_files = match searched.filter(|_| request.file_search().is_some()) {
        Some(search) => Some(SearchedFiles {
            queries: search.queries(),
            found: vector_stores::with_sources(&room, passages.clone(), &search.ranking(shared)).await?,
        }),
        None => None,
    };
    let prepared = Prepared {
        generations,
        passages,
        searched_files,
        sampling,
        tools,
        context_tokens,
        shows_reasoning: may_show_unfiltered,
        stage_times,
        choices,
        run,
        meter,
    };
    // The first choice waits here, so that a full queue is an answer with a status and not a broken stream.
    let first = prepared.choices.first();
    let first = first.ok_or_else(|| Error::internal("a request has no choices"))?;
    let first = choice::begin_first(&prepared, first).await?;
    Ok(Started { prepared, first })
}

/// What the guests of a request search in place of the room's documents: the vector stores that it names, or else those of the pipeline.
async fn guest_search(
    room: &Room,
    requested: Option<&FileSearch>,
    of_pipeline: Vec<VectorStoreId>,
) -> Result<Option<Arc<GuestFileSearch>>> {
    let search = match requested {
        Some(search) => search.clone(),
        None if of_pipeline.is_empty() => return Ok(None),
        None => FileSearch::new(of_pipeline),
    };
    search.touch(room).await.map_err(|error| match requested {
        None if error.kind() == ErrorKind::NotFound => gone_from_pipeline(&error),
        Some(_) | None => error,
    })?;
    Ok(Some(Arc::new(GuestFileSearch::new(search))))
}

/// Never the room's documents in place of a store that was deleted or has expired: an answer would come from what nobody chose.
fn gone_from_pipeline(error: &Error) -> Error {
    let text = format!(
        "the room's pipeline searches a vector store that is gone ({}); put a pipeline without it to /v1/pipeline",
        error.message()
    );
    Error::new(ErrorKind::Conflict, text).with_param("vector_store_ids")
}

/// The passages with their places in their documents and files, of which the guests that chose them know nothing.
async fn locate(room: &Room, mut passages: Vec<Passage>) -> Result<Vec<Passage>> {
    let chunk = |passage: &Passage| (passage.document.clone(), passage.chunk);
    let chunks: Vec<_> = passages.iter().map(chunk).collect();
    for (passage, source) in passages.iter_mut().zip(room.documents.locate(&chunks).await?) {
        passage.position = source.position;
        passage.file = source.file;
    }
    Ok(passages)
}

/// The stages of which a request calls a plugin that serves them.
fn stages_called(request: &ValidRequest) -> &'static [Stage] {
    if !request.prompts().is_empty() {
        // A text that is continued has no question, and no place to tell of tools.
        return &[Stage::Postprocessing];
    }
    // Where the answer has a form, it is no call.
    match request.tools().may_be_called() && request.format().is_none() {
        true => &Stage::CHAT,
        false => &Stage::STANDARD,
    }
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
        let messages: Arc<[Message]> = prompt.prompt.messages.as_slice().into();
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
                messages: Arc::clone(&messages),
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
    format: OutputFormat,
) -> Result<Grammar> {
    let engine = Arc::clone(&shared.engine);
    let mut work = shared.work(pass).keep(meter.handle());
    work.run(move || engine.compile_grammar(&format)).await
}

/// Whether the client may read what the model wrote and no stream filter has read: the tokens of logprobs, and the reasoning. A plugin of
/// the tenant's may take words out of the answer, which they would still show. The standard stage changes no word.
fn may_show_unfiltered(shared: &Shared, plan: &PipelinePlan) -> bool {
    is_standard(shared, plan, Stage::Postprocessing)
}

fn is_standard(shared: &Shared, plan: &PipelinePlan, stage: Stage) -> bool {
    let planned = plan.stages.get(&stage);
    planned.is_some_and(|planned| shared.is_standard(&planned.digest))
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
