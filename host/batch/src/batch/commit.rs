//! What becomes of a step: it was computed, or it failed.

use super::Batch;
use crate::{
    cost::ROW,
    prefix_tree::Parent,
    sequence::{SequenceId, State},
    step::Step,
};
use std::{collections::BTreeMap, time::Duration};

impl Batch {
    /// The step was computed, and these tokens were sampled: one for each segment that samples. Sequences that were removed meanwhile are
    /// ignored. A sequence whose token is missing gets no more rows and must be removed.
    pub fn commit(&mut self, step: &Step, sampled: &[(SequenceId, u32)]) {
        if step.number != self.step {
            return;
        }
        let sampled: BTreeMap<SequenceId, u32> = sampled.iter().copied().collect();
        for id in std::mem::take(&mut self.in_flight) {
            let is_finished = self.change(id, |sequence, _| {
                let samples = sequence.remaining() == 0;
                sequence.computed += sequence.planned;
                sequence.planned = 0;
                sequence.charged = 0;
                if samples {
                    sequence.tokens.extend(sampled.get(&id));
                }
                sequence.tokens.len() >= sequence.most_tokens
            });
            self.publish(id);
            match is_finished {
                Some(true) => self.stop(id, State::Finished),
                Some(false) => self.enqueue(id),
                None => {}
            }
        }
    }

    /// The step took so long to compute. Later ones read prompts at the pace that follows from it.
    pub fn observe(&mut self, step: &Step, time: Duration) {
        let (mut decoding, mut reading) = (0.0, 0.0);
        for segment in &step.segments {
            // One that was removed meanwhile slowed the step as well; what its adapter added is not known any more.
            let sequence = self.sequences.get(&segment.sequence);
            let row_cost = sequence.map_or(ROW, |sequence| sequence.row_cost);
            let cost = self.cost.in_rows(segment.first_position, segment.rows, row_cost);
            match segment.decodes() {
                true => decoding += cost,
                false => reading += cost,
            }
        }
        self.pace.observe(decoding, reading, step.is_light, time);
    }

    /// The step failed: nothing of it counts as computed. Accounts stay charged for it.
    pub fn abandon(&mut self, step: &Step) {
        if step.number == self.step {
            self.abandon_in_flight();
        }
    }

    pub(super) fn abandon_in_flight(&mut self) {
        for id in std::mem::take(&mut self.in_flight) {
            if let Some(sequence) = self.sequences.get_mut(&id) {
                sequence.planned = 0;
                sequence.charged = 0;
            }
            self.enqueue(id);
        }
    }

    /// Publishes blocks whose tokens are all computed now. The last sampled token is not: its K/V is written by the next step.
    fn publish(&mut self, id: SequenceId) {
        self.change(id, |sequence, blocks| {
            let size = blocks.size();
            while let Some(chain) = sequence.chain {
                let (first, end) = (sequence.published * size, (sequence.published + 1) * size);
                if end > sequence.computed {
                    return;
                }
                let tokens = sequence.tokens.get(first..end).unwrap_or_default();
                let Some(block) = sequence.table.get_mut(sequence.published) else {
                    return;
                };
                let Some((node, published)) = blocks.publish(chain, tokens, *block) else {
                    sequence.chain = None;
                    return;
                };
                *block = published;
                sequence.published += 1;
                sequence.chain = Some(Parent::Node(node));
            }
        });
    }
}
