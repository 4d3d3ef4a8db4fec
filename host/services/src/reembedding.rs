//! Chunks that another embedding model made vectors for are embedded again: by a job of each tenant, which begins with the tenant's next search
//! and is metered like the first time. Not here: which chunks those are (`store`).

use crate::{embeddings, reembedding_jobs::Ending, shared::Shared};
use riad_core::{
    ErrorKind, Result, TenantPass,
    document::{self, UnembeddedChunk},
    ledger::Kind,
    ports::{Room, TextRole},
};
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

/// Chunks of one entry in the ledger.
const BATCH: u32 = 512;
/// How long a job waits when the tenant has too many requests, if nobody says how long.
const RETRY: Duration = Duration::from_secs(1);

/// Makes sure that the tenant's job runs if chunks of its room wait for it.
pub(crate) fn start(shared: &Arc<Shared>, pass: &TenantPass, room: &Room) {
    if room.documents.unembedded() == 0 || !shared.reembedding.begin(pass.account()) {
        return;
    }
    let (shared, pass) = (Arc::clone(shared), pass.clone());
    tokio::spawn(
        async move {
            let _ending = Ending::of(&shared.reembedding, pass.account());
            run(&shared, &pass).await;
        }
        .in_current_span(),
    );
}

async fn run(shared: &Arc<Shared>, pass: &TenantPass) {
    loop {
        match embed_next(shared, pass).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) if error.kind() == ErrorKind::Busy => {
                tokio::time::sleep(error.retry_after().unwrap_or(RETRY)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "chunks wait for the tenant's next search to be embedded again");
                return;
            }
        }
    }
}

/// False if none is left.
async fn embed_next(shared: &Arc<Shared>, pass: &TenantPass) -> Result<bool> {
    let room = shared.rooms.open(pass).await?;
    let chunks = room.documents.next_unembedded(BATCH).await?;
    if chunks.is_empty() {
        // Of those that were waited for, the last ones were deleted.
        room.documents.set_embeddings(Vec::new()).await?;
        return Ok(false);
    }
    let purpose = embeddings::purpose(shared, Kind::Document);
    let meter = shared.metering.admit_background(pass, purpose).await?;
    let texts: Vec<_> = chunks.iter().map(text).collect();
    let most = embeddings::at_most(shared.embedder.as_ref(), texts.iter().map(String::len));
    let embedded = async {
        meter.hold(most).await?;
        embeddings::run(
            shared,
            &mut shared.work(pass),
            meter.handle(),
            texts,
            TextRole::Passage,
            most,
        )
        .await
    };
    let (vectors, _) = meter.record_engine_result(embedded.await)?;
    let keys = chunks.iter().map(|chunk| chunk.key);
    room.documents.set_embeddings(keys.zip(vectors).collect()).await?;
    meter.settle().await?;
    Ok(true)
}

fn text(chunk: &UnembeddedChunk) -> String {
    document::embedded_text(&chunk.title, &chunk.heading, &chunk.text)
}
