//! Usage that accrues by the hour: rooms on the disk and adapters in the engine's memory. Each run samples their sizes and bills the
//! usage accrued since the last run.

use crate::{Services, shared::Shared};
use riad_core::{
    Account, Result, TenantId,
    ledger::{Kind, Purpose},
    price::Usage,
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Twice the milliseconds of an hour: see [`ByteMeter::sample`].
const HALF_MS_PER_HOUR: u128 = 2 * 3_600_000;

/// Bills storage and residency at an interval, until it is dropped. What has accrued since the last run when it is dropped or the
/// process dies, at most one interval's usage, is not billed.
pub async fn run(services: Services, every: Duration) {
    let mut accrual = Accrual::default();
    loop {
        if let Err(error) = accrual.run_once(&services.0, Instant::now()).await {
            // The next run bills for this one too.
            tracing::error!(?error, "storage and residency could not be billed");
        }
        sleep(every).await;
    }
}

#[derive(Default)]
struct Accrual(HashMap<(Account, Kind), ByteMeter>);

/// One account's bytes of one kind.
#[derive(Debug)]
struct ByteMeter {
    bytes: u64,
    sampled: Instant,
    /// Bytes times half milliseconds that have not been billed.
    carried: u128,
}

impl Accrual {
    async fn run_once(&mut self, shared: &Shared, now: Instant) -> Result<()> {
        let stored = shared.rooms.stored().await?;
        let resident: BTreeMap<Account, u64> = shared.engine.resident_bytes().into_iter().collect();
        let mut tenants: HashMap<Account, TenantId> = HashMap::new();
        for room in stored {
            self.sample((room.account, Kind::Storage), room.bytes, now);
            let adapters = resident.get(&room.account).copied().unwrap_or_default();
            self.sample((room.account, Kind::Residency), adapters, now);
            tenants.insert(room.account, room.tenant);
        }
        // A deleted room accrues nothing more.
        self.0.retain(|(account, _), _| tenants.contains_key(account));
        for ((account, kind), meter) in &mut self.0 {
            let hours = meter.whole_hours();
            let Some(tenant) = tenants.get(account).filter(|_| hours > 0) else {
                continue;
            };
            let found = shared.key_store.tenant(tenant).await?;
            // A new tenant may have the same id by now.
            let Some(tenant) = found.filter(|tenant| tenant.account == *account) else {
                continue;
            };
            let (used, model) = match kind {
                Kind::Residency => (
                    Usage {
                        adapter_byte_hours: hours,
                        ..Usage::default()
                    },
                    shared.engine.profile().id.clone(),
                ),
                Kind::Storage
                | Kind::Chat
                | Kind::Embedding
                | Kind::Document
                | Kind::Search
                | Kind::Tool
                | Kind::Moved => (
                    Usage {
                        stored_byte_hours: hours,
                        ..Usage::default()
                    },
                    String::new(),
                ),
            };
            let purpose = Purpose {
                kind: *kind,
                model,
                adapter: None,
                plugin: String::new(),
            };
            shared.metering.charge(&tenant, purpose, used).await?;
            meter.subtract(hours);
        }
        Ok(())
    }

    fn sample(&mut self, scope: (Account, Kind), bytes: u64, now: Instant) {
        match self.0.get_mut(&scope) {
            Some(meter) => meter.sample(bytes, now),
            None => {
                // Usage accrues from the first sample on.
                let meter = ByteMeter {
                    bytes,
                    sampled: now,
                    carried: 0,
                };
                self.0.insert(scope, meter);
            }
        }
    }
}

impl ByteMeter {
    /// Adds the mean of this sample and the last, times the time between them. In half milliseconds, so that nothing is rounded.
    fn sample(&mut self, bytes: u64, now: Instant) {
        let ms = now.saturating_duration_since(self.sampled).as_millis();
        let both = u128::from(self.bytes) + u128::from(bytes);
        self.carried = self.carried.saturating_add(both.saturating_mul(ms));
        self.bytes = bytes;
        // Only whole milliseconds are counted; the rest counts at the next sample.
        self.sampled += Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    }

    fn whole_hours(&self) -> u64 {
        u64::try_from(self.carried / HALF_MS_PER_HOUR).unwrap_or(u64::MAX)
    }

    fn subtract(&mut self, hours: u64) {
        self.carried = self.carried.saturating_sub(u128::from(hours) * HALF_MS_PER_HOUR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_byte_hours_are_carried_over() {
        let begin = Instant::now();
        let mut meter = ByteMeter {
            bytes: 1000,
            sampled: begin,
            carried: 0,
        };
        let mut billed = 0;
        // 7 hours in steps of 1.7 seconds and a bit.
        let step = Duration::from_micros(1_700_300);
        let mut now = begin;
        while now < begin + Duration::from_secs(7 * 3600) {
            now += step;
            meter.sample(1000, now);
            let hours = meter.whole_hours();
            meter.subtract(hours);
            billed += hours;
        }
        let exact = 1000 * (now - begin).as_millis() / 3_600_000;
        assert_eq!(u128::from(billed), exact);
    }

    #[test]
    fn growth_between_samples_is_billed_at_its_mean() {
        let begin = Instant::now();
        let mut meter = ByteMeter {
            bytes: 0,
            sampled: begin,
            carried: 0,
        };
        meter.sample(3_000_001, begin + Duration::from_secs(3600));
        assert_eq!(meter.whole_hours(), 1_500_000, "half a byte-hour is carried");
        meter.subtract(1_500_000);
        meter.sample(3_000_001, begin + Duration::from_secs(7200));
        assert_eq!(meter.whole_hours(), 3_000_001);
        meter.sample(3_000_001, begin);
        assert_eq!(meter.whole_hours(), 3_000_001, "a clock that goes back adds nothing");
    }
}
