//! The operator's pages. Not here: a tenant's room, which the operator's key does not open.

mod audit;
mod engine;
mod fairness;
mod ledger;
mod overview;
mod plans;
mod rooms;
mod scale;
mod tenant_page;
mod tenants;

use crate::state::ConsoleState;
use axum::Router;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .merge(overview::routes())
        .merge(tenants::routes())
        .merge(fairness::routes())
        .merge(engine::routes())
        .merge(rooms::routes())
        .merge(ledger::routes())
        .merge(plans::routes())
        .merge(audit::routes())
        .merge(scale::routes())
}
