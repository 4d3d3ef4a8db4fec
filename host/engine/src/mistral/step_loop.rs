//! The engine's thread: takes requests in, computes one step after another, and hands every sampled token to its sequence. Not here:
//! which rows a step has (`riad_batch`), what a token becomes (`sequence`).

use super::{
    inputs::StepInputs,
    model::{LoadedModel, Logits},
    sampling::Sampled,
    sequence::ActiveSequence,
    stats::{SharedState, StepStats},
};
use crate::{
    EngineConfig,
    memory::{self, BLOCK_SIZE},
    tokens::{Counted, engine_error},
};
use rayon::prelude::*;
use riad_batch::{Batch, Limits, NewSequence, Refusal, SequenceId, Step};
use riad_core::{Account, Error, ErrorKind, Result, chat::FinishReason};
use riad_lora::RowSegment;
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

enum Next {
    Step,
    End,
}

/// What the loop is asked to do before its next step, in this order.
pub(super) enum Message {
    Start(Box<Start>),
    ForgetAccount(Account),
}

/// A generation for the batch.
pub(super) struct Start {
    pub sequence: NewSequence,
    pub active: ActiveSequence,
}

pub(super) struct StepLoop {
    config: EngineConfig,
    /// `None`: it was idle, or a step panicked; the next generation loads it.
    model: Option<Arc<LoadedModel>>,
    limits: Limits,
    batch: Batch,
    active: HashMap<SequenceId, ActiveSequence>,
    messages: Receiver<Message>,
    counted: Arc<Counted>,
    stats: StepStats,
}

impl StepLoop {
    pub fn new(
        config: EngineConfig,
        model: Arc<LoadedModel>,
        messages: Receiver<Message>,
        counted: Arc<Counted>,
        state: SharedState,
        loading: Duration,
    ) -> Self {
        let limits = limits(&config, &model);
        let batch = Batch::new(limits);
        let mut stats = StepStats::new(state);
        stats.model_loaded(loading);
        stats.publish(&batch.gauges(), BLOCK_SIZE);
        Self {
            batch,
            config,
            model: Some(model),
            limits,
            active: HashMap::new(),
            messages,
            counted,
            stats,
        }
    }

    /// Runs until the engine is dropped. A panic, in the model or in what a caller gave, ends the requests of the batch and no
    /// others.
    pub fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.step())) {
                Ok(Next::Step) => {}
                Ok(Next::End) => return,
                Err(_) => {
                    // Also what a request gave us may panic again while the request ends.
                    let panicked = || engine_error("ended without an answer", "a step panicked");
                    while catch_unwind(AssertUnwindSafe(|| self.fail_all(panicked))).is_err() {}
                    // What a panicking forward pass had locked inside the model stays locked, so the model is read again, and at once.
                    self.unload();
                    if let Err(error) = self.load() {
                        tracing::error!(%error, "the model cannot be loaded again");
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Next {
        if !self.admit() {
            return Next::End;
        }
        self.drop_cancelled();
        if self.model.is_none()
            && !self.active.is_empty()
            && let Err(error) = self.load()
        {
            tracing::error!(%error, "the model cannot be loaded again");
            self.fail_all(|| {
                Error::new(
                    ErrorKind::Unavailable,
                    "the model cannot be loaded again now; the server's log says why",
                )
            });
        }
        let begun = Instant::now();
        let step = self.batch.plan();
        if !step.segments.is_empty() {
            match self.compute(&step) {
                Ok(sampled) => {
                    self.batch.observe(&step, begun.elapsed());
                    self.commit(&step, sampled);
                }
                Err(error) => self.abandon(&step, &error),
            }
            self.stats.count(&step, begun.elapsed());
        }
        self.stats.publish(&self.batch.gauges(), BLOCK_SIZE);
        Next::Step
    }

    /// Takes the messages that have come; waits for one if there is nothing to do. `false` when no more can come and none is left.
    fn admit(&mut self) -> bool {
        if self.active.is_empty() {
            match self.wait() {
                Some(message) => self.handle(message),
                None => return false,
            }
        }
        loop {
            match self.messages.try_recv() {
                Ok(message) => self.handle(message),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// The next message, for which an idle model does not wait in memory. `None`: no more can come.
    fn wait(&mut self) -> Option<Message> {
        if let (Some(idle), Some(_)) = (self.config.idle_unload, &self.model) {
            match self.messages.recv_timeout(idle) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.unload();
                    tracing::info!("the model was idle and left memory");
                }
            }
        }
        self.messages.recv().ok()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Start(start) => self.start(*start),
            Message::ForgetAccount(account) => self.batch.forget_account(account),
        }
    }

    fn start(&mut self, start: Start) {
        let Start { sequence, active } = start;
        match self.batch.add(sequence) {
            Ok(id) => {
                self.active.insert(id, active);
            }
            Err(refusal) => active.answer.fail(refused(&refusal), &self.counted),
        }
    }

    /// A client that has gone costs no further step.
    fn drop_cancelled(&mut self) {
        let cancelled: Vec<SequenceId> = self
            .active
            .iter()
            .filter(|(_, active)| active.answer.is_cancelled())
            .map(|(id, _)| *id)
            .collect();
        for id in cancelled {
            self.end(id, Ok(FinishReason::Stop));
        }
    }

    fn end(&mut self, id: SequenceId, result: Result<FinishReason>) {
        self.batch.remove(id);
        if let Some(ActiveSequence { answer, adapter, .. }) = self.active.remove(&id) {
            // Before the permit is back: whoever comes next may take the adapter's place in memory.
            drop(adapter);
            answer.end(result, &self.counted);
        }
    }

    /// Computes the step and samples. Changes nothing but what the model has in its cache.
    fn compute(&self, step: &Step) -> Result<Vec<(SequenceId, Result<Sampled>)>> {
        let model = self
            .model
            .as_ref()
            .ok_or_else(|| engine_error("failed in a step", "there is no model"))?;
        let mut inputs = StepInputs::default();
        let mut segments = Vec::with_capacity(step.segments.len());
        let mut sampled = Vec::new();
        // Rows of the same adapter are neighbors: a layer adds them together.
        let mut order: Vec<_> = step
            .segments
            .iter()
            .map(|segment| (segment, self.active.get(&segment.sequence)))
            .collect();
        order.sort_by_key(|(_, active)| active.and_then(|active| active.adapter.as_ref()).map(Arc::as_ptr));
        for (segment, active) in order {
            let id = segment.sequence;
            let rows = segment.first_position..segment.first_position + segment.rows;
            let (Some(all), Some(table), Some(active)) = (self.batch.tokens(id), self.batch.block_table(id), active)
            else {
                return Err(engine_error("lost a sequence", format!("{id:?}")));
            };
            let tokens = all
                .get(rows)
                .ok_or_else(|| engine_error("lost a token", format!("{segment:?}")))?;
            inputs
                .push(tokens, segment.first_position, table, segment.samples)
                .map_err(|e| engine_error("failed in a step", e))?;
            segments.push(RowSegment {
                rows: segment.rows,
                adapter: active.adapter.as_ref().map(|loaded| loaded.adapter.clone()),
                sampled: segment.samples,
            });
            if segment.samples {
                sampled.push((id, all, active));
            }
        }
        let logits = model.forward(&inputs, segments)?;
        Ok(sample(&logits, &sampled))
    }

    /// A sequence for which no token could be chosen ends with the error, and no other one does.
    fn commit(&mut self, step: &Step, sampled: Vec<(SequenceId, Result<Sampled>)>) {
        let Some(model) = self.model.clone() else { return };
        let tokens: Vec<_> = sampled
            .iter()
            .filter_map(|(id, sampled)| Some((*id, sampled.as_ref().ok()?.token)))
            .collect();
        self.batch.commit(step, &tokens);
        for segment in &step.segments {
            let cached = self.batch.cached_tokens(segment.sequence);
            if let Some(active) = self.active.get_mut(&segment.sequence) {
                active.answer.computed(segment.first_position + segment.rows, cached);
            }
        }
        for (id, sampled) in sampled {
            let Sampled { token, scores } = match sampled {
                Ok(sampled) => sampled,
                Err(error) => {
                    self.end(id, Err(error));
                    continue;
                }
            };
            let finds_tools = self.active.get(&id).is_some_and(|active| active.answer.finds_tools());
            let bytes = match finds_tools {
                true => model.vocabulary.bytes_with_markers(token),
                false => model.vocabulary.bytes(token),
            };
            let is_end = model.end_tokens.contains(&token);
            let logprobs =
                scores.map(|scores| scores.with_texts(token, |token, logprob| model.vocabulary.scored(token, logprob)));
            let active = self.active.get_mut(&id);
            if let Some(finish) = active.and_then(|active| active.answer.push(token, &bytes, is_end, logprobs)) {
                self.end(id, Ok(finish));
            }
        }
    }

    /// The step failed: its sequences end with the error, the others go on.
    fn abandon(&mut self, step: &Step, error: &Error) {
        tracing::error!(%error, rows = step.segments.len(), "a step failed");
        self.batch.abandon(step);
        for segment in &step.segments {
            self.end(segment.sequence, Err(engine_error("failed", error.to_string())));
        }
    }

    fn fail_all(&mut self, error: impl Fn() -> Error) {
        while let Some(id) = self.active.keys().next().copied() {
            self.end(id, Err(error()));
        }
    }

    /// The model leaves memory, and with it the KV cache and the prefixes that were kept in it. No sequence may be in the batch.
    fn unload(&mut self) {
        self.model = None;
        self.stats.model_unloaded(&self.batch.gauges());
        self.batch = Batch::new(self.limits);
        self.stats.publish(&self.batch.gauges(), BLOCK_SIZE);
    }

    /// Sequences may be in the batch already, but in no step.
    fn load(&mut self) -> Result<()> {
        // Others may have taken the memory in the meantime.
        memory::check(&self.config)?;
        let begun = Instant::now();
        let model = catch_unwind(AssertUnwindSafe(|| LoadedModel::load(&self.config)))
            .unwrap_or_else(|_| Err(engine_error("panicked", "while it loaded the model")))?;
        // On a GPU the cache has what others have left of its memory.
        let blocks = limits(&self.config, &model).blocks;
        if blocks < self.limits.blocks {
            let text = format!(
                "{blocks} blocks of the KV cache fit, and {} did before",
                self.limits.blocks
            );
            return Err(engine_error("lost memory", text));
        }
        self.model = Some(Arc::new(model));
        self.stats.model_loaded(begun.elapsed());
        self.stats.publish(&self.batch.gauges(), BLOCK_SIZE);
        for active in self.active.values() {
            active.answer.model_loaded();
        }
        Ok(())
    }
}

/// One token for each sequence, on all threads of the pool: each has its own sampler, so the order does not matter.
fn sample(logits: &Logits, sampled: &[(SequenceId, &[u32], &ActiveSequence)]) -> Vec<(SequenceId, Result<Sampled>)> {
    sampled
        .par_iter()
        .enumerate()
        .map(|(row, (id, tokens, active))| {
            let sampled = logits
                .row(row)
                .ok_or_else(|| engine_error("failed in a step", "a row without logits"))
                .and_then(|logits| check_numbers(logits, active.adapter.is_some()))
                .and_then(|logits| active.sampler.sample(logits, tokens, active.grammar_scope()));
            (*id, sampled)
        })
        .collect()
}

/// Numbers that overflowed are no probabilities.
fn check_numbers(logits: &[f32], has_adapter: bool) -> Result<&[f32]> {
    let is_broken = logits.iter().any(|logit| logit.is_nan() || *logit == f32::INFINITY);
    match (is_broken, has_adapter) {
        (false, _) => Ok(logits),
        (true, true) => Err(Error::new(
            ErrorKind::AdapterFailed,
            "its numbers are too large for this model, which computed no probabilities with them; train it with a lower learning rate \
             or alpha, and upload it again",
        )),
        (true, false) => Err(engine_error(
            "failed in a step",
            "the base model computed no probabilities",
        )),
    }
}

fn limits(config: &EngineConfig, model: &LoadedModel) -> Limits {
    Limits {
        rows_per_step: config.rows_per_step,
        sequences: config.max_sequences,
        blocks: model.blocks.min(config.kv_cache_tokens.div_ceil(BLOCK_SIZE)),
        block_size: BLOCK_SIZE,
        context_cost: CONTEXT_COST,
        prefill_slowdown: config.prefill_slowdown,
        lead_rows: LEAD_ROWS,
    }
}

/// What a token of context costs beside the linear layers of a row, as measured on a CPU with a model of 135 million parameters;
/// greater models pay relatively less for context.
const CONTEXT_COST: f32 = 1.0 / 2048.0;

/// A few steps: what a tenant with a long prompt may wait for the short ones of others, once.
const LEAD_ROWS: usize = 256;

fn refused(refusal: &Refusal) -> Error {
    match refusal {
        Refusal::EmptyPrompt => Error::invalid("the prompt is empty").with_param("messages"),
        Refusal::TooLong { needed_blocks, blocks } => Error::invalid(format!(
            "prompt and max_tokens need {} tokens of the engine's KV cache, which has {}; lower max_tokens, shorten the prompt, or raise engine.kv_cache_tokens",
            needed_blocks * BLOCK_SIZE,
            blocks * BLOCK_SIZE,
        ))
        .with_param("max_tokens"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_the_adapters_fault_if_there_is_one() {
        let kind = |logits: &[f32], has_adapter| check_numbers(logits, has_adapter).map_err(|error| error.kind()).err();
        for broken in [f32::NAN, f32::INFINITY] {
            assert_eq!(kind(&[1.0, broken], true), Some(ErrorKind::AdapterFailed));
            assert_eq!(kind(&[broken, 1.0], false), Some(ErrorKind::Internal));
        }
        assert_eq!(
            kind(&[f32::NEG_INFINITY, 1.0], true),
            None,
            "a token that is never written"
        );
    }
}
