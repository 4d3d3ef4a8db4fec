//! `riad:http`: a request to a host outside. Not here: which hosts are granted (`services`), the request itself (`riad-outbound`).

use crate::{
    bindings::http::http::{Header, Host, HttpError, Method, Request, Response},
    errors,
    state::GuestState,
};
use riad_core::ports::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};

impl Host for GuestState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        let _pause = self.begin_host_call()?;
        if let Err(error) = self.budget.take_http_request() {
            return Ok(Err(HttpError::LimitExceeded(error.message().to_owned())));
        }
        let sent = self.capabilities.http.send(from_wit(request)).await;
        Ok(sent.map(to_wit).map_err(failure))
    }
}

fn from_wit(request: Request) -> HttpRequest {
    HttpRequest {
        method: match request.method {
            Method::Get => HttpMethod::Get,
            Method::Post => HttpMethod::Post,
            Method::Put => HttpMethod::Put,
            Method::Patch => HttpMethod::Patch,
            Method::Delete => HttpMethod::Delete,
            Method::Head => HttpMethod::Head,
        },
        url: request.url,
        headers: request
            .headers
            .into_iter()
            .map(|header| (header.name, header.value))
            .collect(),
        body: request.body.into(),
    }
}

fn to_wit(response: HttpResponse) -> Response {
    Response {
        status: response.status,
        headers: response
            .headers
            .into_iter()
            .map(|(name, value)| Header { name, value })
            .collect(),
        body: response.body.into(),
    }
}

fn failure(failure: HttpFailure) -> HttpError {
    match failure {
        HttpFailure::InvalidArgument(text) => HttpError::InvalidArgument(errors::truncate(&text)),
        HttpFailure::NotGranted(text) => HttpError::NotGranted(errors::truncate(&text)),
        HttpFailure::Failed(text) => HttpError::Failed(errors::truncate(&text)),
        HttpFailure::TimedOut => HttpError::TimedOut,
        HttpFailure::LimitExceeded(text) => HttpError::LimitExceeded(errors::truncate(&text)),
    }
}
