//! Reading adapters from their files, fairly by account: for requests whose turn has come, and ahead of the first request. Not here: what
//! stays in memory (`adapters/residency`), and the reading itself (`engine`).

use crate::fair;
use parking_lot::Mutex;
use riad_admission::{Bounds, FewestHeld, Limiter, Request};
use riad_core::{
    Account, Error, Limits, Result,
    adapter::AdapterSource,
    ports::{ChatEngine, EnginePermit, QueueRequest, ResidentAdapter},
    resources,
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Adapters that are read at the same time: reading takes the processor from the engine's steps.
const READS: u32 = 2;

pub(crate) struct AdapterLoads {
    /// Adapters that are kept in memory while their request waits for its turn again.
    kept: Limiter<FewestHeld>,
    reads: Limiter<FewestHeld>,
    longest: Duration,
    /// Accounts for which one is read ahead.
    preloading: Mutex<HashSet<Account>>,
}

/// The right to read an adapter and to keep it until the request's turn comes.
pub(crate) struct LoadPermit {
    kept: EnginePermit,
    read: EnginePermit,
}

/// An adapter in memory, and the right to keep it there.
pub(crate) struct KeptAdapter {
    _adapter: ResidentAdapter,
    _kept: Option<EnginePermit>,
}

impl AdapterLoads {
    pub fn new(max_sequences: usize, limits: &Limits) -> Self {
        let kept = fair::bounds(max_sequences, limits);
        let kept = Bounds {
            reserve: (kept.capacity / 4).max(1).min(kept.capacity - 1),
            per_account: kept.capacity.div_ceil(2),
            ..kept
        };
        let reads = Bounds {
            per_account: 1,
            ..fair::bounds(READS as usize, limits)
        };
        Self {
            kept: Limiter::new(&resources::ADAPTERS_KEPT, kept, FewestHeld),
            reads: Limiter::new(&resources::ADAPTER_READS, reads, FewestHeld),
            longest: Duration::from_millis(limits.queue_ms),
            preloading: Mutex::default(),
        }
    }

    /// Waits for both permits, each for no longer than a request may wait in the queue.
    pub async fn permit(&self, request: &QueueRequest<'_>) -> Result<LoadPermit> {
        Ok(LoadPermit {
            kept: fair::acquire(&self.kept, self.longest, request, ()).await?,
            read: fair::acquire(&self.reads, self.longest, request, ()).await?,
        })
    }

    /// Reads an adapter in the background, if it fits without evicting others. One of an account at a time; further ones are read when
    /// they are asked for.
    pub fn preload(self: &Arc<Self>, engine: &Arc<dyn ChatEngine>, source: AdapterSource, account: Account) {
        if !self.preloading.lock().insert(account) {
            return;
        }
        let (loads, engine) = (Arc::clone(self), Arc::clone(engine));
        tokio::spawn(async move {
            if let Ok(_permit) = loads.reads.acquire(Request::new(account, ())).await
                && let Err(error) = engine.preload_adapter(&source, account).await
            {
                tracing::warn!(%error, "an adapter was not read ahead of its first request");
            }
            loads.preloading.lock().remove(&account);
        });
    }
}

impl KeptAdapter {
    pub fn found(adapter: ResidentAdapter) -> Self {
        Self {
            _adapter: adapter,
            _kept: None,
        }
    }
}

impl LoadPermit {
    /// What has begun goes on without its caller and keeps its permits until it ends: who asks again finds the adapter in memory.
    pub async fn load(
        self,
        engine: &Arc<dyn ChatEngine>,
        source: &AdapterSource,
        account: Account,
    ) -> Result<KeptAdapter> {
        // Another request may have read it by now.
        if let Some(adapter) = engine.resident_adapter(source, account) {
            return Ok(KeptAdapter::found(adapter));
        }
        let (engine, source) = (Arc::clone(engine), source.clone());
        let Self { kept, read } = self;
        let loading = tokio::spawn(async move {
            let adapter = engine.load_adapter(&source, account).await;
            drop(read);
            Ok(KeptAdapter {
                _adapter: adapter?,
                _kept: Some(kept),
            })
        });
        loading.await.map_err(Error::internal)?
    }
}
