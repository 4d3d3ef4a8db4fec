//! Tables in Markdown.

use crate::samples::Samples;
use std::time::Duration;

/// A title, the heads of the columns, the first of which is of text, and rows.
pub fn print(title: &str, heads: &[&str], rows: &[Vec<String>]) {
    println!("{title}\n");
    println!("| {} |", heads.join(" | "));
    println!("| --- |{}", " ---: |".repeat(heads.len() - 1));
    for row in rows {
        assert_eq!(row.len(), heads.len(), "{row:?}");
        println!("| {} |", row.join(" | "));
    }
    println!();
}

/// Three digits, with the unit that suits.
pub fn time(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    let (value, unit) = match nanoseconds {
        ..1e3 => (nanoseconds, "ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        ..1e9 => (nanoseconds / 1e6, "ms"),
        _ => (nanoseconds / 1e9, "s"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}"),
        ..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

pub fn bytes(bytes: u64) -> String {
    match bytes {
        ..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// What was timed, its median and its 99th percentile, and what it should be.
pub fn row(what: &str, samples: &Samples, reach: &str) -> Vec<String> {
    vec![
        what.to_owned(),
        time(samples.median()),
        time(samples.p99()),
        reach.to_owned(),
    ]
}

/// The heads of [`row`].
pub const ROW: [&str; 4] = ["", "median", "p99", "reach"];
