//! A notice on the wire: a `CloudEvents` 1.0 event in the structured JSON mode. Not here: sending it.

use riad_core::ports::BudgetNotice;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::{OffsetDateTime, macros::format_description};
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
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    i128::try_from(time.as_nanos())
        .ok()
        .and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
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
