//! Workers for texts, files and adapters: splitting, embedding, tokenizing, parsing, hashing, checking.
//! Not here: the engine's steps and guests, which have threads of their own; what waits for a disk runs on tokio's blocking threads.

use bytes::Bytes;
use riad_admission::{Work, Workers};
use riad_core::{Digest, Limits, PartsDigest, Result, resources};
use std::sync::Arc;

/// Of a file that are hashed in one slice: a few milliseconds of work.
const HASHED_BYTES: usize = 1 << 20;
/// What is hashed on the thread that asks, in much less than a millisecond.
const HASHED_INLINE: usize = 64 << 10;

/// Requests of one account whose work may wait to begin, at least: most wait for milliseconds. More where `limits.queue` is more,
/// because each of those needs a worker before it gets there.
const WAITING_LEAST: usize = 256;

/// Requests to an embedding server at the same time.
const EMBEDDING_CALLS: u32 = 16;

pub(crate) fn start(limits: &Limits) -> Result<Arc<Workers>> {
    Workers::new(&resources::WORKERS, "riad-worker", waiting(limits))
}

/// Threads that wait for an embedding server, so that those which compute do not.
pub(crate) fn start_embedding_calls(limits: &Limits) -> Result<Arc<Workers>> {
    let resource = &resources::EMBEDDING_CALLS;
    Workers::with_threads(resource, "riad-embedding", EMBEDDING_CALLS, waiting(limits))
}

fn waiting(limits: &Limits) -> usize {
    WAITING_LEAST.max(limits.queue as usize)
}

/// [`Digest::of_parts`], which may be large.
///
/// # Errors
/// `Busy` if too much of the account's work waits.
pub async fn digest_of_parts(work: &mut Work, parts: impl IntoIterator<Item = Bytes>) -> Result<Digest> {
    let mut digest = PartsDigest::default();
    for mut part in parts {
        digest.begin(part.len() as u64);
        while part.len() > HASHED_INLINE {
            let piece = part.split_to(part.len().min(HASHED_BYTES));
            let hash = move || {
                digest.update(&piece);
                Ok(digest)
            };
            digest = work.run(hash).await?;
        }
        digest.update(&part);
    }
    Ok(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Account;

    #[tokio::test]
    async fn a_digest_of_large_parts_is_that_of_the_parts() {
        let workers = start(&Limits::default()).unwrap();
        let mut work = workers.work_of(Account::new(1), 1);
        for bytes in [
            0,
            1,
            HASHED_INLINE,
            HASHED_INLINE + 1,
            2 * HASHED_BYTES,
            2 * HASHED_BYTES + 1,
        ] {
            let large: Vec<u8> = (0..bytes).map(|byte| (byte % 251) as u8).collect();
            let parts = [&b"name"[..], &large, b""];
            let digest = digest_of_parts(&mut work, parts.map(Bytes::copy_from_slice)).await;
            assert_eq!(digest.unwrap(), Digest::of_parts(&parts), "{bytes} bytes");
        }
    }
}
