//! The thin HTTP clients of the command line: one file for one word of it. Not here: HTTP itself (`client`), the
//! command line's grammar (`cli`).

pub mod adapter;
pub mod chat;
pub mod document;
pub mod key;
pub mod models;
pub mod pipeline;
pub mod plugin;
pub mod search;
pub mod settings;
pub mod tenant;

use crate::cli::Member;
use bytes::Bytes;
use riad_core::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads a file that the user named.
async fn read_file(path: &Path) -> Result<Bytes> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(Error::invalid(format!("cannot read {}: {error}", path.display())).with_source(error)),
    }
}

fn object(members: &[Member]) -> Map<String, Value> {
    members
        .iter()
        .map(|member| (member.key.clone(), member.value.clone()))
        .collect()
}

/// Seconds since 1970 as a date, UTC.
fn date(seconds: u64) -> String {
    // Days to a civil date, after Howard Hinnant's well-known construction: eras of 400 years that begin in March.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let minutes = seconds % 86_400 / 60;
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_right_around_leap_days_and_years() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_200, "2024-03-01 00:00"),
            (1_767_225_599, "2025-12-31 23:59"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
