//! The operator's pages. Not here: a tenant's room, which the operator's key does not open.

mod overview;
mod tenants;

use crate::state::ConsoleState;
use axum::Router;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().merge(overview::routes()).merge(tenants::routes())
}
