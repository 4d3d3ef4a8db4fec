//! Who sends a page's request: the cookie of a session, whose key is authorized again. Not here: keeping sessions (`sessions`), signing in
//! (`sign_in`).

use crate::{
    error::PageError,
    layout::{self, Page, Viewer},
    sessions::{LONGEST, Owner, Session, ShownKey},
    state::ConsoleState,
    streams::OpenStream,
};
use axum::{
    extract::FromRequestParts,
    http::{Extensions, HeaderMap, HeaderValue, Method, header, request::Parts},
};
use maud::{Markup, html};
use riad_api::pages::{self, DrainSignal};
use riad_core::{Account, Error, ErrorKind, OperatorPass, Result, Secret, TenantPass, audit::Origin};

const COOKIE: &str = "riad_session";
/// The field of each form with the session's token; scripts send it in the header.
pub(crate) const CSRF_FIELD: &str = "csrf";
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A session of a tenant's key. To be extracted before a form.
pub(crate) struct TenantSession {
    pub pass: TenantPass,
    session: Session,
    request: PageRequest,
}

/// A session of the operator's key.
pub(crate) struct OperatorSession {
    pub pass: OperatorPass,
    session: Session,
    request: PageRequest,
}

/// What an answer that goes on for long looks at again.
struct PageRequest {
    session: Secret<String>,
    drain: DrainSignal,
}

/// A session of either kind.
pub(crate) enum AnySession {
    Tenant(TenantSession),
    Operator(OperatorSession),
}

/// In the extensions of a request with a session: what its form is checked with, and who pays for its bytes.
#[derive(Clone)]
pub(crate) struct Authenticated {
    pub session: Session,
    pub account: Account,
}

impl TenantSession {
    /// The hidden field that each form has.
    pub fn csrf_field(&self) -> Markup {
        csrf_field(&self.session)
    }

    /// Whether a script has the session's token.
    pub fn matches(&self, token: &str) -> bool {
        self.session.token.matches(token)
    }

    pub fn key(&self) -> &Secret<String> {
        &self.session.key
    }

    /// The page around `body`.
    pub fn page(&self, page: Page, body: Markup) -> Markup {
        let viewer = Viewer::Tenant(&self.pass);
        layout::page(page, &viewer, &self.csrf_field(), &body)
    }

    /// The next page of the session shows it, and no other one.
    pub fn show_once(&self, state: &ConsoleState, key: ShownKey) {
        state.sessions.show_once(&self.request.session, key);
    }

    pub fn take_shown(&self, state: &ConsoleState) -> Option<ShownKey> {
        state.sessions.take_shown(&self.request.session)
    }

    /// A stream to a page, of which there may be some.
    ///
    /// # Errors
    /// `Busy` for too many.
    pub fn open_stream(&self, state: &ConsoleState) -> Result<OpenStream> {
        state.streams.open(&self.session, self.request.drain.clone())
    }

    /// For an answer that takes long: the key may have been revoked meanwhile, or the session may have ended.
    ///
    /// # Errors
    /// `Unauthenticated` without the session; as [`riad_services::Services::authorize`].
    pub async fn authorize_again(&self, state: &ConsoleState) -> Result<TenantPass> {
        self.request.check(state)?;
        let origin = self.pass.origin().clone();
        state.services.authorize(self.session.key.clone(), origin).await
    }
}

impl OperatorSession {
    pub fn csrf_field(&self) -> Markup {
        csrf_field(&self.session)
    }

    pub fn page(&self, page: Page, body: Markup) -> Markup {
        layout::page(page, &Viewer::Operator, &self.csrf_field(), &body)
    }

    pub fn key(&self) -> &Secret<String> {
        &self.session.key
    }

    /// As [`TenantSession::show_once`].
    pub fn show_once(&self, state: &ConsoleState, key: ShownKey) {
        state.sessions.show_once(&self.request.session, key);
    }

    pub fn take_shown(&self, state: &ConsoleState) -> Option<ShownKey> {
        state.sessions.take_shown(&self.request.session)
    }

    /// As [`TenantSession::open_stream`].
    ///
    /// # Errors
    /// `Busy` for too many.
    pub fn open_stream(&self, state: &ConsoleState) -> Result<OpenStream> {
        state.streams.open(&self.session, self.request.drain.clone())
    }

    /// As [`TenantSession::authorize_again`].
    ///
    /// # Errors
    /// `Unauthenticated` without the session; as [`riad_services::Services::authorize_operator`].
    pub async fn authorize_again(&self, state: &ConsoleState) -> Result<OperatorPass> {
        self.request.check(state)?;
        let origin = self.pass.origin().clone();
        state
            .services
            .authorize_operator(self.session.key.clone(), origin)
            .await
    }
}

impl AnySession {
    /// A page that says what went wrong.
    pub fn failure(&self, title: &str, message: &str) -> Markup {
        match self {
            Self::Tenant(session) => {
                layout::failure_for(&Viewer::Tenant(&session.pass), &session.csrf_field(), title, message)
            }
            Self::Operator(session) => layout::failure_for(&Viewer::Operator, &session.csrf_field(), title, message),
        }
    }
}

impl PageRequest {
    fn of(session: Secret<String>, parts: &Parts) -> Self {
        Self {
            session,
            drain: pages::drain_signal(&parts.extensions),
        }
    }

    fn check(&self, state: &ConsoleState) -> Result<()> {
        match state.sessions.peek(&self.session) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorKind::Unauthenticated,
                "the session has ended; sign in again",
            )),
        }
    }
}

fn csrf_field(session: &Session) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(session.token.reveal()); }
}

impl FromRequestParts<ConsoleState> for TenantSession {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, PageError> {
        let (id, session) = find(parts, state)?;
        let Owner::Tenant(account) = session.owner else {
            return Err(PageError::no_such_page());
        };
        let origin = pages::origin(&parts.extensions);
        let authorized = state.services.authorize(session.key.clone(), origin).await;
        let pass = ended_if_refused(authorized, state, &id)?;
        // A token may name another tenant than before only if its issuer says so of the same text, which it cannot.
        if pass.account() != account {
            state.sessions.end(&id);
            return Err(PageError::sign_in());
        }
        note(&mut parts.extensions, &session, account);
        let request = PageRequest::of(id, parts);
        Ok(Self { pass, session, request })
    }
}

impl FromRequestParts<ConsoleState> for OperatorSession {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, PageError> {
        let (id, session) = find(parts, state)?;
        if session.owner != Owner::Operator {
            return Err(PageError::no_such_page());
        }
        let origin = pages::origin(&parts.extensions);
        let authorized = state.services.authorize_operator(session.key.clone(), origin).await;
        let pass = ended_if_refused(authorized, state, &id)?;
        // Tenants' accounts begin with 1.
        note(&mut parts.extensions, &session, Account::new(0));
        let request = PageRequest::of(id, parts);
        Ok(Self { pass, session, request })
    }
}

impl FromRequestParts<ConsoleState> for AnySession {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, PageError> {
        let (_, session) = find(parts, state)?;
        Ok(match session.owner {
            Owner::Operator => Self::Operator(OperatorSession::from_request_parts(parts, state).await?),
            Owner::Tenant(_) => Self::Tenant(TenantSession::from_request_parts(parts, state).await?),
        })
    }
}

fn note(extensions: &mut Extensions, session: &Session, account: Account) {
    pages::record_authenticated(extensions);
    extensions.insert(Authenticated {
        session: session.clone(),
        account,
    });
}

fn find(parts: &Parts, state: &ConsoleState) -> Result<(Secret<String>, Session), PageError> {
    let id = cookie(&parts.headers).ok_or_else(PageError::sign_in)?;
    let session = match is_open_page(parts) {
        true => state.sessions.peek(&id),
        false => state.sessions.find(&id),
    };
    Ok((id, session.ok_or_else(PageError::sign_in)?))
}

/// A page that follows the server asks again by itself, whether anybody reads it or not.
fn is_open_page(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT);
    parts.method == Method::GET && accept.is_some_and(|accept| accept == "text/event-stream")
}

/// A key that opens nothing any more ends its session.
fn ended_if_refused<T>(authorized: Result<T>, state: &ConsoleState, id: &Secret<String>) -> Result<T, PageError> {
    authorized.map_err(|error| match error.kind() == ErrorKind::Unauthenticated {
        true => {
            state.sessions.end(id);
            PageError::sign_in()
        }
        false => PageError::from(error),
    })
}

/// Who presents the key: a tenant, or the operator.
///
/// # Errors
/// As both ways to authorize a key; the tenant's if neither knows it.
pub(crate) async fn owner(state: &ConsoleState, key: &Secret<String>, origin: Origin) -> Result<Owner> {
    match state.services.authorize(key.clone(), origin.clone()).await {
        Ok(pass) => Ok(Owner::Tenant(pass.account())),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            match state.services.authorize_operator(key.clone(), origin).await {
                Ok(_) => Ok(Owner::Operator),
                Err(other) if other.kind() == ErrorKind::Unauthenticated => Err(error),
                Err(other) => Err(other),
            }
        }
        Err(error) => Err(error),
    }
}

/// The session's id that the request has, whether there is such a session or not. `None` for two: another host of the same site can set one
/// beside ours, which says nothing of who has set it.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<Secret<String>> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut found = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    match (found.next(), found.next()) {
        (Some((_, id)), None) => Some(Secret::new(id.to_owned())),
        _ => None,
    }
}

/// The header that sets the cookie; `None` takes it away.
///
/// # Errors
/// `Internal` for an id that no header can have.
pub(crate) fn set_cookie(id: Option<&Secret<String>>, secure: bool) -> Result<HeaderValue> {
    let (value, seconds) = match id {
        Some(id) => (id.reveal().as_str(), LONGEST.as_secs()),
        None => ("", 0),
    };
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/console; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut header = HeaderValue::from_str(&text).map_err(Error::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert!(cookie(&headers).is_none());
        headers.append(header::COOKIE, HeaderValue::from_static("theme=dark; xriad_session=no"));
        assert!(cookie(&headers).is_none());
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; riad_session=abc"));
        assert_eq!(cookie(&headers).unwrap().reveal(), "abc");
        headers.append(header::COOKIE, HeaderValue::from_static("riad_session=another"));
        assert!(cookie(&headers).is_none());
    }

    #[test]
    fn a_stream_of_a_page_is_told_from_what_somebody_does() {
        let is_open = |method: Method, accept: &'static str| {
            let (mut parts, ()) = axum::http::Request::new(()).into_parts();
            parts.method = method;
            parts.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            is_open_page(&parts)
        };
        assert!(is_open(Method::GET, "text/event-stream"));
        assert!(!is_open(Method::POST, "text/event-stream"));
        assert!(!is_open(Method::GET, "text/html"));
    }

    #[test]
    fn a_cookie_is_for_this_server_only() {
        let id = Secret::new("abc".to_owned());
        let cookie = set_cookie(Some(&id), true).unwrap();
        let cookie = cookie.to_str().unwrap();
        for part in [
            "riad_session=abc;",
            "Path=/console",
            "HttpOnly",
            "SameSite=Strict",
            "Secure",
        ] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(
            !set_cookie(Some(&id), false)
                .unwrap()
                .to_str()
                .unwrap()
                .contains("Secure")
        );
        assert!(set_cookie(None, true).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
