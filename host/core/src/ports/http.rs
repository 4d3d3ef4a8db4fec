//! Requests of plugins to hosts outside, as a guest sees them, and what sends them. Not here: which hosts a tenant's operator has granted
//! (`services`), and what a pattern means (`riad_core::http_grants`).

use crate::{Account, http_grants::HostPattern};
use async_trait::async_trait;
use bytes::Bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
}

impl HttpMethod {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }
}

/// As a guest wrote it: nothing of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: HttpMethod,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// Those that are text.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Why there is no answer, in the words of `wit/riad-http`. Each text is for the plugin's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFailure {
    InvalidArgument(String),
    NotGranted(String),
    Failed(String),
    /// There was no whole answer in time.
    TimedOut,
    LimitExceeded(String),
}

/// Bound to one request of one room: whoever calls it names no tenant and no grant.
#[async_trait]
pub trait HttpClient: Send + Sync {
    /// Dropping the future closes the connection.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure>;
}

/// Sends requests for every room, under the limits of the server and of each account.
#[async_trait]
pub trait OutboundHttp: Send + Sync {
    /// One request to a host that one of `granted` names, at an address that is checked and then used. No redirect is followed. Dropping the
    /// future closes the connection.
    async fn send(
        &self,
        account: Account,
        granted: &[HostPattern],
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpFailure>;
}
