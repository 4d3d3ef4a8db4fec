//! A tenant's pages.

mod adapters;
mod documents;
mod format;
mod keys;
mod parts;
mod playground;
mod plot;
mod plugins;
mod receipts;
mod usage;

use crate::state::ConsoleState;
use axum::Router;
use serde::Deserialize;

/// A form without fields of its own.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .merge(playground::routes())
        .merge(documents::routes())
        .merge(plugins::routes())
        .merge(adapters::routes())
        .merge(usage::routes())
        .merge(keys::routes())
        .merge(receipts::routes())
}
