//! Layer: OpenAI's `x-ratelimit-*` headers on every answer of a route that spends tokens, and Anthropic's on Anthropic's.

use crate::anthropic;
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use riad_core::TenantPass;
use riad_services::{
    Services,
    metering::{Rate, RateState},
};

pub(crate) async fn add_rate_headers(
    State(services): State<Services>,
    Extension(pass): Extension<TenantPass>,
    request: Request,
    next: Next,
) -> Response {
    let is_anthropics = anthropic::is_route(request.uri().path());
    let mut response = next.run(request).await;
    let rates = services.rates(&pass);
    insert(response.headers_mut(), &rates);
    if is_anthropics {
        anthropic::insert_rates(response.headers_mut(), &rates);
    }
    response
}

/// Limits per minute, what is left of them, and when they are whole again.
fn insert(headers: &mut HeaderMap, rates: &RateState) {
    let names = [
        (
            &rates.requests,
            [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ],
        ),
        (
            &rates.tokens,
            [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ],
        ),
    ];
    for (rate, [limit_name, remaining_name, reset_name]) in names {
        let Some(Rate {
            limit,
            remaining,
            reset,
        }) = rate
        else {
            continue;
        };
        headers.insert(HeaderName::from_static(limit_name), HeaderValue::from(*limit));
        headers.insert(HeaderName::from_static(remaining_name), HeaderValue::from(*remaining));
        if let Ok(text) = HeaderValue::from_str(&format!("{}ms", reset.as_millis())) {
            headers.insert(HeaderName::from_static(reset_name), text);
        }
    }
}
