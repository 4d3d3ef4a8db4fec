//! A tenant's pages.

mod documents;
mod format;
mod parts;
mod playground;
mod plot;
mod plugins;

use crate::state::ConsoleState;
use axum::Router;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .merge(playground::routes())
        .merge(documents::routes())
        .merge(plugins::routes())
}
