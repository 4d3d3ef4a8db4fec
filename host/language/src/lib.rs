//! Text to the terms that a search index stores, and a query to the terms that it looks for. Pure functions; the work is linear in
//! the text. Not here: where the terms are stored, and ranking (`riad-store`).
//!
//! 1. `normalize`: one spelling per character (NFKC), without what nobody sees.
//! 2. `split`: words by letters and digits, and runs of scripts that put no space between words, which ICU cuts (`segment`).
//! 3. `forms`: a word's term: without accents and case (`fold`), cut to its stem (`stem`) by the rules of the document's language.
//!
//! A document's word gives the stem in the document's language. A query's word gives its stems in all languages that the searched
//! documents have, so that finding does not depend on guessing the language of three words.

mod characters;
mod compound;
mod detect;
mod fold;
mod forms;
mod highlight;
mod index;
mod language;
mod normalize;
mod query;
mod segment;
mod split;
mod stem;

pub use highlight::highlight;
pub use index::{Indexer, Terms};
pub use language::Language;
pub use query::{Query, query};

/// Version of the rules that make terms. It grows with every change of what an [`Indexer`] gives: terms of other rules are not found.
pub const RULES: u32 = 1;
