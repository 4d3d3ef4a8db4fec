//! The crate that `mistralrs-core` sees as `mistralrs-quant`: everything of the real one, with the constructors of dense
//! linear layers replaced. Each builds the real layer once per model ([`SharedWeights`]) and wraps it in a layer that adds
//! the lane's active adapter ([`LaneSlot`]).
//!
//! Not here: reading PEFT files, caching adapters, lanes. A change in this crate rebuilds `mistralrs-core`, so all of that
//! lives in `riad-engine`.

mod adapter;
mod constructors;
mod layer;
mod loading;
mod request;
mod tensors;

pub use adapter::{Adapter, LaneSlot, LoraPair};
pub use constructors::{ColumnParallelLayer, ReplicatedLayer, RowParallelLayer, linear, linear_b, linear_no_bias};
pub use loading::{AdaptableLayer, LoadGuard, SharedWeights};
pub use request::{LiveRequest, RequestState, count_sampled_token, sampled_tokens};
pub use tensors::ShardedSafeTensors;

// A glob, so that whatever upstream's code names is there; the explicit names above win over it.
pub use mistralrs_quant::*;
