//! Signing in with a key, and out again.

use crate::{
    error::{PageError, PageResult, SIGN_IN},
    form::{self, CsrfForm, Nothing},
    layout,
    session::{self, Authenticated},
    sessions::Owner,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use riad_api::pages;
use riad_core::{Error, ErrorKind, Secret};
use serde::Deserialize;

/// Of the form: an identity provider's token may be long. It is read before anybody is known.
const FORM_BYTES: u64 = 16 << 10;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/sign-in", get(show).post(sign_in))
        .route("/console/sign-out", post(sign_out))
}

#[derive(Deserialize)]
struct SignInForm {
    key: String,
}

async fn show() -> Markup {
    page(None)
}

async fn sign_in(State(state): State<ConsoleState>, request: Request) -> PageResult<Response> {
    check_origin(request.headers())?;
    let secure = state.secure || is_by_tls(request.headers());
    let origin = pages::origin(request.extensions());
    let (extensions, before) = (request.extensions().clone(), session::cookie(request.headers()));
    let bytes = form::read(request, FORM_BYTES).await?;
    let SignInForm { key } = form::parse(&bytes)?;
    let key = Secret::new(key.trim().to_owned());
    match session::owner(&state, &key, origin).await {
        Ok(owner) => {
            pages::record_authenticated(&extensions);
            if let Some(before) = before {
                state.sessions.end(&before);
            }
            let id = state.sessions.begin(owner, key)?;
            let cookie = session::set_cookie(Some(&id), secure)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/console")).into_response())
        }
        Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Misdirected) => {
            Ok((StatusCode::UNAUTHORIZED, page(Some(&error))).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Another site must not sign a reader in with a key of its own: what the reader then sends would be that key's owner's.
fn check_origin(headers: &HeaderMap) -> Result<(), Error> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    let is_own = match (text(header::ORIGIN), text(header::HOST)) {
        // A client that is no browser.
        (None, _) => true,
        (Some(origin), Some(host)) => is_of(origin, host),
        (Some(_), None) => false,
    };
    match is_own {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Forbidden,
            "this form was sent by another site; sign in on this server's own page. A proxy before this server must pass on the header Host as it is",
        )),
    }
}

/// The port that a scheme has by itself may stand behind the host's name.
fn is_of(origin: &str, host: &str) -> bool {
    let Some((scheme, name)) = origin.split_once("://") else {
        return false;
    };
    let port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let plain = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
    plain(name) == plain(host)
}

/// Whether the page came by TLS, also if a proxy before this server ends that.
fn is_by_tls(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(header::HeaderValue::as_bytes);
    origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

/// The session whose form it is, whoever its owner is.
struct SignedIn(Secret<String>);

impl FromRequestParts<ConsoleState> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, PageError> {
        let id = session::cookie(&parts.headers).ok_or_else(PageError::sign_in)?;
        let session = state.sessions.find(&id).ok_or_else(PageError::sign_in)?;
        let account = match session.owner {
            Owner::Operator => riad_core::Account::new(0),
            Owner::Tenant(account) => account,
        };
        parts.extensions.insert(Authenticated { session, account });
        Ok(Self(id))
    }
}

async fn sign_out(
    State(state): State<ConsoleState>,
    SignedIn(id): SignedIn,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Response> {
    state.sessions.end(&id);
    let cookie = session::set_cookie(None, state.secure)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response())
}

fn page(error: Option<&Error>) -> Markup {
    let body = html! {
        @if let Some(error) = error { p.notice.error role="alert" { (error.message_for_client()) } }
        form.sign-in method="post" action=(SIGN_IN) {
            div.field {
                label for="key" { "Key" }
                input #key name="key" type="password" autocomplete="current-password" required autofocus aria-describedby="key-hint"
                    spellcheck="false";
                p.hint #key-hint {
                    "A tenant's key (" code { "riad_sk_…" } "), a token of your identity provider, or the operator's key, which the server showed at its first start."
                }
            }
            button.primary type="submit" { "Sign in" }
        }
    };
    layout::plain("Sign in", &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_form_of_another_site_is_refused() {
        let check = |origin: Option<&'static str>, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check_origin(&headers).is_ok()
        };
        assert!(check(None, "riad.example"));
        assert!(check(Some("https://riad.example"), "riad.example"));
        assert!(check(Some("http://localhost:8080"), "localhost:8080"));
        assert!(check(Some("https://riad.example"), "RIAD.example:443"));
        assert!(!check(Some("https://riad.example"), "riad.example:80"));
        assert!(!check(Some("riad.example"), "riad.example"));
        assert!(!check(Some("https://evil.example"), "riad.example"));
        assert!(!check(Some("null"), "riad.example"));
    }

    #[test]
    fn a_page_that_came_by_tls_is_known() {
        let mut headers = HeaderMap::new();
        assert!(!is_by_tls(&headers));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://riad.example"));
        assert!(!is_by_tls(&headers));
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://riad.example"));
        assert!(is_by_tls(&headers));
    }
}
