//! From a bearer key to a pass. As an argument of a handler these come before the body, so that nobody without a key has
//! a body kept or parsed. Not here: what a key is (`riad_core::pass`).

use crate::request_id::RequestId;
use crate::{error::ApiError, state::AppState};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header, request::Parts},
};
use riad_core::{Error, ErrorKind, OperatorPass, Secret, TenantPass, audit::Origin};
use std::net::SocketAddr;
use tracing::{Instrument, info_span};

/// The tenant whose key came with the request.
pub(crate) struct Tenant(pub TenantPass);

/// The operator's key came with the request.
pub(crate) struct Operator(pub OperatorPass);

impl FromRequestParts<AppState> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // Made already for a request with an idempotency key, by the same server from the same header.
        if let Some(pass) = parts.extensions.get::<TenantPass>() {
            return Ok(Self(pass.clone()));
        }
        let authorizing = state.services.authorize(bearer(parts)?, origin(parts));
        Ok(Self(authorizing.instrument(info_span!("authorize")).await?))
    }
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let operator = state.services.authorize_operator(bearer(parts)?, origin(parts));
        Ok(Self(operator.await?))
    }
}

/// Where the request came from. The connection's other end, not a header that anybody can write.
fn origin(parts: &Parts) -> Origin {
    Origin {
        address: parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip()),
        request: parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default(),
    }
}

pub(crate) fn bearer(parts: &Parts) -> Result<Secret<String>, Error> {
    parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| Secret::new(key.trim().to_owned()))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "there is no key; send one as `Authorization: Bearer <key>`",
            )
        })
}
