//! Which sequences run. A sequence is admitted if there are blocks for all its tokens beside those that the running ones still need, and
//! some to grow.
//!
//! Room to grow keeps preemptions rare. After an admission every running sequence can take another block, so none is preempted for the next
//! `block_size` steps; for each time that the sequence was preempted before, twice that. A sequence that comes back thus runs for longer each
//! time, until it finishes or is the oldest. No more room is kept than the sequences may use in all.

use super::{Batch, needs};
use crate::{
    prefix_tree::Parent,
    sequence::{Sequence, SequenceId, State},
};

/// Sequences that do not fit and that others may overtake, in one step.
const PASSED_MOST: usize = 4;
/// Doublings of the room to grow.
const DOUBLINGS_MOST: u32 = 16;

impl Batch {
    /// Admits sequences of the accounts with the least virtual time, each account's in the order of their arrival. One that does
    /// not fit is overtaken by as many as may run at once; then all wait for it.
    pub(super) fn admit(&mut self) {
        let mut passed: Vec<SequenceId> = Vec::new();
        let mut after = None;
        while self.running.len() < self.limits.sequences
            && let Some((key, id)) = self.shares.next_waiting(after)
        {
            if self.fits(id) {
                self.start(id);
                for id in &passed {
                    if let Some(sequence) = self.sequences.get_mut(id) {
                        sequence.overtaken += 1;
                    }
                }
                continue;
            }
            let is_patient = self
                .sequences
                .get(&id)
                .is_some_and(|sequence| sequence.overtaken < self.limits.sequences);
            if !is_patient || passed.len() == PASSED_MOST {
                return;
            }
            passed.push(id);
            after = Some(key);
        }
    }

    fn fits(&self, id: SequenceId) -> bool {
        let Some(sequence) = self.sequences.get(&id) else {
            return false;
        };
        let need = needs::of_running(sequence, &self.blocks);
        let doublings = self.needs.most_preemptions().max(need.preemptions).min(DOUBLINGS_MOST);
        let growth = (self.running.len() + 1).saturating_mul(1 << doublings);
        let room = growth.min(self.needs.growth.saturating_add(need.growth));
        let Some(left) = self
            .blocks
            .available()
            .checked_sub(self.needs.blocks.saturating_add(room))
        else {
            return false;
        };
        // The prefix cache is searched only if it decides. A cached block is no gain: it cannot be allocated any more.
        need.blocks <= left || need.blocks.saturating_sub(self.held_prefix(sequence)) <= left
    }

    /// How many blocks of its prefix other sequences hold. They come first, because who holds a block holds those before it.
    fn held_prefix(&self, sequence: &Sequence) -> usize {
        let size = self.blocks.size();
        let most = sequence.tokens.len().saturating_sub(1) / size;
        let mut chain = sequence.chain;
        let prefix = sequence.tokens.chunks_exact(size).take(most);
        prefix
            .map_while(|tokens| {
                let found = self.blocks.find(chain?, tokens)?;
                chain = Some(Parent::Node(found.node));
                (!found.is_cached).then_some(())
            })
            .count()
    }

    fn start(&mut self, id: SequenceId) {
        self.leave_queue(id);
        let next_age = self.next_age;
        let started = self.change(id, |sequence, _| {
            let is_first = sequence.age.is_none();
            let age = *sequence.age.get_or_insert(next_age);
            sequence.state = State::Running;
            sequence.overtaken = 0;
            let lookup = if is_first && sequence.namespace.is_some() {
                sequence.prompt_tokens
            } else {
                0
            };
            (sequence.account, age, lookup)
        });
        let Some((account, age, lookup)) = started else {
            return;
        };
        self.next_age = self.next_age.max(age + 1);
        self.running.insert(age, id);
        self.shares.started(account);
        self.counters.prefix_lookup_tokens += lookup as u64;
        self.reuse(id);
        self.enqueue(id);
    }
}
