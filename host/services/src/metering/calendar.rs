//! Days and months in UTC, as seconds since 1970-01-01. Times beyond the year 9999 count as its last day.

use time::{Date, Duration, OffsetDateTime};

/// Midnight at the start of the day.
pub(super) fn day(seconds: u64) -> u64 {
    midnight(date(seconds))
}

pub(super) fn next_day(seconds: u64) -> u64 {
    midnight(date(seconds).saturating_add(Duration::DAY))
}

/// Midnight at the start of the month.
pub(super) fn month(seconds: u64) -> u64 {
    midnight(first_of_month(date(seconds)))
}

pub(super) fn next_month(seconds: u64) -> u64 {
    // No month has more than 31 days, and none fewer than 28.
    let in_next_month = first_of_month(date(seconds)).saturating_add(Duration::days(31));
    midnight(first_of_month(in_next_month))
}

/// The day in UTC; it prints as `2026-02-28`.
pub(super) fn date(seconds: u64) -> Date {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_or(Date::MAX, OffsetDateTime::date)
}

fn first_of_month(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

fn midnight(date: Date) -> u64 {
    u64::try_from(date.midnight().assume_utc().unix_timestamp()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (seconds, begins, next) in [
            (0, "1970-01-01", "1970-02-01"),
            (951_782_400, "2000-02-01", "2000-03-01"),   // 2000-02-29
            (951_868_800, "2000-03-01", "2000-04-01"),   // 2000-03-01
            (1_798_761_599, "2026-12-01", "2027-01-01"), // 2026-12-31, the last second
            (1_798_761_600, "2027-01-01", "2027-02-01"),
            (4_107_542_399, "2100-02-01", "2100-03-01"), // 2100 has no leap day
            (1_709_251_199, "2024-02-01", "2024-03-01"), // 2024-02-29
        ] {
            assert_eq!(
                (date(month(seconds)).to_string(), date(next_month(seconds)).to_string()),
                (begins.to_owned(), next.to_owned()),
                "{seconds}"
            );
            assert_eq!(month(seconds) % 86_400, 0);
        }
    }

    #[test]
    fn every_month_ends_where_the_next_begins_for_200_years() {
        let (mut start, mut months) = (0, 0);
        while start < 200 * 366 * 86_400 {
            let next = next_month(start);
            assert!((28..=31).contains(&((next - start) / 86_400)), "{}", date(start));
            assert_eq!((month(next), month(next - 1)), (next, start));
            (start, months) = (next, months + 1);
        }
        assert_eq!(months, 200 * 12 + 5, "73,200 days reach to the end of May 2170");
    }

    #[test]
    fn a_day_ends_at_midnight() {
        assert_eq!((day(86_399), next_day(86_399)), (0, 86_400));
        assert_eq!((day(86_400), next_day(86_400)), (86_400, 172_800));
    }

    #[test]
    fn times_after_the_year_9999_are_its_last_day() {
        assert_eq!(date(u64::MAX).to_string(), "9999-12-31");
        assert_eq!(next_day(u64::MAX), day(u64::MAX));
    }
}
