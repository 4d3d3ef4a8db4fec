//! Idempotency keys: a repeated request gets the response of the first one. Which routes take such a key is decided in `api`.

use crate::shared::Shared;
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass, Timestamp,
    grants::{Access, Scope},
    ports::{KeptRequest, RequestMark, StoredObject, StoredResponse},
};
use std::sync::Arc;

const KEY_MAX: usize = 255;

/// How a request with an idempotency key is answered.
pub enum IdempotentStart {
    /// With the stored response of the first request.
    Replay(StoredResponse),
    /// With what the first request stored, although its answer was not kept.
    Stored(StoredObject),
    /// By running it: it is the first. No other request with the key runs until the claim is dropped.
    Run(Claim),
}

/// The right to answer the request under a key.
pub struct Claim {
    shared: Arc<Shared>,
    pass: TenantPass,
    key: String,
}

pub struct IdempotencyService(pub(crate) Arc<Shared>);

impl IdempotencyService {
    /// `scope` is the one that the request needs, `request` the digest of what identifies the request: method, path and body.
    ///
    /// # Errors
    /// `Forbidden` if the pass may not send the request itself; `InvalidRequest` for a malformed key, or one that was used with another
    /// request; `Conflict` while the first request is being answered, and if its answer was too long to be kept; `StorageFull` if the room has more than it may have.
    pub async fn begin(&self, pass: &TenantPass, scope: Scope, key: &str, request: Digest) -> Result<IdempotentStart> {
        pass.require(scope, Access::Write)?;
        if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "an Idempotency-Key has 1 to {KEY_MAX} visible ASCII characters"
            )));
        }
        // Claims the key before the look-up, so that a response which is stored in between is found.
        if !self.0.in_flight.insert(pass.account(), key) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "a request with this Idempotency-Key is being answered; send yours again when it has ended",
            ));
        }
        let claim = Claim {
            shared: Arc::clone(&self.0),
            pass: pass.clone(),
            key: key.to_owned(),
        };
        let room = self.0.rooms.open(pass).await?;
        match room.idempotency.get(key, not_before(&self.0)).await? {
            Some(KeptRequest::Answered(response)) if response.request == request => {
                if response.content_type.is_empty() {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "a request with this Idempotency-Key was answered, and the answer was too long to be kept; it is not made and \
                         billed again without a new key",
                    ));
                }
                Ok(IdempotentStart::Replay(response))
            }
            Some(KeptRequest::Stored { request: first, object }) if first == request => {
                Ok(IdempotentStart::Stored(object))
            }
            Some(_) => Err(Error::invalid(
                "this Idempotency-Key was used with another request; use a new key for a new request",
            )),
            None => {
                // Its answer must be kept, or a repetition would be billed.
                room.storage.check(0)?;
                Ok(IdempotentStart::Run(claim))
            }
        }
    }
}

impl Claim {
    /// For what the request stores, so that a repetition does not store it again.
    #[must_use]
    pub fn mark(&self, request: Digest) -> RequestMark {
        RequestMark {
            key: self.key.clone(),
            request,
        }
    }

    /// Stores the response, or of one that is too long, that there was one. What has stored a document is known by it.
    ///
    /// # Errors
    /// When the room cannot be written.
    pub async fn store(self, request: Digest, status: u16, content_type: String, body: bytes::Bytes) -> Result<()> {
        let room = self.shared.rooms.open(&self.pass).await?;
        let mut response = StoredResponse {
            request,
            status,
            content_type,
            body,
            created: Timestamp::now().as_seconds(),
        };
        if response.body.len() as u64 > self.shared.limits.idempotency_bytes {
            let kept = room.idempotency.get(&self.key, not_before(&self.shared)).await?;
            if matches!(kept, Some(KeptRequest::Stored { .. })) {
                return Ok(());
            }
            response.content_type.clear();
            response.body.clear();
        }
        room.idempotency
            .put(&self.key, &response, not_before(&self.shared))
            .await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let key = std::mem::take(&mut self.key);
        self.shared.in_flight.remove(self.pass.account(), key);
    }
}

fn not_before(shared: &Shared) -> u64 {
    Timestamp::now()
        .as_seconds()
        .saturating_sub(u64::from(shared.limits.idempotency_hours) * 3600)
}
