//! The crate that `mistralrs-core` sees as `mistralrs-quant`: everything of the real one, with the constructors of dense linear
//! layers and the gate of feed-forward layers replaced. Each constructor wraps the real layer in one that adds to every row of a step what that row's adapter says, and
//! that computes with `riad-kernels` on a CPU.
//!
//! Not here: reading PEFT files, caching adapters, choosing rows. A change in this crate rebuilds `mistralrs-core`, so all of
//! that lives in `riad-engine`.

mod adapter;
mod concatenated;
mod constructors;
mod gate;
mod layer;
mod loading;
mod numbers;
mod rows;

pub use adapter::{Adapter, LoraPair};
pub use constructors::{ColumnParallelLayer, ReplicatedLayer, RowParallelLayer, linear, linear_b, linear_no_bias};
pub use gate::fused_glu;
pub use loading::{AdaptableLayer, LoadGuard, ModelLayers, WeightFormat};
pub use rows::{RowSegment, RowsGuard};

// A glob, so that whatever upstream's code names is there; the explicit names above win over it.
pub use mistralrs_quant::*;
