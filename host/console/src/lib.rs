//! The web console.

mod error;
mod form;
mod layout;
mod session;
mod state;
mod tenant;

pub use state::ConsoleState;

#[must_use]
pub fn stub_routes() -> axum::Router<ConsoleState> {
    tenant::routes()
}
