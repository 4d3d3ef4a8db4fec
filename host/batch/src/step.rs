//! What is computed together.

use crate::sequence::SequenceId;

/// Rows that the engine computes in one pass. Give it back to [`Batch::commit`](crate::Batch::commit) or
/// [`Batch::abandon`](crate::Batch::abandon) before the next one is planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// At most one for each sequence.
    pub segments: Vec<Segment>,
    /// Sequences that lost their blocks to older ones. They wait, and are computed again from their first token.
    pub preempted: Vec<SequenceId>,
    /// Tells this step from earlier ones.
    pub(crate) number: u64,
    /// Prompts were held back, so that the pace learns what a step takes without them.
    pub(crate) is_light: bool,
}

/// Successive rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub sequence: SequenceId,
    /// The position of the first row's token.
    pub first_position: usize,
    pub rows: usize,
    /// The last row is the sequence's last token: its logits are wanted.
    pub samples: bool,
}

impl Segment {
    /// One row, for the token after it.
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.samples && self.rows == 1
    }
}

impl Step {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}
