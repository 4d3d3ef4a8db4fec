//! A notice on the wire: a `CloudEvents` 1.0 event in the structured JSON mode. Not here: sending it.

use riad_core::ports::BudgetNotice;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// All tries to send one notice have the same `id`, so that a receiver knows what it has seen.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    time: String,
    subject: &'a str,
    datacontenttype: &'static str,
    data: &'a BudgetNotice,
}

impl<'a> Event<'a> {
    pub(super) fn of(notice: &'a BudgetNotice) -> Self {
        Self {
            specversion: "1.0",
            id: Uuid::now_v7().to_string(),
            source: "riad",
            r#type: "riad.budget.threshold",
            time: rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            subject: notice.tenant.as_str(),
            datacontenttype: "application/json",
            data: notice,
        }
    }
}

/// Time since 1970-01-01 UTC, to the millisecond.
fn rfc3339(time: Duration) -> String {
    let (days, seconds) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Days to a civil date, after Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that
    // begin in March.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        time.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_right_around_leap_days_and_years() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_200_005, "2024-03-01T00:00:00.005Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_millis(milliseconds)), text);
        }
    }
}
