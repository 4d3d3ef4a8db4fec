//! `/operator/v1/ledger`: entries for billing systems, and whether the ledger closes. Not here: sums (`usage`).

use crate::{
    auth::Operator,
    body::QueryParts,
    error::{ApiResult, Failures},
    export::{self, Format},
    state::AppState,
    usage::question::scope,
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use riad_core::{
    Error,
    ledger::{Entry, Run, Verification},
    usage::EntryQuery,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryParams {
    /// `position` of the last entry that is known already; from the first if it is not given.
    after: Option<u64>,
    /// 1 to 1000; 100 if it is not given.
    limit: Option<u32>,
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
    /// `json`, `csv` or `cloudevents`.
    format: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EntryList {
    #[schema(example = "list")]
    object: &'static str,
    /// Oldest first.
    data: Vec<EntryBody>,
    has_more: bool,
}

/// One settled request, or what time cost. Never changed.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerEntry)]
pub(crate) struct EntryBody {
    position: u64,
    tenant: String,
    account: u64,
    /// 1, 2, 3 … within the account.
    number: u64,
    request: String,
    at_ms: u64,
    #[schema(example = "chat")]
    kind: &'static str,
    #[schema(example = "completed")]
    outcome: &'static str,
    api_key_id: Option<String>,
    model: String,
    adapter: Option<String>,
    plugin: String,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    /// For `abandoned`: tokens that were set aside, the most that can be missing.
    at_most_tokens: Option<u64>,
    plan: String,
    plan_version: u32,
    cost_nanos: u64,
    currency: String,
    /// The signed receipt, a compact JWS.
    receipt: String,
}

/// CloudEvents 1.0; `id` and `source` name an entry for good, so that whoever reads one twice can tell.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a EntryBody,
}

/// What a check of the whole ledger found.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationBody {
    #[schema(example = "ledger.verification")]
    object: &'static str,
    /// Whether the ledger closes.
    ok: bool,
    accounts: u64,
    entries: u64,
    runs: Vec<RunBody>,
    /// What is wrong, in words.
    faults: Vec<String>,
}

/// One run of the server: what the engine counted and what was billed.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerRun)]
pub(crate) struct RunBody {
    number: u64,
    began_ms: u64,
    /// Absent while it runs, and if it was killed.
    engine: Option<Tokens>,
    ledger: Tokens,
    /// Requests that a kill left unsettled, and the most tokens that they may have spent unbilled.
    abandoned: u64,
    abandoned_tokens: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EngineTokens)]
pub(crate) struct Tokens {
    prompt: u64,
    completion: u64,
    embedded: u64,
}

impl EntryBody {
    fn new(position: u64, entry: Entry, currency: &str) -> Self {
        let used = entry.used;
        Self {
            position,
            tenant: entry.tenant.into(),
            account: entry.account.number(),
            number: entry.number,
            request: entry.request,
            at_ms: entry.at_ms,
            kind: entry.purpose.kind.as_str(),
            outcome: entry.outcome.as_str(),
            api_key_id: entry.key.map(String::from),
            model: entry.purpose.model,
            adapter: entry.purpose.adapter.map(String::from),
            plugin: entry.purpose.plugin,
            requests: used.requests,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            at_most_tokens: entry.at_most.map(|at_most| at_most.tokens()),
            plan: entry.plan.into(),
            plan_version: entry.plan_version,
            cost_nanos: entry.cost_nanos,
            currency: currency.to_owned(),
            receipt: entry.receipt,
        }
    }
}

impl From<riad_core::ledger::EngineTokens> for Tokens {
    fn from(tokens: riad_core::ledger::EngineTokens) -> Self {
        Self {
            prompt: tokens.prompt,
            completion: tokens.completion,
            embedded: tokens.embedded,
        }
    }
}

impl From<Run> for RunBody {
    fn from(run: Run) -> Self {
        Self {
            number: run.number,
            began_ms: run.began_ms,
            engine: run.engine.map(Tokens::from),
            ledger: run.ledger.into(),
            abandoned: run.abandoned,
            abandoned_tokens: run.abandoned_tokens,
        }
    }
}

impl From<Verification> for VerificationBody {
    fn from(found: Verification) -> Self {
        Self {
            object: "ledger.verification",
            ok: found.faults.is_empty(),
            accounts: found.accounts,
            entries: found.entries,
            runs: found.runs.into_iter().map(RunBody::from).collect(),
            faults: found.faults,
        }
    }
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
    let data: Vec<EntryBody> = page
        .items
        .into_iter()
        .map(|(position, entry)| EntryBody::new(position, entry, currency))
        .collect();
    match format {
        Format::Csv => export::csv("ledger", &data),
        Format::CloudEvents => cloud_events(&data),
        Format::Json => Ok(Json(EntryList {
            object: "list",
            has_more: page.next.is_some(),
            data,
        })
        .into_response()),
    }
}

/// Check the whole ledger: numbers, chains, signatures, prices, sums, and that it equals what the engine counted
#[utoipa::path(get, path = "/operator/v1/ledger/verify", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = VerificationBody), Failures))]
pub(crate) async fn verify_ledger(
    State(state): State<AppState>,
    Operator(operator): Operator,
) -> ApiResult<Json<VerificationBody>> {
    Ok(Json(state.services.usage().verify(&operator).await?.into()))
}

fn cloud_events(entries: &[EntryBody]) -> ApiResult<Response> {
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
