//! The guests of one request behind the port `PipelineRun`. Not here: those of a document (`ingestion.rs`).

use crate::{
    bindings::{self, StageError},
    call::Call,
    context::RunContext,
    convert::{self, OutputReader},
    errors,
    guest::Guest,
    ticker::EpochTicker,
};
use async_trait::async_trait;
use riad_core::{
    Error, Result,
    chat::{FinishReason, Tool},
    document::Passage,
    plugin::{Ending, Prompt, Stage, StageRequest, ToolOutcome},
    ports::{FilterId, GuestUse, PipelineRun},
};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::sync::Mutex;
use wasmtime::component::ResourceAny;

pub(crate) struct Run(Arc<Inner>);

/// Calls have it too: a slice that is computed when its caller goes away ends later.
pub(crate) struct Inner {
    // In this order: the guests' slots in the pool are free before their permit is, which the context has.
    pub(crate) guests: Mutex<Guests>,
    pub(crate) context: Arc<RunContext>,
    /// A run that outlives its sandbox still needs epochs.
    _ticker: Arc<EpochTicker>,
}

pub(crate) struct Guests {
    pub(crate) guests: Vec<Guest>,
    /// The index of each stage's guest.
    pub(crate) guest_of_stage: BTreeMap<Stage, usize>,
    /// In the order they were opened; `None` once finished.
    pub(crate) filters: Vec<Option<Filter>>,
}

/// A guest's filter and the limit of its output.
pub(crate) struct Filter {
    resource: ResourceAny,
    /// Passages in the prompt.
    passages: u32,
    output_left: u64,
}

impl Run {
    pub(crate) fn new(guests: Guests, context: Arc<RunContext>, ticker: Arc<EpochTicker>) -> Self {
        Self(Arc::new(Inner {
            guests: Mutex::new(guests),
            context,
            _ticker: ticker,
        }))
    }

    /// Runs a call of one of the guests.
    pub(crate) async fn run<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.0.context.run(call(Arc::clone(&self.0))).await
    }
}

impl Inner {
    pub(crate) fn output_reader(&self) -> OutputReader {
        OutputReader::new(self.context.limits.guest_output_bytes)
    }

    async fn retrieve(&self, request: bindings::Request) -> Result<Vec<Passage>> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Retrieval)?;
        let retrieve = guest.stages.retrieve.ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Retrieval)?;
        let answer = retrieve.call_async(&mut call.guest.store, (request,));
        let answer = self.context.limit_time(answer).await;
        call.end_stage(answer, &mut self.output_reader(), OutputReader::passages)
    }

    async fn build_prompt(&self, request: bindings::Request, passages: Vec<bindings::Passage>) -> Result<Prompt> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Prompting)?;
        let build_prompt = guest.stages.build_prompt.ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Prompting)?;
        let answer = build_prompt.call_async(&mut call.guest.store, (request, passages));
        let answer = self.context.limit_time(answer).await;
        call.end_stage(answer, &mut self.output_reader(), OutputReader::prompt)
    }

    async fn open_filter(
        &self,
        request: bindings::Request,
        prompt: bindings::Prompt,
        passages: u32,
    ) -> Result<FilterId> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Postprocessing)?;
        let functions = guest.stages.filter.clone().ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Postprocessing)?;
        let answer = functions.open.call_async(&mut call.guest.store, (request, prompt));
        let answer = self.context.limit_time(answer).await;
        let (resource,) = call.end(answer)?;
        guests.filters.push(Some(Filter {
            resource,
            passages,
            output_left: self.context.limits.guest_output_bytes,
        }));
        Ok(FilterId(guests.filters.len() - 1))
    }

    async fn push(&self, filter: FilterId, piece: String) -> Result<String> {
        let mut guests = self.guests.lock().await;
        let Filter {
            resource, output_left, ..
        } = *guests.filter(filter)?;
        let guest = guests.guest_for(Stage::Postprocessing)?;
        let functions = guest.stages.filter.clone().ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Postprocessing)?;
        let answer = functions.push.call_async(&mut call.guest.store, (resource, piece));
        let answer = self.context.limit_time(answer).await;
        let mut reader = OutputReader::new(output_left);
        let text = call.end_stage(answer, &mut reader, OutputReader::text)?;
        guests.filter(filter)?.output_left = reader.bytes_left();
        Ok(text)
    }

    async fn finish(&self, filter: FilterId, reason: bindings::FinishReason) -> Result<Ending> {
        let mut guests = self.guests.lock().await;
        let Filter {
            resource,
            passages,
            output_left,
        } = *guests.filter(filter)?;
        let guest = guests.guest_for(Stage::Postprocessing)?;
        let functions = guest.stages.filter.clone().ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Postprocessing)?;
        let store = &mut call.guest.store;
        let finish = async {
            let answer = functions.finish(&mut *store, resource, reason).await?;
            // Runs the guest's destructor: it belongs to the call.
            resource.resource_drop_async(&mut *store).await?;
            Ok(answer)
        };
        let answer = self.context.limit_time(finish).await;
        let ending = call.end_stage(answer, &mut OutputReader::new(output_left), |reader, ending| {
            reader.ending(ending, passages)
        });
        if let Some(slot) = guests.filters.get_mut(filter.0) {
            *slot = None;
        }
        ending
    }

    async fn offer_tools(&self) -> Result<Vec<Tool>> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Tools)?;
        let tools = guest.stages.tools.clone().ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Tools)?;
        let answer = tools.offer.call_async(&mut call.guest.store, ());
        let answer = self.context.limit_time(answer).await;
        call.end_stage(answer, &mut self.output_reader(), OutputReader::tools)
    }

    async fn call_tool(&self, name: String, arguments: String) -> Result<ToolOutcome> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Tools)?;
        let tools = guest.stages.tools.clone().ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Tools)?;
        let answer = tools.call.call_async(&mut call.guest.store, (name, arguments));
        let answer = match self.context.limit_time(answer).await {
            // The model's mistake, not the client's: the request goes on.
            Ok((Err(StageError::InvalidRequest(text)),)) => {
                call.end(Ok(()))?;
                return Ok(ToolOutcome::Refused(errors::truncate(&text)));
            }
            answer => answer,
        };
        call.end_stage(answer, &mut self.output_reader(), OutputReader::text)
            .map(ToolOutcome::Result)
    }
}

#[async_trait]
impl PipelineRun for Run {
    async fn retrieve(&self, request: &StageRequest) -> Result<Vec<Passage>> {
        let request = convert::request(request);
        self.run(|run| async move { run.retrieve(request).await }).await
    }

    async fn build_prompt(&self, request: &StageRequest, passages: &[Passage]) -> Result<Prompt> {
        let request = convert::request(request);
        let passages = passages.iter().map(convert::passage).collect();
        self.run(|run| async move { run.build_prompt(request, passages).await })
            .await
    }

    async fn open_filter(&self, request: &StageRequest, prompt: &Prompt) -> Result<FilterId> {
        let passages = u32::try_from(prompt.passages.len()).map_err(Error::internal)?;
        let (request, prompt) = (convert::request(request), convert::prompt(prompt));
        self.run(|run| async move { run.open_filter(request, prompt, passages).await })
            .await
    }

    async fn push(&self, filter: FilterId, piece: &str) -> Result<String> {
        let piece = piece.to_owned();
        self.run(|run| async move { run.push(filter, piece).await }).await
    }

    async fn finish(&self, filter: FilterId, reason: FinishReason) -> Result<Ending> {
        let reason = convert::finish_reason(reason);
        self.run(|run| async move { run.finish(filter, reason).await }).await
    }

    async fn offer_tools(&self) -> Result<Vec<Tool>> {
        self.run(|run| async move { run.offer_tools().await }).await
    }

    async fn call_tool(&self, name: &str, arguments: &str) -> Result<ToolOutcome> {
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        self.run(|run| async move { run.call_tool(name, arguments).await })
            .await
    }
}

impl GuestUse for Run {
    fn fuel(&self) -> u64 {
        self.0.context.fuel_used()
    }

    fn time(&self) -> Duration {
        self.0.context.clock.total()
    }
}

impl Guests {
    pub(crate) fn guest_for(&mut self, stage: Stage) -> Result<&mut Guest> {
        self.guest_of_stage
            .get(&stage)
            .and_then(|index| self.guests.get_mut(*index))
            .ok_or_else(not_exported)
    }

    fn filter(&mut self, filter: FilterId) -> Result<&mut Filter> {
        self.filters
            .get_mut(filter.0)
            .and_then(Option::as_mut)
            .ok_or_else(|| Error::internal("a call names a filter that is not open"))
    }
}

/// `start` has checked that every stage is served by a component that exports it.
pub(crate) fn not_exported() -> Error {
    Error::internal("a run has no guest for this stage")
}
