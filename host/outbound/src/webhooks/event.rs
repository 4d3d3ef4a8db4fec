//! The wire format of a notice: a `CloudEvents` 1.0 event in the structured JSON mode.

use riad_core::{Timestamp, ports::BudgetNotice};
use serde::Serialize;
use time::{OffsetDateTime, macros::format_description};
use uuid::Uuid;

/// All attempts to send one notice have the same `id`, so that a receiver recognizes duplicates.
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
            time: rfc3339(Timestamp::now()),
            subject: notice.tenant.as_str(),
            datacontenttype: "application/json",
            data: notice,
        }
    }
}

/// UTC, to the millisecond.
fn rfc3339(time: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanoseconds = i128::from(time.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .ok()
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
            assert_eq!(rfc3339(Timestamp::from_millis(milliseconds)), text);
        }
    }
}
