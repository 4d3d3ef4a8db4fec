//! Why a model cannot be fetched: what to try again, and what to change.

use super::model::HubModel;
use reqwest::{StatusCode, header::HeaderMap};
use riad_core::{Error, ErrorKind};
use std::{io, path::Path};

#[derive(Debug)]
pub(super) enum Failure {
    /// The hub does not answer as it should. Another attempt may succeed, and a snapshot in the cache does instead.
    Unreachable(String),
    /// Another attempt would fail, too.
    Refused(Error),
}

impl Failure {
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(Error::invalid(message).with_param("engine.model"))
    }

    pub(super) fn request(error: reqwest::Error) -> Self {
        Self::Unreachable(crate::client::describe(error))
    }

    /// Of the cache, at this path.
    pub(super) fn disk(error: io::Error, path: &Path) -> Self {
        let place = path.display();
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let advice = match is_full {
            true => {
                "free some space, and the next start goes on where this one stopped, or set HF_HOME to a folder on a larger disk"
            }
            false => "set HF_HOME to a folder that riad may write",
        };
        let message = format!("the model cannot be written to the Hugging Face cache: {place}: {error}; {advice}");
        Self::Refused(Error::invalid(message).with_param("engine.model").with_source(error))
    }
}

/// What a status of the hub itself means.
pub(super) struct Answer<'a> {
    pub(super) model: &'a HubModel,
    pub(super) endpoint: &'a str,
    pub(super) has_token: bool,
    /// The file that was asked for, or nothing for the list of files.
    pub(super) file: Option<&'a str>,
}

impl Answer<'_> {
    pub(super) fn failure(&self, status: StatusCode, headers: &HeaderMap) -> Failure {
        let (id, revision, endpoint) = (self.model.id(), self.model.revision(), self.endpoint);
        let code = headers
            .get("x-error-code")
            .and_then(|code| code.to_str().ok())
            .unwrap_or("");
        let token = match self.has_token {
            true => "check that the token of HF_TOKEN, or of the token file, is valid and may read it",
            false => "set HF_TOKEN to a token that may read it",
        };
        match status {
            // The hub answers so for a model that does not exist, too.
            StatusCode::UNAUTHORIZED => Failure::refused(format!(
                "{endpoint} refuses to show {id} (401): it is gated or private, or there is no such model; check the id, accept the \
                 license on {endpoint}/{id} if it has one, and {token}"
            )),
            StatusCode::FORBIDDEN => Failure::refused(format!(
                "{endpoint} does not allow reading {id} (403); accept the license on {endpoint}/{id}, and {token}"
            )),
            StatusCode::NOT_FOUND => Failure::refused(match (code, self.file) {
                ("RevisionNotFound", _) => format!(
                    "{endpoint} has the model {id}, but no revision `{revision}` of it (404); name a branch, tag or commit that \
                     {endpoint}/{id} lists"
                ),
                (_, Some(file)) => {
                    format!("{endpoint} does not have {file} of {id} at revision `{revision}` (404); try again")
                }
                (_, None) => format!(
                    "{endpoint} has no model {id} with the revision `{revision}` (404); check engine.model, and {token} if the model is \
                     private"
                ),
            }),
            status if is_passing(status) => Failure::Unreachable(format!("it answers with status {status}")),
            status => Failure::refused(format!(
                "{endpoint} answers with status {status} when asked for {id}; check that HF_ENDPOINT is a Hugging Face hub"
            )),
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

pub(super) fn unreachable_error(model: &HubModel, endpoint: &str, why: &str) -> Error {
    let message = format!(
        "{endpoint} cannot be reached ({why}), and the Hugging Face cache has no complete snapshot of {model}; check the network \
         and HF_ENDPOINT, or name a folder with the model in engine.model"
    );
    Error::new(ErrorKind::Unavailable, message).with_param("engine.model")
}
