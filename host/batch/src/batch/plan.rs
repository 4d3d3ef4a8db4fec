//! Planning a step: who gets rows, and blocks for them.

use super::Batch;
use crate::{
    cost::least_charge,
    sequence::{Sequence, SequenceId, State},
    step::{Segment, Step},
};

/// Rows of a prompt that are given at once. The finest grain of fairness, and the coarsest difference from it.
pub const QUANTUM: usize = 8;

/// The step that is being planned.
struct Draft {
    /// Rows that are left.
    rows: usize,
    /// In the order of their first rows.
    sequences: Vec<SequenceId>,
    preempted: Vec<SequenceId>,
    /// Sequences that got no block.
    stalled: Vec<SequenceId>,
    /// Sequences whose prompts are read no further, for the sake of those that decode.
    paced: Vec<SequenceId>,
    /// What may be read of prompts, and what is read so far, in rows without context.
    reading_limit: Option<f64>,
    reading: f64,
    is_light: bool,
}

impl Batch {
    /// Chooses the rows to compute next. Empty if there is nothing to do. A step that was neither committed nor abandoned is abandoned.
    pub fn plan(&mut self) -> Step {
        self.abandon_in_flight();
        self.step += 1;
        self.admit();
        let decoding = self.decoding();
        let is_light = decoding > 0.0 && self.pace.needs_light_step();
        let mut draft = Draft {
            rows: self.limits.rows_per_step,
            sequences: Vec::new(),
            preempted: Vec::new(),
            stalled: Vec::new(),
            paced: Vec::new(),
            reading_limit: if is_light {
                Some(0.0)
            } else {
                self.pace.reading(decoding)
            },
            reading: 0.0,
            is_light,
        };
        while draft.rows > 0
            && let Some((_, id)) = self.shares.next()
        {
            self.serve(self.short_prompt(id).unwrap_or(id), &mut draft);
        }
        // They had to wait for rows, so their accounts keep what is owed to them.
        for id in draft.paced {
            self.enqueue(id);
        }
        self.shares.close_step();
        for id in draft.stalled {
            self.enqueue(id);
        }
        let mut step = Step {
            segments: Vec::with_capacity(draft.sequences.len()),
            preempted: draft.preempted,
            number: self.step,
            is_light: draft.is_light,
        };
        for id in draft.sequences {
            let planned = self.sequences.get(&id).filter(|sequence| sequence.planned > 0);
            if let Some(sequence) = planned {
                step.segments.push(segment(id, sequence));
                self.in_flight.push(id);
            }
        }
        step
    }

    /// Instead of the prompt `next`, the one with the fewest rows left among those that can be read to their end within the lead that
    /// an account may have. Prompts that take turns all end late; a short one that goes first delays the others by little.
    fn short_prompt(&self, next: SequenceId) -> Option<SequenceId> {
        self.sequences.get(&next).filter(|sequence| sequence.remaining() > 1)?;
        let (until, prompts) = self.shares.next_prompts(least_charge(self.limits.lead_rows, 1));
        let short = prompts.filter_map(|(virtual_time, id)| {
            let sequence = self.sequences.get(&id)?;
            let (first, rows) = (sequence.next_position(), sequence.remaining());
            let weight = self.shares.weight(sequence.account);
            let charge = self.cost.charge(first, rows, sequence.row_cost, weight);
            (virtual_time.saturating_add(charge) <= until).then_some((rows, virtual_time, id))
        });
        short.min().map(|(.., id)| id)
    }

    /// The cost of the sequences that decode.
    fn decoding(&self) -> f64 {
        let running = self.running.values().filter_map(|id| self.sequences.get(id));
        let decoding = running.filter(|sequence| sequence.remaining() == 1);
        decoding
            .map(|sequence| self.cost.in_rows(sequence.computed, 1, sequence.row_cost))
            .sum()
    }

    /// The cost of a sequence's next quantum, if that belongs to a prompt.
    fn reads_next(&self, id: SequenceId) -> f64 {
        self.sequences
            .get(&id)
            .filter(|sequence| sequence.remaining() > 1)
            .map_or(0.0, |sequence| {
                let rows = sequence.remaining().min(QUANTUM);
                self.cost.in_rows(sequence.next_position(), rows, sequence.row_cost)
            })
    }

    /// Gives a sequence its next quantum of rows.
    fn serve(&mut self, id: SequenceId, draft: &mut Draft) {
        self.dequeue(id);
        if self.sequences.get(&id).is_some_and(|sequence| sequence.planned == 0) {
            self.reuse(id);
        }
        let reads = self.reads_next(id);
        let is_over = |limit: f64| draft.reading + reads > limit;
        if reads > 0.0 && draft.reading > 0.0 && draft.reading_limit.is_some_and(is_over) {
            draft.paced.push(id);
            return;
        }
        let rows = self.reserve(id, draft);
        if rows == 0 {
            draft.stalled.push(id);
            return;
        }
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        let first = sequence.next_position();
        let weight = self.shares.weight(sequence.account);
        let charge = self.cost.charge(first, rows, sequence.row_cost, weight);
        if sequence.planned == 0 {
            draft.sequences.push(id);
        }
        sequence.planned += rows;
        sequence.charged += charge;
        sequence.served = self.step;
        draft.rows -= rows;
        draft.reading += reads;
        self.shares.charge(sequence.account, charge);
        self.enqueue(id);
    }

    /// Blocks for its next rows; how many rows they are enough for. If none is left, newer sequences are preempted.
    fn reserve(&mut self, id: SequenceId, draft: &mut Draft) -> usize {
        let size = self.blocks.size();
        loop {
            let Some(sequence) = self.sequences.get(&id) else {
                return 0;
            };
            let next = sequence.next_position();
            let wanted = sequence.remaining().min(QUANTUM).min(draft.rows);
            let allocated = sequence.table.len() * size;
            if allocated >= next + wanted {
                return wanted;
            }
            let age = sequence.age;
            if let Some(block) = self.blocks.allocate() {
                self.change(id, |sequence, _| sequence.table.push(block));
                continue;
            }
            match self.running.last_key_value() {
                Some((newest, victim)) if Some(*newest) > age => self.preempt(*victim, draft),
                Some(_) | None => return allocated.saturating_sub(next),
            }
        }
    }

    /// Takes a sequence's blocks and its rows in this step. It waits before all others of its account, and keeps its tokens.
    fn preempt(&mut self, id: SequenceId, draft: &mut Draft) {
        let Some(sequence) = self.sequences.get(&id) else {
            return;
        };
        let (account, order) = (sequence.account, sequence.waiting_order());
        draft.rows += sequence.planned;
        self.shares.refund(account, sequence.charged);
        self.stop(id, State::Waiting);
        if let Some(sequence) = self.sequences.get_mut(&id) {
            sequence.preemptions += 1;
        }
        self.shares.wait(account, order, id);
        self.waiting += 1;
        self.counters.preemptions += 1;
        draft.preempted.push(id);
    }
}

fn segment(id: SequenceId, sequence: &Sequence) -> Segment {
    Segment {
        sequence: id,
        first_position: sequence.computed,
        rows: sequence.planned,
        samples: sequence.remaining() == 0,
    }
}
