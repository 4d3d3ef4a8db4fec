//! An engine that computes nothing but remembers what each slot of the KV cache holds. Checks every step.

use crate::{
    Batch, Limits, Namespace, NewSequence, SequenceId, Step,
    batch::{needs, needs::Needs},
    sequence::State,
};
use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    time::Duration,
};

/// What the K/V of a position depends on: the adapter and all tokens up to it.
type Content = u64;

pub struct World {
    pub batch: Batch,
    pub limits: Limits,
    kv: BTreeMap<(u32, usize), Content>,
    pub known: BTreeMap<SequenceId, Known>,
    /// Ids in the order in which they were first admitted.
    admitted: Vec<SequenceId>,
    last_admission: u64,
    pub steps: u64,
}

#[derive(Clone)]
pub struct Known {
    new: NewSequence,
    running: bool,
    admitted_at: u64,
    preemptions: u32,
    salt: u32,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        Self {
            batch: Batch::new(limits),
            limits,
            kv: BTreeMap::new(),
            known: BTreeMap::new(),
            admitted: Vec::new(),
            last_admission: 0,
            steps: 0,
        }
    }

    pub fn add(&mut self, new: NewSequence, salt: u32) -> Option<SequenceId> {
        let most = new.prompt.len() + new.max_tokens.max(1);
        let fits = most.div_ceil(self.limits.block_size) <= self.limits.blocks;
        let added = self.batch.add(new.clone());
        assert_eq!(added.is_ok(), fits && !new.prompt.is_empty());
        let id = added.ok()?;
        let known = Known {
            new,
            running: false,
            admitted_at: 0,
            preemptions: 0,
            salt,
        };
        self.known.insert(id, known);
        self.check();
        Some(id)
    }

    /// Plans a step and checks it.
    pub fn plan(&mut self) -> Step {
        let step = self.batch.plan();
        self.steps += 1;
        self.note_admissions(&step);
        self.check();
        self.check_step(&step);
        self.check_work_conservation(&step);
        step
    }

    /// Computes it, except that sequences removed since it was planned get no tokens.
    pub fn commit(&mut self, step: &Step) {
        self.compute(step, |_| true);
        let sampled = self.sample(step);
        self.batch.commit(step, &sampled);
        self.batch.observe(step, Duration::from_millis(9 + step.rows() as u64));
        for (id, token) in sampled {
            if let Some(tokens) = self.batch.tokens(id) {
                assert_eq!(tokens.last(), Some(&token));
            }
        }
        self.check();
    }

    /// It fails when some rows have been computed, and others have left garbage.
    pub fn abandon(&mut self, step: &Step) {
        self.compute(step, |position| position % 2 == 0);
        self.batch.abandon(step);
        self.check();
    }

    pub fn remove(&mut self, id: SequenceId) {
        let removed = self.batch.remove(id).expect("it is there");
        let known = self.known.remove(&id).expect("it is known");
        assert_eq!(removed.preemptions, known.preemptions);
        assert!(removed.cached_tokens < known.new.prompt.len());
        assert!(removed.tokens.starts_with(&known.new.prompt));
        assert!(removed.tokens.len() <= known.new.prompt.len() + known.new.max_tokens.max(1));
        if known.new.namespace.is_none() {
            assert_eq!(removed.cached_tokens, 0);
        }
        assert_eq!(self.batch.remove(id), None);
        self.check();
    }

    pub fn remove_finished(&mut self) {
        let is_finished = |id: &SequenceId| self.batch.sequences[id].state == State::Finished;
        let finished: Vec<SequenceId> = self.known.keys().copied().filter(is_finished).collect();
        for id in finished {
            self.remove(id);
        }
    }

    /// Everything finishes, in a number of steps that depends on the work.
    pub fn drain(&mut self) {
        let rows: usize = self
            .known
            .values()
            .map(|known| known.new.prompt.len() + known.new.max_tokens)
            .sum();
        // Once alone, and again for each preemption; each step has at least one row.
        let bound = rows * 8 + 8;
        for _ in 0..bound {
            if self.batch.is_idle() {
                break;
            }
            let step = self.plan();
            assert!(!step.is_empty());
            self.commit(&step);
            self.remove_finished();
        }
        assert!(self.batch.is_idle(), "not finished within {bound} steps");
        assert!(self.known.is_empty());
        let gauges = self.batch.gauges();
        assert_eq!((gauges.running, gauges.waiting, gauges.blocks_used), (0, 0, 0));
        self.batch.clear_cache();
        assert_eq!(self.batch.gauges().blocks_free, self.limits.blocks);
        self.batch.plan();
        assert_eq!(
            self.batch.shares.accounts(),
            0,
            "accounts without sequences are forgotten"
        );
    }

    fn sample(&self, step: &Step) -> Vec<(SequenceId, u32)> {
        let wanted = step.segments.iter().filter(|segment| segment.samples);
        wanted
            .filter_map(|segment| {
                let known = self.known.get(&segment.sequence)?;
                let tokens = self.batch.tokens(segment.sequence)?;
                Some((segment.sequence, (tokens.len() as u32 * 7 + known.salt) % 3))
            })
            .collect()
    }

    fn note_admissions(&mut self, step: &Step) {
        for id in &step.preempted {
            let known = self.known.get_mut(id).expect("it is known");
            // It may have been admitted by this very plan: then its admission was too early.
            assert!(known.running, "admitted and preempted in one step");
            known.running = false;
            let (since_any, since_own) = (self.steps - self.last_admission, self.steps - known.admitted_at);
            let size = self.limits.block_size as u64;
            assert!(since_any > size, "preempted {since_any} steps after an admission");
            assert!(
                since_own > size << known.preemptions,
                "preempted {since_own} steps after it came back"
            );
            known.preemptions += 1;
        }
        let mut fresh: Vec<(u64, SequenceId)> = Vec::new();
        for (age, id) in &self.batch.running {
            let known = self.known.get_mut(id).expect("it is known");
            if !known.running {
                known.running = true;
                known.admitted_at = self.steps;
                self.last_admission = self.steps;
                if !self.admitted.contains(id) {
                    fresh.push((*age, *id));
                }
            }
        }
        fresh.sort_unstable();
        for (_, id) in fresh {
            let account = self.known[&id].new.account;
            let earlier = self.known.iter().filter(|(_, known)| known.new.account == account);
            for (other, _) in earlier.filter(|(other, _)| **other < id) {
                assert!(
                    self.admitted.contains(other),
                    "first come, first served within an account"
                );
            }
            self.admitted.push(id);
        }
        for id in &step.preempted {
            let age = self.batch.sequences[id].age;
            let newest = self.batch.running.last_key_value().map(|(age, _)| *age);
            assert!(age > newest, "only the newest are preempted");
        }
    }

    /// The state is consistent with itself.
    fn check(&self) {
        let batch = &self.batch;
        batch.blocks.check();
        let size = batch.blocks.size();
        let mut holders: BTreeMap<u32, u32> = BTreeMap::new();
        let mut sums = Needs::default();
        for (id, sequence) in &batch.sequences {
            sums.replace(needs::Need::default(), needs::of(sequence, &batch.blocks));
            let full = sequence.computed / size;
            assert!(sequence.published <= full);
            assert!(sequence.computed < sequence.tokens.len());
            assert!(sequence.computed <= sequence.table.len() * size);
            assert!(sequence.table.len() <= sequence.tokens.len().div_ceil(size));
            if sequence.state != State::Running {
                assert!(sequence.table.is_empty() && sequence.computed == 0);
            }
            let distinct: BTreeSet<u32> = sequence.table.iter().copied().collect();
            assert_eq!(distinct.len(), sequence.table.len());
            for (index, block) in sequence.table.iter().enumerate() {
                *holders.entry(*block).or_default() += 1;
                let is_alone = batch.blocks.holders(*block) == 1 && !batch.blocks.is_published(*block);
                assert!(index < full || is_alone, "a block that {id:?} writes is its own");
            }
        }
        for (block, holders) in &holders {
            assert_eq!(batch.blocks.holders(*block), *holders);
        }
        assert_eq!(sums, batch.needs);
        let gauges = batch.gauges();
        assert_eq!(gauges.blocks_used, holders.len());
        assert_eq!(
            gauges.blocks_used + gauges.blocks_cached + gauges.blocks_free,
            self.limits.blocks
        );
        assert_eq!(gauges.running, batch.running.len());
        let waiting = batch
            .sequences
            .values()
            .filter(|sequence| sequence.state == State::Waiting);
        assert_eq!(gauges.waiting, waiting.count());
        assert!(gauges.running <= self.limits.sequences);
    }

    fn check_step(&self, step: &Step) {
        assert!(step.rows() <= self.limits.rows_per_step);
        let mut seen = BTreeSet::new();
        for segment in &step.segments {
            assert!(segment.rows > 0 && seen.insert(segment.sequence));
            let tokens = self.batch.tokens(segment.sequence).expect("it is there");
            let end = segment.first_position + segment.rows;
            assert_eq!(segment.samples, end == tokens.len());
            assert!(end <= tokens.len());
        }
        // A batch with work never stands still.
        assert_eq!(step.is_empty(), self.batch.is_idle());
    }

    /// Rows are left over only if nothing can use them, or if sequences that decode would be slowed by prompts of which some rows are
    /// read all the same.
    fn check_work_conservation(&self, step: &Step) {
        if step.rows() == self.limits.rows_per_step {
            return;
        }
        let is_mixed = step.segments.iter().any(crate::Segment::decodes) && step.rows() > step.segments.len();
        let is_paced = self.limits.prefill_slowdown.is_some() && is_mixed;
        let newest = self.batch.running.last_key_value().map(|(_, id)| *id);
        for (id, sequence) in self.batch.running.values().map(|id| (id, &self.batch.sequences[id])) {
            let may_wait = is_paced && sequence.remaining() > 1;
            if sequence.remaining() > 0 && !may_wait {
                let next = sequence.next_position();
                let needs_block = next == sequence.table.len() * self.limits.block_size;
                assert!(needs_block, "{id:?} stands still with room in its blocks");
                // Also when another was preempted in this step: its blocks may have been enough for an older one only.
                assert_eq!(self.batch.blocks.available(), 0, "{id:?} got no block");
                assert_eq!(Some(*id), newest, "only the newest waits for a block");
            }
        }
    }

    /// Writes the K/V of all rows that succeed, then reads what each row attends to.
    fn compute(&mut self, step: &Step, succeeds: impl Fn(usize) -> bool) {
        let mut written = BTreeSet::new();
        let mut reads = Vec::new();
        for segment in &step.segments {
            let Some(known) = self.known.get(&segment.sequence) else {
                continue;
            };
            let tokens = self.batch.tokens(segment.sequence).expect("it is there");
            let table = self.batch.block_table(segment.sequence).expect("it is there");
            let owner = known.new.namespace.ok_or(segment.sequence);
            let contents = contents(owner, tokens);
            let slot = |position: usize| {
                let size = self.limits.block_size;
                (table[position / size], position % size)
            };
            let rows = contents
                .iter()
                .enumerate()
                .skip(segment.first_position)
                .take(segment.rows);
            for (position, content) in rows {
                let content = if succeeds(position) { *content } else { 0 };
                assert!(written.insert(slot(position)), "two rows write one slot");
                self.kv.insert(slot(position), content);
            }
            let last = segment.first_position + segment.rows;
            reads.extend(
                (0..last)
                    .filter(|position| succeeds(*position) || *position < segment.first_position)
                    .map(|position| (segment.sequence, position, slot(position), contents[position])),
            );
        }
        for (id, position, slot, content) in reads {
            assert_eq!(
                self.kv.get(&slot),
                Some(&content),
                "{id:?} reads another's K/V at {position}"
            );
        }
    }
}

fn contents(owner: Result<Namespace, SequenceId>, tokens: &[u32]) -> Vec<Content> {
    let mut hasher = DefaultHasher::new();
    owner.hash(&mut hasher);
    let content = |token: &u32| {
        token.hash(&mut hasher);
        hasher.finish()
    };
    tokens.iter().map(content).collect()
}
