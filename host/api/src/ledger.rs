//! `/operator/v1/ledger`: entries for billing systems, and a check of the whole. Not here: sums (`usage`).

use crate::{
    auth::Operator,
    error::{ApiResult, Failures},
    export::{self, Format},
    query::QueryParts,
    state::AppState,
    usage::query::scope,
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use riad_api_types::ledger::{EntryList, EntryParams, LedgerEntry, Verification};
use riad_core::{Error, usage::EntryQuery};
use serde::Serialize;

/// CloudEvents 1.0; `id` and `source` identify an entry, so that a reader recognizes one that it has already.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a LedgerEntry,
}

/// Entries of the ledger in their order, for billing systems
#[utoipa::path(get, path = "/operator/v1/ledger/entries", tag = "operator", security(("operator_key" = [])),
    params(EntryParams), responses((status = 200, body = EntryList), Failures))]
pub(crate) async fn list_entries(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<EntryParams>,
) -> ApiResult<Response> {
    let format = Format::read(
        params.format.as_deref(),
        &[Format::Json, Format::Csv, Format::CloudEvents],
    )?;
    let query = EntryQuery {
        scope: scope(params.tenant.as_deref())?,
        after: params.after.unwrap_or(0),
        limit: params.limit.unwrap_or(100),
    };
    let page = state.services.usage().entries(&operator, query).await?;
    let currency = state.services.currency();
    let data: Vec<LedgerEntry> = page
        .items
        .into_iter()
        .map(|(position, entry)| LedgerEntry::new(position, entry, currency))
        .collect();
    match format {
        Format::Csv => export::csv("ledger", &data),
        Format::CloudEvents => cloud_events(&data),
        Format::Json => Ok(Json(EntryList {
            object: "list".into(),
            has_more: page.next.is_some(),
            data,
        })
        .into_response()),
    }
}

/// Check the whole ledger: numbers, chains, signatures, prices, sums, and that it equals what the engine counted
#[utoipa::path(get, path = "/operator/v1/ledger/verify", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = Verification), Failures))]
pub(crate) async fn verify_ledger(
    State(state): State<AppState>,
    Operator(operator): Operator,
) -> ApiResult<Json<Verification>> {
    Ok(Json(state.services.usage().verify(&operator).await?.into()))
}

fn cloud_events(entries: &[LedgerEntry]) -> ApiResult<Response> {
    let events: Vec<CloudEvent<'_>> = entries
        .iter()
        .map(|entry| CloudEvent {
            specversion: "1.0",
            id: entry.request.clone(),
            source: "riad/ledger",
            r#type: "riad.ledger.entry",
            subject: &entry.tenant,
            time: export::rfc3339(entry.at_ms),
            datacontenttype: "application/json",
            data: entry,
        })
        .collect();
    let body = serde_json::to_vec(&events).map_err(Error::internal)?;
    let content_type = "application/cloudevents-batch+json; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}
