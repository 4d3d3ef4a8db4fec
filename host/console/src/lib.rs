//! The console: pages for tenants and the operator, rendered by the server from the same use cases as the API. Scripts add streams, progress and
//! drag and drop; what can be done without them, forms do.
//! Not here: rules (`services`), sockets and admission (`api`).

mod assets;
mod error;
mod failures;
mod form;
mod gateway;
mod headers;
mod layout;
mod operator;
mod parts;
mod plot;
mod session;
mod sessions;
mod sign_in;
mod state;
mod streams;
mod tenant;

use crate::{
    error::{PageError, PageResult},
    session::AnySession,
    state::ConsoleState,
};
use axum::{
    Router,
    middleware::{from_fn_with_state, map_response},
    response::Redirect,
    routing::{any, get},
};
use riad_api::pages::Pages;
use riad_core::{Error, ErrorKind};
use riad_services::Services;

/// The console's pages, all of them below `/console`. `secure`: the server is reached by TLS, so that cookies travel by nothing else.
pub fn router(services: Services, pages: Pages, secure: bool) -> Router {
    let state = ConsoleState {
        services,
        sessions: sessions::Sessions::default(),
        streams: streams::Streams::default(),
        pages,
        secure,
    };
    let navigation = from_fn_with_state(state.clone(), failures::with_navigation);
    routes()
        .layer(navigation)
        .layer(map_response(headers::protect))
        .with_state(state)
}

fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console", get(home))
        .route("/console/", get(home))
        .route("/console/{*path}", any(missing))
        .merge(assets::routes())
        .merge(sign_in::routes())
        .merge(gateway::routes())
        .merge(tenant::routes())
        .merge(operator::routes())
}

/// The first page that the session's key may see.
async fn home(session: AnySession) -> PageResult<Redirect> {
    let session = match session {
        AnySession::Operator(_) => return Ok(Redirect::to(layout::OPERATOR_HOME)),
        AnySession::Tenant(session) => session,
    };
    match layout::home(&session.pass) {
        Some(path) => Ok(Redirect::to(path)),
        None => Err(Error::new(ErrorKind::Forbidden, "this key has no scope that a page shows").into()),
    }
}

async fn missing() -> PageError {
    PageError::no_such_page()
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_routes_are_of_one_path() {
        // It panics if there are.
        let _ = super::routes();
    }
}
