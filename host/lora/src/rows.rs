//! Which rows of the running forward pass have which adapter. The engine's thread says so before each pass, and the layers
//! that run on this thread read it. Not here: what a layer does with it (`layer`).

use crate::Adapter;
use std::{cell::RefCell, ops::Range, rc::Rc, sync::Arc};

/// Neighboring rows of a step that have the same adapter.
#[derive(Debug, Clone)]
pub struct RowSegment {
    pub rows: usize,
    pub adapter: Option<Arc<Adapter>>,
    /// Whether the last of the rows is sampled: only these rows reach the model's head.
    pub sampled: bool,
}

/// A run of rows and their adapter, by position in the input of a layer.
#[derive(Debug, Clone)]
pub(crate) struct AdapterRows {
    pub rows: Range<usize>,
    pub adapter: Arc<Adapter>,
}

#[derive(Debug, Default)]
pub(crate) struct Rows {
    total: usize,
    sampled: usize,
    of_all: Vec<AdapterRows>,
    of_sampled: Vec<AdapterRows>,
}

impl Rows {
    fn new(segments: impl IntoIterator<Item = RowSegment>) -> Self {
        let mut rows = Self::default();
        for segment in segments {
            if let Some(adapter) = &segment.adapter {
                push(&mut rows.of_all, rows.total, segment.rows, adapter);
                if segment.sampled {
                    push(&mut rows.of_sampled, rows.sampled, 1, adapter);
                }
            }
            rows.total += segment.rows;
            rows.sampled += usize::from(segment.sampled);
        }
        rows
    }

    /// The adapters of an input of `count` rows: all rows of the step, or those that are sampled. `None` if it is neither.
    pub fn adapters(&self, count: usize) -> Option<&[AdapterRows]> {
        if self.of_all.is_empty() {
            Some(&[])
        } else if count == self.total {
            Some(&self.of_all)
        } else if count == self.sampled {
            Some(&self.of_sampled)
        } else if self.sampled == 0 && count == 1 {
            // Nobody is sampled: the head computes one row that nobody reads.
            Some(&[])
        } else {
            None
        }
    }
}

fn push(runs: &mut Vec<AdapterRows>, from: usize, count: usize, adapter: &Arc<Adapter>) {
    if count == 0 {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.rows.end == from && Arc::ptr_eq(&last.adapter, adapter) => last.rows.end += count,
        _ => runs.push(AdapterRows {
            rows: from..from + count,
            adapter: adapter.clone(),
        }),
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Rows>>> = const { RefCell::new(None) };
}

pub(crate) fn current() -> Option<Rc<Rows>> {
    CURRENT.with_borrow(Clone::clone)
}

/// While it lives, the forward pass on this thread is of these rows. Without one no row has an adapter.
#[derive(Debug)]
pub struct RowsGuard(());

impl RowsGuard {
    #[must_use]
    pub fn enter(segments: impl IntoIterator<Item = RowSegment>) -> Self {
        CURRENT.set(Some(Rc::new(Rows::new(segments))));
        Self(())
    }
}

impl Drop for RowsGuard {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(rows: usize, adapter: Option<&Arc<Adapter>>, sampled: bool) -> RowSegment {
        RowSegment {
            rows,
            adapter: adapter.cloned(),
            sampled,
        }
    }

    fn ranges(runs: &[AdapterRows]) -> Vec<Range<usize>> {
        runs.iter().map(|run| run.rows.clone()).collect()
    }

    #[test]
    fn neighbors_with_the_same_adapter_are_one_run() {
        let (a, b) = (Arc::new(Adapter::default()), Arc::new(Adapter::default()));
        let rows = Rows::new([
            segment(3, Some(&a), false),
            segment(1, Some(&a), true),
            segment(2, None, true),
            segment(1, Some(&a), true),
            segment(5, Some(&b), true),
        ]);
        assert_eq!(ranges(rows.adapters(12).unwrap()), [0..4, 6..7, 7..12]);
        assert_eq!(ranges(rows.adapters(4).unwrap()), [0..1, 2..3, 3..4]);
        assert!(
            rows.adapters(7).is_none(),
            "an input that is neither all rows nor the sampled ones"
        );
    }

    #[test]
    fn the_head_row_of_an_unsampled_step_has_no_adapter() {
        let a = Arc::new(Adapter::default());
        let rows = Rows::new([segment(8, Some(&a), false)]);
        assert!(rows.adapters(1).unwrap().is_empty());
    }

    #[test]
    fn a_step_without_adapters_takes_any_shape() {
        let rows = Rows::new([segment(8, None, false)]);
        assert!(rows.adapters(3).unwrap().is_empty());
    }
}
