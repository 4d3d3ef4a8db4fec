//! A tenant's pages.

mod adapters;
mod documents;
mod keys;
mod playground;
mod plugins;
mod receipts;
mod usage;

use crate::state::ConsoleState;
use axum::Router;

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
