//! What costs by the hour: rooms on the disk, adapters in the engine's memory. Looks at them again and again, and bills what has come
//! together since. Not here: what requests cost (`metering`), how large things are (the `Rooms` and `ChatEngine` ports).

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

/// Twice the milliseconds of an hour: see [`Meter::look`].
const HALF_MS_PER_HOUR: u128 = 2 * 3_600_000;

/// Bills storage and residency until it is dropped, every so often. What has come together when it is dropped, or when the
/// process dies, is not billed: at most one interval's.
pub async fn run(services: Services, every: Duration) {
    let mut accrual = Accrual::default();
    loop {
        if let Err(error) = accrual.look(&services.0, Instant::now()).await {
            // The next look bills for this one too.
            tracing::error!(?error, "storage and residency could not be billed");
        }
        sleep(every).await;
    }
}

#[derive(Default)]
struct Accrual(HashMap<(Account, Kind), Meter>);

/// One account's bytes of one kind.
#[derive(Debug)]
struct Meter {
    bytes: u64,
    seen: Instant,
    /// Bytes times half milliseconds that are not billed yet.
    carried: u128,
}

impl Accrual {
    async fn look(&mut self, shared: &Shared, now: Instant) -> Result<()> {
        let stored = shared.rooms.stored().await?;
        let resident: BTreeMap<Account, u64> = shared.engine.resident_bytes().into_iter().collect();
        let mut tenants: HashMap<Account, TenantId> = HashMap::new();
        for room in stored {
            self.see((room.account, Kind::Storage), room.bytes, now);
            let adapters = resident.get(&room.account).copied().unwrap_or_default();
            self.see((room.account, Kind::Residency), adapters, now);
            tenants.insert(room.account, room.tenant);
        }
        // A room that is gone has no more to pay.
        self.0.retain(|(account, _), _| tenants.contains_key(account));
        for ((account, kind), meter) in &mut self.0 {
            let hours = meter.whole_hours();
            let Some(tenant) = tenants.get(account).filter(|_| hours > 0) else {
                continue;
            };
            let found = shared.key_store.tenant(tenant).await?;
            // Another tenant may have the name by now.
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
                Kind::Storage | Kind::Chat | Kind::Embedding | Kind::Document | Kind::Search => (
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
            meter.bill(hours);
        }
        Ok(())
    }

    fn see(&mut self, scope: (Account, Kind), bytes: u64, now: Instant) {
        match self.0.get_mut(&scope) {
            Some(meter) => meter.look(bytes, now),
            None => {
                // Paid for from the first time it was seen.
                let meter = Meter {
                    bytes,
                    seen: now,
                    carried: 0,
                };
                self.0.insert(scope, meter);
            }
        }
    }
}

impl Meter {
    /// Between two looks there was the mean of what both saw: half of each, in half milliseconds, so that nothing is rounded.
    fn look(&mut self, bytes: u64, now: Instant) {
        let ms = now.saturating_duration_since(self.seen).as_millis();
        let both = u128::from(self.bytes) + u128::from(bytes);
        self.carried = self.carried.saturating_add(both.saturating_mul(ms));
        self.bytes = bytes;
        // Only whole milliseconds were counted; the rest is for the next look.
        self.seen += Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
    }

    fn whole_hours(&self) -> u64 {
        u64::try_from(self.carried / HALF_MS_PER_HOUR).unwrap_or(u64::MAX)
    }

    fn bill(&mut self, hours: u64) {
        self.carried = self.carried.saturating_sub(u128::from(hours) * HALF_MS_PER_HOUR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_byte_hours_are_carried_and_not_lost() {
        let begin = Instant::now();
        let mut meter = Meter {
            bytes: 1000,
            seen: begin,
            carried: 0,
        };
        let mut billed = 0;
        // 7 hours in steps of 1.7 seconds and a bit.
        let step = Duration::from_micros(1_700_300);
        let mut now = begin;
        while now < begin + Duration::from_secs(7 * 3600) {
            now += step;
            meter.look(1000, now);
            let hours = meter.whole_hours();
            meter.bill(hours);
            billed += hours;
        }
        let exact = 1000 * (now - begin).as_millis() / 3_600_000;
        assert_eq!(u128::from(billed), exact);
    }

    #[test]
    fn what_grows_is_paid_for_its_mean() {
        let begin = Instant::now();
        let mut meter = Meter {
            bytes: 0,
            seen: begin,
            carried: 0,
        };
        meter.look(3_000_001, begin + Duration::from_secs(3600));
        assert_eq!(meter.whole_hours(), 1_500_000, "half a byte-hour is carried");
        meter.bill(1_500_000);
        meter.look(3_000_001, begin + Duration::from_secs(7200));
        assert_eq!(meter.whole_hours(), 3_000_001);
        meter.look(3_000_001, begin);
        assert_eq!(
            meter.whole_hours(),
            3_000_001,
            "a clock that stands still costs nothing"
        );
    }
}
