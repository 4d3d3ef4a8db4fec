//! Who sends a request: the layers that turn its key into a pass, and the extractors that hand the pass to a handler.
//! Not here: what a key is (`riad_core::pass`), what a pass allows (`services`).

use crate::{
    anthropic,
    error::{ApiError, ApiResult},
    request_id::RequestId,
    serve::ClientConnection,
};
use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};
use riad_core::{
    Error, ErrorKind, OperatorPass, Secret, TenantPass,
    audit::Origin,
    pass::{KeyHash, hash_key},
};
use riad_services::Services;
use std::{collections::BTreeSet, net::SocketAddr};
use subtle::ConstantTimeEq;
use tracing::{Instrument, info_span};

const MODELS: &str = "/v1/models";
const A_MODEL: &str = "/v1/models/";

/// Who may read `/metrics`, besides the operator.
#[derive(Clone, Default)]
pub enum MetricsAccess {
    #[default]
    Operator,
    /// A caller with this key, which opens nothing else: made with [`MetricsAccess::key`].
    Key(KeyHash),
    /// Every caller that reaches the address.
    Open,
}

impl MetricsAccess {
    #[must_use]
    pub fn key(key: &Secret<String>) -> Self {
        Self::Key(hash_key(key))
    }
}

/// The caller's pass, which [`authenticate_tenant`] made.
pub(crate) struct Tenant(pub TenantPass);

/// The operator's pass, which [`authenticate_operator`] made.
pub(crate) struct Operator(pub OperatorPass);

/// Layer: only requests with a tenant's key pass, and carry the [`TenantPass`] in their extensions.
pub(crate) async fn authenticate_tenant(
    State(services): State<Services>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let authorizing = services.authorize(tenant_key(&request)?, origin(request.extensions()));
    let pass = authorizing.instrument(info_span!("authorize")).await?;
    record_authenticated(request.extensions());
    request.extensions_mut().insert(pass);
    Ok(next.run(request).await)
}

/// Layer: only requests with the operator's key pass, and carry the [`OperatorPass`] in their extensions.
pub(crate) async fn authenticate_operator(
    State(services): State<Services>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let pass = services
        .authorize_operator(bearer(request.headers())?, origin(request.extensions()))
        .await?;
    record_authenticated(request.extensions());
    request.extensions_mut().insert(pass);
    Ok(next.run(request).await)
}

/// Layer: only requests that [`MetricsAccess`] allows pass.
pub(crate) async fn authenticate_metrics(
    State((services, access)): State<(Services, MetricsAccess)>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let allowed = match &access {
        MetricsAccess::Open => true,
        MetricsAccess::Key(hash) => hash.ct_eq(&hash_key(&bearer(request.headers())?)).into(),
        MetricsAccess::Operator => false,
    };
    if !allowed {
        services
            .authorize_operator(bearer(request.headers())?, origin(request.extensions()))
            .await?;
    }
    if !matches!(access, MetricsAccess::Open) {
        record_authenticated(request.extensions());
    }
    Ok(next.run(request).await)
}

/// Its connection is that of somebody with a key. A request without a connection comes from a test.
pub(crate) fn record_authenticated(extensions: &Extensions) {
    if let Some(connection) = extensions.get::<ClientConnection>() {
        connection.record_authenticated();
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        take_pass(parts).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        take_pass(parts).map(Self)
    }
}

fn take_pass<P: Clone + Send + Sync + 'static>(parts: &mut Parts) -> Result<P, ApiError> {
    let pass = parts.extensions.remove();
    pass.ok_or_else(|| Error::internal("the route of this handler lacks its authentication layer").into())
}

/// The connection's other end, not a header that anybody can write.
pub(crate) fn origin(extensions: &Extensions) -> Origin {
    Origin {
        address: extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip()),
        request: extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    }
}

/// The client's connection, address and request id, and nothing else.
pub(crate) fn extensions_of_client(extensions: &Extensions) -> Extensions {
    let mut of_client = Extensions::new();
    if let Some(connection) = extensions.get::<ClientConnection>() {
        of_client.insert(connection.clone());
    }
    if let Some(address) = extensions.get::<ConnectInfo<SocketAddr>>() {
        of_client.insert(*address);
    }
    if let Some(id) = extensions.get::<RequestId>() {
        of_client.insert(id.clone());
    }
    of_client
}

fn tenant_key(request: &Request) -> Result<Secret<String>, Error> {
    let (path, headers) = (request.uri().path(), request.headers());
    if anthropic::is_route(path) {
        return bearer_or_api_key(headers);
    }
    // Anthropic's clients list models where OpenAI's do. Beside another key, `x-api-key` may be a gateway's.
    bearer(headers).or_else(|error| match path == MODELS || path.starts_with(A_MODEL) {
        true => bearer_or_api_key(headers),
        false => Err(error),
    })
}

fn bearer(headers: &HeaderMap) -> Result<Secret<String>, Error> {
    let key = headers.get(header::AUTHORIZATION).and_then(bearer_of);
    key.map(|key| Secret::new(key.to_owned())).ok_or_else(|| {
        Error::new(
            ErrorKind::Unauthenticated,
            "the request has no key; send one as `Authorization: Bearer <key>`",
        )
    })
}

/// Anthropic's clients send the key in either header, or in both. No rule says which one would count, so two keys are refused.
fn bearer_or_api_key(headers: &HeaderMap) -> Result<Secret<String>, Error> {
    let refused = |text: &str| Error::new(ErrorKind::Unauthenticated, text);
    let mut keys = BTreeSet::new();
    for value in headers.get_all(anthropic::KEY) {
        let key = value
            .to_str()
            .map_err(|_| refused("the key in `x-api-key` has characters that no key has"))?;
        keys.insert(key.trim());
    }
    keys.extend(headers.get_all(header::AUTHORIZATION).iter().filter_map(bearer_of));
    keys.remove("");
    let key = keys.pop_first().ok_or_else(|| {
        refused("the request has no key; send one as `x-api-key: <key>` or `Authorization: Bearer <key>`")
    })?;
    if !keys.is_empty() {
        return Err(refused(
            "the request has two keys that differ, in `x-api-key` and `Authorization`; send one of them",
        ));
    }
    Ok(Secret::new(key.to_owned()))
}

fn bearer_of(value: &HeaderValue) -> Option<&str> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_without_its_layer_answers_nobody() {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        assert!(Tenant::from_request_parts(&mut parts, &()).await.is_err());
        assert!(Operator::from_request_parts(&mut parts, &()).await.is_err());
    }

    #[test]
    fn exactly_one_key_decides_at_anthropics_routes() {
        for (api_keys, authorization, key) in [
            (&["a"][..], &[][..], Ok("a")),
            (&[" a "], &[], Ok("a")),
            (&[], &["Bearer a"], Ok("a")),
            (&["a"], &["bearer a"], Ok("a")),
            (&["a", "a"], &["Bearer a", "Bearer a"], Ok("a")),
            (&[""], &["Bearer a"], Ok("a")),
            // Of a proxy, and no key.
            (&["a"], &["Basic b"], Ok("a")),
            (&["a"], &["Bearer b"], Err("two keys")),
            (&["a", "b"], &[], Err("two keys")),
            (&[], &["Bearer a", "Bearer b"], Err("two keys")),
            (&[], &[], Err("no key")),
            (&[""], &["Bearer "], Err("no key")),
            (&[], &["Basic a"], Err("no key")),
            (&["\u{e9}"], &["Bearer a"], Err("characters")),
        ] {
            let mut headers = HeaderMap::new();
            for value in api_keys {
                headers.append(anthropic::KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            for value in authorization {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            let read = bearer_or_api_key(&headers);
            match (key, read) {
                (Ok(key), Ok(read)) => assert_eq!(read.reveal(), key),
                (Err(words), Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
                    assert!(error.message().contains(words), "{words}: {error}");
                }
                (expected, read) => panic!("{api_keys:?} {authorization:?}: {expected:?}, {:?}", read.err()),
            }
        }
    }

    #[test]
    fn only_a_bearer_key_is_read() {
        for (header, key) in [
            ("Bearer riad_sk_a", Some("riad_sk_a")),
            ("bearer  riad_sk_a ", Some("riad_sk_a")),
            ("Basic riad_sk_a", None),
            ("riad_sk_a", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            let read = bearer(&headers).ok();
            assert_eq!(read.as_ref().map(|key| key.reveal().as_str()), key, "{header}");
        }
        assert_eq!(
            bearer(&HeaderMap::new()).err().unwrap().kind(),
            ErrorKind::Unauthenticated
        );
    }
}
