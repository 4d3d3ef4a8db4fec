//! The ledger through its port. Each module below is a part of the suite; `receipt_chains` plays the services.
//! Not here: signatures, budgets (`services`).

mod append;
mod encodings;
mod kill;
mod offline;
mod queries;
pub mod receipt_chains;
mod recount;
mod verify;

use crate::host::{Host, connect};
use receipt_chains::ReceiptChains;
use riad_core::{
    Account,
    ledger::{Entry, Verification},
    ports::Ledger,
    usage::{EntryQuery, LedgerScope},
};
use std::{path::Path, sync::Arc};

/// A host with one tenant and its ledger.
struct LedgerHost {
    host: Host,
    ledger: Arc<dyn Ledger>,
    account: Account,
    chains: ReceiptChains,
}

impl LedgerHost {
    async fn new() -> Self {
        let host = Host::new().await;
        let account = host.create_tenant("acme").await.account();
        Self {
            ledger: host.store.ledger(),
            host,
            account,
            chains: ReceiptChains::default(),
        }
    }

    /// Closes the ledger, lets `change` do something to its folder, and opens it again.
    async fn reopen(self, change: impl FnOnce(&Path)) -> Self {
        drop(self.ledger);
        let host = self.host.reopen(change).await;
        Self {
            ledger: host.store.ledger(),
            host,
            account: self.account,
            chains: self.chains,
        }
    }

    async fn verify(&self) -> Verification {
        self.ledger.verify(Box::new(receipt_chains::check)).await.unwrap()
    }

    /// All of them, with their positions.
    async fn entries(&self) -> Vec<(u64, Entry)> {
        all_entries(&*self.ledger).await
    }
}

async fn all_entries(ledger: &dyn Ledger) -> Vec<(u64, Entry)> {
    let query = EntryQuery {
        scope: LedgerScope::All,
        after: 0,
        limit: u32::MAX,
    };
    ledger.entries(query).await.unwrap()
}

/// What somebody who has the file can do first.
const UNPROTECT: &str =
    "DROP TRIGGER ledger_is_not_changed; DROP TRIGGER ledger_is_not_deleted; DROP TRIGGER ledger_is_not_replaced;";

/// Changes rows that the database itself protects.
fn tamper(data: &Path, sql: &str) {
    let connection = connect(data);
    connection.execute_batch(UNPROTECT).unwrap();
    connection.execute_batch(sql).unwrap();
}
