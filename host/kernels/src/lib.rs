//! What one step of a decoder computes on a CPU, on plain slices: linear layers ([`Matrix`]), LoRA of rows that have different
//! adapters ([`lora`]), attention over a paged cache ([`attention`]), the gate of a feed-forward layer ([`gate`]). Sums are f32;
//! weights and caches may be stored narrower, and the factors of a [`Matrix::bf16`] are bf16. Each kernel is written once over the
//! vectors of `simd`, and the widest that the processor has is chosen at run time.
//!
//! Every sum is taken in an order that depends neither on how many rows there are nor on threads: a row gives the same bits
//! alone and in a batch.

pub mod attention;
mod element;
mod error;
mod exp;
pub mod gate;
pub mod lora;
mod matrix;
mod multiply;
mod narrow;
mod pairs;
mod shared;
pub mod simd;

pub use element::Element;
pub use error::ShapeError;
pub use matrix::{Matrix, Q8_BLOCK};
