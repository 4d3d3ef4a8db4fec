//! Answers for billing systems: CSV and CloudEvents beside JSON.

use crate::error::ApiResult;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use riad_core::{Error, Result};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// A batch of CloudEvents 1.0 in JSON.
    CloudEvents,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// The format that a request names, of those that are offered; JSON by default.
    pub fn read(name: Option<&str>, offered: &[Self]) -> Result<Self> {
        let Some(name) = name else {
            return Ok(Self::Json);
        };
        offered
            .iter()
            .copied()
            .find(|format| format.as_str() == name)
            .ok_or_else(|| {
                let names: Vec<_> = offered.iter().map(|format| format.as_str()).collect();
                Error::invalid(format!("format must be one of {}", names.join(", "))).with_param("format")
            })
    }
}

/// A CSV file of that name.
pub(crate) fn csv<T: Serialize>(name: &str, rows: &[T]) -> ApiResult<Response> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(Error::internal)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::internal(error.to_string()))?;
    let disposition = format!("attachment; filename=\"riad-{name}.csv\"");
    Ok((
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
        ],
        bytes,
    )
        .into_response())
}

/// A time as CloudEvents writes it.
pub(crate) fn rfc3339(ms: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
