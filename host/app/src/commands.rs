//! The commands, one file each. Most of them call the server through `client`.

pub mod adapter;
pub mod audit;
pub mod cell;
pub mod chat;
mod check;
pub mod doctor;
pub mod document;
pub mod key;
pub mod ledger;
pub mod model;
pub mod models;
pub mod pipeline;
pub mod plan;
pub mod plugin;
pub mod receipt;
pub mod room;
pub mod scale;
pub mod search;
pub mod settings;
pub mod tenant;
pub mod usage;

use crate::cli::Member;
use bytes::Bytes;
use riad_core::{Error, Result, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;
use time::{OffsetDateTime, macros::format_description};

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

/// The members of an object that a command shows without knowing them.
fn members(object: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(object) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// A date and a time of day, UTC.
fn date(time: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    i64::try_from(time.as_seconds())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_years() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_200, "2024-03-01 00:00"),
            (1_767_225_599, "2025-12-31 23:59"),
        ] {
            assert_eq!(date(Timestamp::from_seconds(seconds)), text);
        }
    }
}
