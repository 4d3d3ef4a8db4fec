//! Numbers and times as people read them: with units, and short. Not here: pages.

use riad_core::Digest;
use std::time::Duration;
use time::{OffsetDateTime, macros::format_description};

const NANOS_PER_UNIT: u64 = 1_000_000_000;
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A whole number in groups of three digits.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        // A no-break space: neither a decimal point nor a comma in any country.
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A rounded number with a letter for its thousands, for labels of plots.
pub(crate) fn short_count(number: u64) -> String {
    let scaled = |per: u64, letter: char| {
        let tenths = number.saturating_mul(10) / per;
        match (tenths >= 100, tenths % 10) {
            (true, _) | (_, 0) => format!("{}{letter}", tenths / 10),
            (false, rest) => format!("{}.{rest}{letter}", tenths / 10),
        }
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => scaled(1_000, 'k'),
        1_000_000..1_000_000_000 => scaled(1_000_000, 'M'),
        _ => scaled(1_000_000_000, 'G'),
    }
}

pub(crate) fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match unit {
        0 => format!("{bytes} {name}"),
        _ if amount < 10.0 => format!("{amount:.1} {name}"),
        _ => format!("{amount:.0} {name}"),
    }
}

/// An amount of money, exact up to what is shown: small amounts have more decimals.
pub(crate) fn money(nanos: u64, currency: &str) -> String {
    let (whole, rest) = (nanos / NANOS_PER_UNIT, nanos % NANOS_PER_UNIT);
    let decimals = match nanos {
        0 => 2,
        1..1_000 => 9,
        1_000..10_000_000 => 6,
        10_000_000..NANOS_PER_UNIT => 4,
        _ => 2,
    };
    let digits = format!("{rest:09}");
    let shown = digits.get(..decimals).unwrap_or_default();
    format!("{}.{shown} {}", count(whole), currency.to_ascii_uppercase())
}

pub(crate) fn duration(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => format!("{} min", micros / 60_000_000),
    }
}

/// Enough of a digest to tell it from others in one room.
pub(crate) fn short_digest(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

/// A share in percent; a dash where there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        _ => {
            let percent = part as f64 * 100.0 / whole as f64;
            match percent {
                0.0 => "0 %".to_owned(),
                0.0..0.1 => "< 0.1 %".to_owned(),
                _ if percent < 10.0 => format!("{percent:.1} %"),
                _ => format!("{percent:.0} %"),
            }
        }
    }
}

/// Month and day, UTC.
pub(crate) fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let written = time.and_then(|time| time.format(format_description!("[month]-[day]")).ok());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_and_units() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(short_count(999), "999");
        assert_eq!(short_count(1_500), "1.5k");
        assert_eq!(short_count(2_000), "2k");
        assert_eq!(short_count(23_456_789), "23M");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(20 << 30), "20 GiB");
    }

    #[test]
    fn small_amounts_of_money_are_not_zero() {
        assert_eq!(money(0, "usd"), "0.00 USD");
        assert_eq!(money(5, "usd"), "0.000000005 USD");
        assert_eq!(money(1_234_000, "usd"), "0.001234 USD");
        assert_eq!(money(12_345_678_901, "eur"), "12.34 EUR");
    }

    #[test]
    fn times_are_rounded_to_what_matters() {
        assert_eq!(duration(Duration::from_micros(640)), "640 µs");
        assert_eq!(duration(Duration::from_micros(2_250)), "2.2 ms");
        assert_eq!(duration(Duration::from_millis(75)), "75 ms");
        assert_eq!(duration(Duration::from_millis(1_500)), "1.5 s");
        assert_eq!(share(1, 3), "33 %");
        assert_eq!(share(1, 10_000), "< 0.1 %");
        assert_eq!(share(0, 0), "–");
    }
}
