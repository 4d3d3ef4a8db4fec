//! `cargo bench --workspace --bench metering`: requests metered per second by the ledger, each a hold and an entry whose commits
//! its task awaits, with shared commits and with a commit for each record. Not here: what a ledger promises (`tests/store`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark reports on standard output and fails by panicking"
)]

#[path = "../tests/store/ledger/receipt_chains.rs"]
mod receipt_chains;

use parking_lot::Mutex;
use receipt_chains::{BilledRequest, ReceiptChains};
use riad_core::{
    Account, Limits, OperatorPass, Secret,
    audit::{AuditEntry, Origin},
    grants::Grants,
    ledger::Record,
    pass::hash_key,
    policy::{Budget, Policy},
    ports::{EmbeddingSpace, HashedKey, Ledger},
    tenant::{Key, Tenant},
};
use riad_store::Store;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Builder, sync::Semaphore};

const TENANTS: usize = 10;
const TASKS: [usize; 4] = [1, 16, 256, 2048];
/// Of each measurement.
const LENGTH: Duration = Duration::from_secs(3);

fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(report());
    } else {
        println!("metering: run it with `cargo bench --workspace --bench metering`");
    }
}

async fn report() {
    println!("requests metered per second (a hold and an entry each, both awaited), {TENANTS} accounts");
    println!(
        "{:>6}  {:>14}  {:>22}  {:>6}",
        "tasks", "shared commits", "one commit per record", "ratio"
    );
    for tasks in TASKS {
        let alone = measure(tasks, Some(Arc::new(Semaphore::new(1)))).await;
        let shared = measure(tasks, None).await;
        println!("{tasks:>6}  {shared:>14.0}  {alone:>22.0}  {:>6.1}", shared / alone);
    }
    println!("making a tenant, which writes to the same database");
    for tasks in [0, 1, 256, 2048] {
        let (mean, longest) = create_tenants(tasks).await;
        println!("{tasks:>6}  mean {mean:.1?}, longest {longest:.1?}");
    }
}

/// A ledger with accounts in a folder of its own.
struct LedgerHost {
    store: Store,
    ledger: Arc<dyn Ledger>,
    operator: OperatorPass,
    accounts: Vec<Account>,
    chains: Mutex<ReceiptChains>,
    _folder: tempfile::TempDir,
}

impl LedgerHost {
    async fn open() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let space = EmbeddingSpace {
            model: "none".into(),
            dimensions: 4,
        };
        let store = Store::open(&folder.path().join("data"), space, &Limits::default()).unwrap();
        let (key_store, key) = (store.key_store(), Secret::new("riad_op_bench".to_owned()));
        key_store.set_operator_hash(&hash_key(&key)).await.unwrap();
        let operator = OperatorPass::authorize(&*key_store, &key, Origin::default())
            .await
            .unwrap();
        let mut setup = Self {
            ledger: store.ledger(),
            store,
            operator,
            accounts: Vec::new(),
            chains: Mutex::default(),
            _folder: folder,
        };
        for tenant in 0..TENANTS {
            let account = setup.create_tenant(&name(tenant)).await;
            setup.accounts.push(account);
        }
        Arc::new(setup)
    }

    async fn create_tenant(&self, id: &str) -> Account {
        let tenant = Tenant {
            id: id.parse().unwrap(),
            account: Account::new(0),
            name: id.to_owned(),
            created: 1,
            policy: Policy::default(),
            succeeds: false,
        };
        let first_key = HashedKey {
            key: Key {
                id: format!("key-{id}").parse().unwrap(),
                name: "first".into(),
                prefix: "riad_sk_".into(),
                grants: Grants::default(),
                budget: Budget::default(),
                created: 1,
                expires: None,
                last_used: None,
            },
            hash: hash_key(&Secret::new(id.to_owned())),
        };
        let entry = |action: &str| AuditEntry {
            at_ms: 1,
            actor: "operator".into(),
            account: None,
            tenant: None,
            action: action.to_owned(),
            object: id.to_owned(),
            detail: None,
            origin: Origin::default(),
        };
        let tenant_store = self.store.tenant_store();
        tenant_store
            .create(
                &self.operator,
                &tenant,
                &first_key,
                [entry("tenant.create"), entry("key.create")],
            )
            .await
            .unwrap()
            .account
    }

    /// One request. With `one_at_a_time`, each record has a commit of its own.
    async fn meter(&self, number: usize, one_at_a_time: Option<&Semaphore>) {
        let tenant = number % TENANTS;
        let mut billed = BilledRequest::new(self.accounts[tenant], &name(tenant), &format!("req-{number}"));
        // A day's worth of seconds, as if they came over a day.
        billed.at_ms += (number as u64 * 7919) % 86_400_000;
        let permit = match one_at_a_time {
            Some(one_at_a_time) => Some(one_at_a_time.acquire().await.unwrap()),
            None => None,
        };
        self.ledger.append(Record::Hold(billed.hold())).await.unwrap();
        drop(permit);
        let permit = match one_at_a_time {
            Some(one_at_a_time) => Some(one_at_a_time.acquire().await.unwrap()),
            None => None,
        };
        // Numbers are given in the order in which the records are queued.
        let appended = {
            let mut chains = self.chains.lock();
            self.ledger.append(Record::Entry(chains.settle(&billed)))
        };
        appended.await.unwrap();
        drop(permit);
    }
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

/// Requests per second.
async fn measure(tasks: usize, one_at_a_time: Option<Arc<Semaphore>>) -> f64 {
    let setup = LedgerHost::open().await;
    let begun = Instant::now();
    let done = sell(&setup, tasks, one_at_a_time, begun + LENGTH).await;
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    let verification = setup.ledger.verify(Box::new(receipt_chains::check)).await.unwrap();
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!(verification.entries, done as u64);
    rate
}

async fn sell(setup: &Arc<LedgerHost>, tasks: usize, one_at_a_time: Option<Arc<Semaphore>>, end: Instant) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let sellers = (0..tasks).map(|_| {
        let (setup, next, one_at_a_time) = (setup.clone(), next.clone(), one_at_a_time.clone());
        tokio::spawn(async move {
            while Instant::now() < end {
                setup
                    .meter(next.fetch_add(1, Ordering::Relaxed), one_at_a_time.as_deref())
                    .await;
            }
        })
    });
    for seller in sellers.collect::<Vec<_>>() {
        seller.await.unwrap();
    }
    next.load(Ordering::Relaxed)
}

/// Mean and longest time of making a tenant while `tasks` meter.
async fn create_tenants(tasks: usize) -> (Duration, Duration) {
    const MADE: u32 = 40;
    let setup = LedgerHost::open().await;
    let end = Instant::now() + LENGTH;
    let selling = {
        let setup = setup.clone();
        tokio::spawn(async move { sell(&setup, tasks, None, end).await })
    };
    let (mut sum, mut longest) = (Duration::ZERO, Duration::ZERO);
    for made in 0..MADE {
        tokio::time::sleep(LENGTH / MADE / 2).await;
        let begun = Instant::now();
        setup.create_tenant(&format!("new-{made}")).await;
        sum += begun.elapsed();
        longest = longest.max(begun.elapsed());
    }
    selling.await.unwrap();
    (sum / MADE, longest)
}
