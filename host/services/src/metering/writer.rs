//! Writes holds and entries to the ledger: signing, counting, and notices about budgets. Shared by all accounts.

use super::{receipts::Signer, recent::RecentRequests};
use parking_lot::Mutex;
use riad_core::{
    Clock,
    ledger::{Amount, EngineTokens},
    ports::{BudgetNotice, Ledger, Telemetry, Webhooks},
    price::Usage,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::runtime::Handle;

pub(super) struct LedgerWriter {
    pub ledger: Arc<dyn Ledger>,
    pub webhooks: Arc<dyn Webhooks>,
    pub telemetry: Arc<dyn Telemetry>,
    pub signer: Signer,
    pub recent: RecentRequests,
    /// Sums over the entries of this process.
    pub counted: Mutex<EngineTokens>,
    /// Tokens that are held now, over all accounts.
    pub held: AtomicU64,
    pub clock: Arc<dyn Clock>,
    /// For tasks that wait for commits: requests also end on the engine's threads, which are outside the runtime.
    pub runtime: Handle,
}

impl LedgerWriter {
    pub fn add_held(&self, amount: Amount) {
        self.held.fetch_add(amount.tokens, Ordering::Relaxed);
    }

    /// `amount` was held before.
    pub fn subtract_held(&self, amount: Amount) {
        self.held.fetch_sub(amount.tokens, Ordering::Relaxed);
    }

    pub fn count_tokens(&self, usage: &Usage) {
        let mut counted = self.counted.lock();
        counted.prompt = counted.prompt.saturating_add(usage.prompt_tokens);
        counted.cached = counted.cached.saturating_add(usage.cached_tokens);
        counted.completion = counted.completion.saturating_add(usage.completion_tokens);
        counted.embedded = counted.embedded.saturating_add(usage.embedded_tokens);
    }

    pub fn notify(&self, webhook: Option<&str>, notices: Vec<BudgetNotice>) {
        if let Some(url) = webhook {
            notices.into_iter().for_each(|notice| self.webhooks.notify(url, notice));
        }
    }
}
