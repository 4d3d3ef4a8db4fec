//! Bytes that requests keep in memory, shared by account: bodies until they are parsed, answers until they are read. An account over its
//! share waits for its own requests to end; few of them may wait. An answer that was worked for is never refused: what it holds keeps
//! the account's next request from beginning.
//! Not here: how large one body may be (`router`), uploads (`uploads`), which are larger and fewer.

use crate::error::ApiResult;
use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use riad_admission::{Bounds, FewestHeld, Limiter, Permit, Work};
use riad_core::{
    Account, Error, Limits, TenantPass,
    resources::{self, Resource},
};
use riad_services::Services;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Requests of one account that may wait.
const WAITING: usize = 8;
const LONGEST: Duration = Duration::from_secs(60);
/// When one of them may have ended.
const RETRY: Duration = Duration::from_secs(1);
/// One account's share of what there is.
const SHARE: u64 = 4;
/// Answers up to this are not counted: what hyper and the system keep of a connection is more.
const SMALL_ANSWER: u64 = 64 << 10;

/// Shares bytes of one kind. Clones share them.
#[derive(Clone)]
pub(crate) struct MemoryLimiter {
    kibibytes: Limiter<FewestHeld>,
    /// Kibibytes that one account may hold.
    share: u32,
}

/// Counts bytes until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct MemoryPermit(#[expect(dead_code, reason = "held, not read")] Arc<Permit<FewestHeld>>);

/// The limiters of all routes.
#[derive(Clone)]
pub(crate) struct Memory {
    pub bodies: MemoryLimiter,
    pub answers: MemoryLimiter,
}

impl Memory {
    pub fn new(limits: &Limits) -> Self {
        Self {
            bodies: MemoryLimiter::new(&resources::BODY_BYTES, limits.body_bytes, limits.request_bytes),
            answers: MemoryLimiter::new(&resources::UNREAD_BYTES, limits.unread_bytes, SMALL_ANSWER),
        }
    }
}

impl MemoryLimiter {
    /// `total` bytes, but room for at least one request of `one` bytes. A quarter is for accounts that hold none.
    fn new(resource: &'static Resource, total: u64, one: u64) -> Self {
        let units = |bytes: u64| u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        let (total, share) = (units(total.max(one)), units((total / SHARE).max(one)));
        let bounds = Bounds {
            reserve: total / 4,
            per_account: share,
            waiting_per_account: WAITING,
            ..Bounds::of(total)
        };
        Self {
            kibibytes: Limiter::new(resource, bounds, FewestHeld),
            share,
        }
    }

    /// Waits until so many bytes are within the account's share. More than a share is counted as the whole share.
    ///
    /// # Errors
    /// `Busy` if many of the account's requests wait, or this one has waited for too long.
    pub async fn acquire(&self, account: Account, bytes: u64) -> Result<MemoryPermit, Error> {
        let units = self.units(bytes);
        let permit = self.kibibytes.acquire_within(account, units, LONGEST, RETRY).await?;
        Ok(MemoryPermit(Arc::new(permit)))
    }

    /// Like [`Self::acquire`], for bytes that are there already, and lost if they are refused. Waits as long as it takes.
    pub async fn acquire_made(&self, account: Account, bytes: u64) -> Result<MemoryPermit, Error> {
        let request = riad_admission::Request {
            units: self.units(bytes),
            continuation: true,
            ..riad_admission::Request::new(account, ())
        };
        let permit = self.kibibytes.acquire(request).await;
        let permit = permit.map_err(|_| self.kibibytes.resource().refuse_for(RETRY))?;
        Ok(MemoryPermit(Arc::new(permit)))
    }

    fn units(&self, bytes: u64) -> u32 {
        let units = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        units.clamp(1, self.share)
    }
}

/// In an answer whose body is passed on as it is made: the bytes that it will have.
#[derive(Clone, Copy)]
pub(crate) struct AnswerBytes(pub u64);

/// Parses a large body of the request that has it.
#[derive(Clone)]
pub(crate) struct ParsingWork(pub Work);

/// What the layer needs: the limiters, and the limit of the route's bodies.
pub(crate) type Counted = (Services, Memory, u64);

/// Layer: counts the body of the caller's request until `JsonBody` has parsed it, and a large answer until it is written. An answer that
/// is made as it is read, such as a stream of events, has no size here.
pub(crate) async fn count_bytes(
    State((services, memory, most)): State<Counted>,
    Extension(pass): Extension<TenantPass>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let account = pass.account();
    let may_cost = !request.body().is_end_stream();
    if may_cost {
        // Its work may cost something, so an account with too many unread answers is refused here, not after it.
        drop(memory.answers.acquire(account, 1).await?);
        let permit = memory.bodies.acquire(account, body_bytes(&request, most)).await?;
        request.extensions_mut().insert(permit);
        request.extensions_mut().insert(ParsingWork(services.work(&pass)));
    }
    let response = next.run(request).await;
    let bytes = response
        .extensions()
        .get::<AnswerBytes>()
        .map(|AnswerBytes(bytes)| *bytes);
    match bytes.or_else(|| response.body().size_hint().exact()) {
        Some(bytes) if bytes > SMALL_ANSWER => {
            // An answer that costs nothing can be asked for again.
            let permit = match may_cost {
                true => memory.answers.acquire_made(account, bytes).await?,
                false => memory.answers.acquire(account, bytes).await?,
            };
            Ok(response.map(|body| keep(body, permit)))
        }
        _ => Ok(response),
    }
}

/// As the client says; `most` if it does not. More is not read.
fn body_bytes(request: &Request, most: u64) -> u64 {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(most).min(most)
}

/// The body, which keeps the permit as long as it lives.
pub(crate) fn keep(body: Body, permit: MemoryPermit) -> Body {
    Body::new(CountedBody { body, _permit: permit })
}

struct CountedBody {
    body: Body,
    _permit: MemoryPermit,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use riad_admission::Queue;
    use riad_core::ErrorKind;

    const MIB: u64 = 1 << 20;

    fn account(number: u64) -> Account {
        Account::new(number)
    }

    #[tokio::test]
    async fn an_account_over_its_share_waits_for_itself() {
        let memory = MemoryLimiter::new(&resources::BODY_BYTES, 8 * MIB, MIB);
        let first = memory.acquire(account(1), MIB).await.unwrap();
        let _second = memory.acquire(account(1), MIB).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(memory.acquire(account(1), 1))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let refused = memory.acquire(account(1), 1).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.message().contains("sends too many bytes"));
        assert!(memory.acquire(account(2), 2 * MIB).now_or_never().is_some());
        drop(first);
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_some()));
    }

    #[tokio::test]
    async fn what_is_made_waits_and_is_never_refused() {
        let memory = MemoryLimiter::new(&resources::UNREAD_BYTES, 4 * MIB, MIB);
        let first = memory.acquire(account(1), MIB).await.unwrap();
        let mut made: Vec<_> = (0..2 * WAITING)
            .map(|_| Box::pin(memory.acquire_made(account(1), MIB)))
            .collect();
        assert!(made.iter_mut().all(|made| made.now_or_never().is_none()));
        assert!(
            memory.acquire(account(1), 1).now_or_never().is_none(),
            "its next request waits before its work"
        );
        drop(first);
        let second = made.remove(0).await.unwrap();
        assert!(made.iter_mut().all(|made| made.now_or_never().is_none()));
        drop(second);
        assert!(made.remove(0).await.is_ok());
    }

    #[tokio::test]
    async fn a_quarter_is_for_accounts_that_hold_none() {
        let memory = MemoryLimiter::new(&resources::BODY_BYTES, 8 * MIB, MIB);
        let mut held = Vec::new();
        for number in [1, 2, 3] {
            held.push(memory.acquire(account(number), MIB).await.unwrap());
            held.push(memory.acquire(account(number), MIB).await.unwrap());
        }
        let mut more = Box::pin(memory.acquire(account(4), MIB));
        held.push((&mut more).now_or_never().unwrap().unwrap());
        assert!(
            memory.acquire(account(4), MIB).now_or_never().is_none(),
            "it holds some now"
        );
        assert!(memory.acquire(account(5), MIB).now_or_never().is_some());
        drop(held);
        assert_eq!(memory.kibibytes.inspect(Queue::accounts), 0);
    }

    #[tokio::test]
    async fn one_request_always_fits() {
        let memory = MemoryLimiter::new(&resources::BODY_BYTES, MIB, 4 * MIB);
        assert!(memory.acquire(account(1), 4 * MIB).await.is_ok());
        assert!(
            memory.acquire(account(1), u64::MAX).await.is_ok(),
            "counted as a whole share"
        );
    }
}
