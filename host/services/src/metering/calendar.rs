//! Days and months of UTC, in seconds since 1970-01-01. Not here: the time now (`clock`).

const DAY: u64 = 86_400;

/// Midnight that began the day.
pub(super) fn day(seconds: u64) -> u64 {
    seconds - seconds % DAY
}

pub(super) fn next_day(seconds: u64) -> u64 {
    day(seconds).saturating_add(DAY)
}

/// Midnight that began the month.
pub(super) fn month(seconds: u64) -> u64 {
    let days = seconds / DAY;
    days.saturating_sub(civil(days).2 - 1) * DAY
}

pub(super) fn next_month(seconds: u64) -> u64 {
    // No month has more than 31 days, and none fewer than 28.
    month(month(seconds).saturating_add(31 * DAY))
}

/// `2026-02-28`.
pub(super) fn date(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of the month: `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms", for
/// days from 1970 on.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is a year's last.
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
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
                (date(month(seconds)), date(next_month(seconds))),
                (begins.to_owned(), next.to_owned()),
                "{seconds}"
            );
            assert_eq!(month(seconds) % DAY, 0);
        }
    }

    #[test]
    fn every_day_follows_the_one_before_for_two_hundred_years() {
        let mut last = (1970, 1, 0);
        for days in 0..73_000 {
            let (year, month, day) = civil(days);
            let follows = (year, month, day) == (last.0, last.1, last.2 + 1)
                || (year, month, day) == (last.0, last.1 + 1, 1)
                || (year, month, day) == (last.0 + 1, 1, 1);
            assert!(follows, "{last:?} before {:?}", (year, month, day));
            last = (year, month, day);
        }
        assert_eq!(last.0, 2169);
    }

    #[test]
    fn a_day_ends_at_midnight() {
        assert_eq!((day(86_399), next_day(86_399)), (0, 86_400));
        assert_eq!((day(86_400), next_day(86_400)), (86_400, 172_800));
    }
}
