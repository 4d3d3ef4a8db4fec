//! A tenant's pages.

mod format;
mod playground;
mod plugins;

use crate::state::ConsoleState;
use axum::Router;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().merge(playground::routes())
}
