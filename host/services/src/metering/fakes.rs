//! Fakes for tests: a ledger in memory, ports that remember their calls, a clock that stands still, and passes without a database.

use super::{Metering, MeteringDependencies};
use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use riad_core::{
    Account, Clock, Digest, Error, KeyId, PlanName, Result, Secret, TenantId, TenantPass, Timestamp,
    audit::AuditEntry,
    ledger::{ChainHead, EngineTokens, Entry, EntryCheck, Hold, Kind, Purpose, Record, Spent, Verification},
    policy::{Budget, Policy},
    ports::{BudgetNotice, Gauges, GuestCall, KeyRecord, Ledger, Plans, RequestRecord, Telemetry, Webhooks},
    price::{Plan, PriceList},
    usage::{EntryQuery, LedgerScope, Rollup, UsageBucket, UsageQuery},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The ports of [`Metering`].
#[derive(Default)]
pub(crate) struct FakePorts {
    pub records: Mutex<Vec<Record>>,
    /// Whether every write fails.
    pub broken: Mutex<bool>,
    key: Mutex<Option<Vec<u8>>>,
    pub notices: Mutex<Vec<(String, BudgetNotice)>>,
    pub requests: Mutex<Vec<RequestRecord>>,
    pub prices: Mutex<PriceList>,
    pub clock: Arc<FakeClock>,
}

/// Stands still until a test sets it. Starts at noon of 1970-04-11, which is day 100.
pub(crate) struct FakeClock(AtomicU64);

impl FakeClock {
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self(AtomicU64::new(100 * 86_400_000 + 86_400_000 / 2))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl FakePorts {
    /// A process that opens this ledger.
    pub async fn metering(self: &Arc<Self>) -> Metering {
        let dependencies = MeteringDependencies {
            ledger: self.clone(),
            plans: self.clone(),
            webhooks: self.clone(),
            telemetry: self.clone(),
        };
        Metering::open_with(dependencies, self.clock.clone()).await.unwrap()
    }

    pub fn entries(&self) -> Vec<Entry> {
        let records = self.records.lock();
        let entries = records.iter().filter_map(|record| match record {
            Record::Hold(_) => None,
            Record::Entry(entry) => Some(entry.clone()),
        });
        entries.collect()
    }

    pub fn holds(&self) -> Vec<Hold> {
        let records = self.records.lock();
        let holds = records.iter().filter_map(|record| match record {
            Record::Hold(hold) => Some(hold.clone()),
            Record::Entry(_) => None,
        });
        holds.collect()
    }
}

#[async_trait]
impl Ledger for FakePorts {
    fn append(&self, record: Record) -> BoxFuture<'static, Result<()>> {
        if *self.broken.lock() {
            return async { Err(Error::internal("the disk is broken")) }.boxed();
        }
        self.records.lock().push(record);
        // Other tasks run in between, as while a disk writes.
        tokio::task::yield_now().map(Ok).boxed()
    }

    async fn abandoned(&self) -> Result<Vec<Hold>> {
        let ended: Vec<String> = self.entries().into_iter().map(|entry| entry.request).collect();
        let mut left: Vec<Hold> = Vec::new();
        for hold in self.holds().into_iter().filter(|hold| !ended.contains(&hold.request)) {
            left.retain(|earlier| earlier.request != hold.request);
            left.push(hold);
        }
        Ok(left)
    }

    async fn head(&self, account: Account) -> Result<ChainHead> {
        tokio::task::yield_now().await;
        let entries = self.entries();
        let last = entries.iter().rfind(|entry| entry.account == account);
        Ok(last.map_or_else(ChainHead::default, |entry| ChainHead {
            number: entry.number,
            receipt: Some(Digest::of(entry.receipt.as_bytes())),
        }))
    }

    async fn spent(&self, account: Account, key: Option<&KeyId>, now: u64) -> Result<Spent> {
        tokio::task::yield_now().await;
        let mut spent = Spent::default();
        for entry in self.entries() {
            if entry.account != account || key.is_some_and(|key| entry.key.as_ref() != Some(key)) {
                continue;
            }
            let at = entry.at_ms / 1000;
            let mut sums = vec![&mut spent.total];
            if super::calendar::day(at) == super::calendar::day(now) {
                sums.push(&mut spent.day);
            }
            if super::calendar::month(at) == super::calendar::month(now) {
                sums.push(&mut spent.month);
            }
            for sum in sums {
                sum.tokens += entry.used.tokens();
                sum.nanos += entry.cost_nanos;
            }
        }
        Ok(spent)
    }

    async fn usage(&self, _: UsageQuery) -> Result<Vec<UsageBucket>> {
        Err(not_used())
    }

    async fn rollups(&self, _: LedgerScope, _: u64, _: u64) -> Result<Vec<Rollup>> {
        Err(not_used())
    }

    async fn entries(&self, _: EntryQuery) -> Result<Vec<(u64, Entry)>> {
        Err(not_used())
    }

    async fn verify(&self, _: Box<EntryCheck>) -> Result<Verification> {
        Err(not_used())
    }

    async fn end_run(&self, _: EngineTokens) -> Result<()> {
        Err(not_used())
    }

    async fn signing_key(&self, make: Vec<u8>) -> Result<Secret<Vec<u8>>> {
        Ok(Secret::new(self.key.lock().get_or_insert(make).clone()))
    }
}

#[async_trait]
impl Plans for FakePorts {
    async fn add(&self, _: &PlanName, _: &PriceList, _: u64, _: AuditEntry) -> Result<Plan> {
        Err(not_used())
    }

    async fn list(&self) -> Result<Vec<Plan>> {
        Err(not_used())
    }

    async fn current(&self, name: &PlanName) -> Result<Plan> {
        Ok(Plan {
            name: name.clone(),
            version: 1,
            prices: *self.prices.lock(),
            created: 0,
        })
    }
}

impl Webhooks for FakePorts {
    fn notify(&self, url: &str, notice: BudgetNotice) {
        self.notices.lock().push((url.to_owned(), notice));
    }
}

impl Telemetry for FakePorts {
    fn guest_call(&self, _: &TenantId, _: &GuestCall) {}

    fn request(&self, request: &RequestRecord) {
        self.requests.lock().push(request.clone());
    }

    fn render(&self, _: &Gauges) -> String {
        String::new()
    }
}

pub(crate) fn purpose() -> Purpose {
    Purpose {
        kind: Kind::Chat,
        model: "tiny".into(),
        adapter: None,
        plugin: "standard".into(),
    }
}

/// A pass of the tenant `acme` with the account 1.
pub(crate) fn pass(key: &str, key_budget: Budget, policy: Policy) -> TenantPass {
    riad_fakes::pass(KeyRecord {
        tenant: "acme".parse().unwrap(),
        key: key.parse().unwrap(),
        budget_key: key.parse().unwrap(),
        budget: key_budget,
        policy,
        ..riad_fakes::key(1)
    })
}

fn not_used() -> Error {
    Error::internal("not used in these tests")
}
