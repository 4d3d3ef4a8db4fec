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

#[path = "../tests/store/ledger/books.rs"]
mod books;

use books::{Books, Sale};
use parking_lot::Mutex;
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
struct Shop {
    store: Store,
    ledger: Arc<dyn Ledger>,
    operator: OperatorPass,
    accounts: Vec<Account>,
    books: Mutex<Books>,
    _folder: tempfile::TempDir,
}

impl Shop {
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
        let mut shop = Self {
            ledger: store.ledger(),
            store,
            operator,
            accounts: Vec::new(),
            books: Mutex::default(),
            _folder: folder,
        };
        for tenant in 0..TENANTS {
            let account = shop.create_tenant(&name(tenant)).await;
            shop.accounts.push(account);
        }
        Arc::new(shop)
    }

    async fn create_tenant(&self, id: &str) -> Account {
        let tenant = Tenant {
            id: id.parse().unwrap(),
            account: Account::new(0),
            name: id.to_owned(),
            created: 1,
            policy: Policy::default(),
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

    /// One request. With a `turn`, each record has a commit of its own.
    async fn meter(&self, number: usize, turn: Option<&Semaphore>) {
        let tenant = number % TENANTS;
        let mut sale = Sale::new(self.accounts[tenant], &name(tenant), &format!("req-{number}"));
        // A day's worth of seconds, as if they came over a day.
        sale.at_ms += (number as u64 * 7919) % 86_400_000;
        let permit = match turn {
            Some(turn) => Some(turn.acquire().await.unwrap()),
            None => None,
        };
        self.ledger.append(Record::Hold(sale.hold())).await.unwrap();
        drop(permit);
        let permit = match turn {
            Some(turn) => Some(turn.acquire().await.unwrap()),
            None => None,
        };
        // Numbers are given in the order in which the records are queued.
        let appended = {
            let mut books = self.books.lock();
            self.ledger.append(Record::Entry(books.settle(&sale)))
        };
        appended.await.unwrap();
        drop(permit);
    }
}

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

/// Requests per second.
async fn measure(tasks: usize, turn: Option<Arc<Semaphore>>) -> f64 {
    let shop = Shop::open().await;
    let begun = Instant::now();
    let done = sell(&shop, tasks, turn, begun + LENGTH).await;
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    let verification = shop.ledger.verify(Box::new(books::check)).await.unwrap();
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!(verification.entries, done as u64);
    rate
}

async fn sell(shop: &Arc<Shop>, tasks: usize, turn: Option<Arc<Semaphore>>, end: Instant) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let sellers = (0..tasks).map(|_| {
        let (shop, next, turn) = (shop.clone(), next.clone(), turn.clone());
        tokio::spawn(async move {
            while Instant::now() < end {
                shop.meter(next.fetch_add(1, Ordering::Relaxed), turn.as_deref()).await;
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
    let shop = Shop::open().await;
    let end = Instant::now() + LENGTH;
    let selling = {
        let shop = shop.clone();
        tokio::spawn(async move { sell(&shop, tasks, None, end).await })
    };
    let (mut sum, mut longest) = (Duration::ZERO, Duration::ZERO);
    for made in 0..MADE {
        tokio::time::sleep(LENGTH / MADE / 2).await;
        let begun = Instant::now();
        shop.create_tenant(&format!("new-{made}")).await;
        sum += begun.elapsed();
        longest = longest.max(begun.elapsed());
    }
    selling.await.unwrap();
    (sum / MADE, longest)
}
