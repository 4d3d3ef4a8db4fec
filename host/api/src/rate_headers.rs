//! Layer: OpenAI's `x-ratelimit-*` headers on every answer of a route that spends tokens, and Anthropic's on Anthropic's.

use crate::{anthropic, export::rfc3339};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use riad_core::{TenantPass, Timestamp};
use riad_services::{
    Services,
    metering::{Rate, RateState},
};
use std::time::Duration;

pub(crate) async fn add_rate_headers(
    State(services): State<Services>,
    Extension(pass): Extension<TenantPass>,
    request: Request,
    next: Next,
) -> Response {
    let is_anthropics = anthropic::is_route(request.uri().path());
    let mut response = next.run(request).await;
    let rates = services.rates(&pass);
    insert(response.headers_mut(), &rates, &OPENAI);
    if is_anthropics {
        insert(response.headers_mut(), &rates, &ANTHROPIC);
    }
    response
}

/// The headers of one API: for requests and for tokens the limit per minute, what is left of it, and when it is whole again.
struct Names {
    requests: [&'static str; 3],
    tokens: [&'static str; 3],
    /// Writes in how long a limit is whole again.
    reset: fn(Duration) -> String,
}

const OPENAI: Names = Names {
    requests: [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ],
    tokens: [
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ],
    reset: |after| format!("{}ms", after.as_millis()),
};

const ANTHROPIC: Names = Names {
    requests: [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    tokens: [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
    // A point in time.
    reset: |after| rfc3339(seconds_after_now(after).saturating_mul(1000)),
};

fn insert(headers: &mut HeaderMap, rates: &RateState, names: &Names) {
    for (rate, [limit_name, remaining_name, reset_name]) in
        [(&rates.requests, names.requests), (&rates.tokens, names.tokens)]
    {
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
        if let Ok(text) = HeaderValue::from_str(&(names.reset)(*reset)) {
            headers.insert(HeaderName::from_static(reset_name), text);
        }
    }
}

/// In whole seconds since 1970, rounded up.
fn seconds_after_now(after: Duration) -> u64 {
    let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    Timestamp::now().as_millis().saturating_add(milliseconds).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_with_a_point_in_time() {
        let mut headers = HeaderMap::new();
        let rate = Rate {
            limit: 60,
            remaining: 58,
            reset: Duration::from_secs(2),
        };
        insert(
            &mut headers,
            &RateState {
                requests: Some(rate),
                tokens: None,
            },
            &ANTHROPIC,
        );
        assert_eq!(headers["anthropic-ratelimit-requests-limit"], "60");
        assert_eq!(headers["anthropic-ratelimit-requests-remaining"], "58");
        let reset = headers["anthropic-ratelimit-requests-reset"].to_str().unwrap();
        assert!(
            reset.ends_with('Z') && reset.len() == "2026-01-01T00:00:00Z".len(),
            "{reset}"
        );
        assert_eq!(headers.len(), 3);
    }
}
