//! Idempotency keys: a request that is sent again under the same key is answered with what it was answered the first time.
//! Not here: which requests may have one (`api`).

use crate::shared::Shared;
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, Error, ErrorKind, Result, TenantPass, Timestamp,
    grants::{Access, Scope},
    ports::StoredResponse,
};
use std::{collections::HashSet, sync::Arc};

const KEY_MAX: usize = 255;

/// Keys whose request is being answered by this process.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<(Account, String)>>>);

/// What becomes of a request with an idempotency key.
pub enum Begun {
    /// It was answered before.
    Replay(StoredResponse),
    /// It is the first. Nobody else gets to run it until this is dropped.
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
    /// `Forbidden` for who may not send the request: a kept answer is as good as a new one. `InvalidRequest` for a bad key, or one that came with another request before; `Conflict` while the first is being answered.
    pub async fn begin(&self, pass: &TenantPass, scope: Scope, key: &str, request: Digest) -> Result<Begun> {
        pass.require(scope, Access::Write)?;
        if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "an Idempotency-Key has 1 to {KEY_MAX} visible ASCII characters"
            )));
        }
        // Claimed first and looked up then: an answer that is kept in between is found.
        if !self.0.running.0.lock().insert((pass.account(), key.to_owned())) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "a request with this Idempotency-Key is being answered; send it again when that has ended",
            ));
        }
        let claim = Claim {
            shared: Arc::clone(&self.0),
            pass: pass.clone(),
            key: key.to_owned(),
        };
        let room = self.0.rooms.open(pass).await?;
        match room.idempotency.get(key, not_before(&self.0)).await? {
            Some(reply) if reply.request == request => Ok(Begun::Replay(reply)),
            Some(_) => Err(Error::invalid(
                "this Idempotency-Key came with another request before; use a new key for a new request",
            )),
            None => Ok(Begun::Run(claim)),
        }
    }
}

impl Claim {
    /// Keeps the answer; one that is too long is not kept, so that its request is done again when it comes again.
    ///
    /// # Errors
    /// When the room cannot be written.
    pub async fn keep(self, request: Digest, status: u16, content_type: String, body: bytes::Bytes) -> Result<()> {
        if body.len() as u64 > self.shared.limits.reply_bytes {
            return Ok(());
        }
        let reply = StoredResponse {
            request,
            status,
            content_type,
            body,
            created: Timestamp::now().as_seconds(),
        };
        let room = self.shared.rooms.open(&self.pass).await?;
        room.idempotency.put(&self.key, &reply, not_before(&self.shared)).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let key = (self.pass.account(), std::mem::take(&mut self.key));
        self.shared.running.0.lock().remove(&key);
    }
}

fn not_before(shared: &Shared) -> u64 {
    Timestamp::now()
        .as_seconds()
        .saturating_sub(u64::from(shared.limits.reply_hours) * 3600)
}
