//! From a valid request to a generation that runs: room, adapter, pipeline, prompt, budget, queue.
//! Not here: what comes out of the generation (`choice`, `stream`).

use super::{ValidRequest, bill::Bill, choice};
use crate::{capabilities::capabilities, models, pipeline, shared::Shared};
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass,
    adapter::AdapterSource,
    chat::Sampling,
    plugin::{Prompt, Stage, StageRequest},
    ports::{FilterId, GenerationStream, PipelineRun, PlannedComponent},
};
use std::{collections::BTreeMap, sync::Arc};

/// Everything that was decided once and holds for the rest of the request.
pub(super) struct Prepared {
    pub shared: Arc<Shared>,
    pub pass: TenantPass,
    pub model: String,
    pub adapter: Option<AdapterSource>,
    pub plugins: BTreeMap<Stage, Digest>,
    pub index_watermark: u64,
    pub prompt: Prompt,
    pub prompt_tokens: u32,
    pub sampling: Sampling,
    /// One per choice.
    pub filters: Vec<FilterId>,
    pub run: Arc<dyn PipelineRun>,
    pub bill: Bill,
}

/// A request whose first generation runs.
pub(super) struct Started {
    pub prepared: Prepared,
    pub first: GenerationStream,
}

pub(super) async fn prepare(shared: &Arc<Shared>, pass: &TenantPass, request: ValidRequest) -> Result<Started> {
    let room = shared.rooms.open(pass).await?;
    let adapter = models::pin(&room, request.model(), request.adapter()).await?;
    let plan = pipeline::plan(shared, &room).await?;
    let index_watermark = room.documents.watermark().await?;

    let bill = Bill::open(shared, pass)?;
    let run: Arc<dyn PipelineRun> = shared
        .sandbox
        .start(&plan, capabilities(shared, pass, &room))
        .await?
        .into();
    bill.watch(&run);

    let profile = shared.engine.profile();
    let mut asked = StageRequest {
        messages: request.messages().to_vec(),
        profile: profile.clone(),
        max_tokens: request.max_tokens(),
    };
    let passages = run.retrieve(&asked).await?;
    let prompt = run.build_prompt(&asked, &passages).await?;
    if prompt.messages.is_empty() {
        return Err(Error::new(
            ErrorKind::PluginFailed,
            "the prompting stage of this room returned no messages",
        ));
    }
    let prompt_tokens = shared.engine.count_prompt(&prompt.messages).await?;
    let sampling = request.fit(prompt_tokens, profile.context_tokens)?;
    bill.reserve_tokens(shared, pass, prompt_tokens, sampling.max_tokens, request.choices())?;

    // Filters are made before the queue: no lane is held while a guest prepares.
    asked.max_tokens = sampling.max_tokens;
    let mut filters = Vec::new();
    for _ in 0..request.choices() {
        filters.push(run.open_filter(&asked, &prompt).await?);
    }
    let prepared = Prepared {
        shared: Arc::clone(shared),
        pass: pass.clone(),
        model: request.model().to_owned(),
        adapter,
        plugins: plan.stages.iter().map(served_by).collect(),
        index_watermark,
        prompt,
        prompt_tokens,
        sampling,
        filters,
        run,
        bill,
    };
    // The first choice waits here, so that a full queue is an answer with a status and not a broken stream.
    let first = choice::begin(&prepared, 0).await?;
    Ok(Started { prepared, first })
}

fn served_by((stage, component): (&Stage, &PlannedComponent)) -> (Stage, Digest) {
    (*stage, component.digest)
}
