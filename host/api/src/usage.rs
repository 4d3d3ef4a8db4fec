//! `/v1/usage`, `/v1/costs` and the operator's, in the shape of OpenAI's usage API; rollups. Not here: entries (`ledger`).

use crate::{
    auth::{Operator, Tenant},
    body::QueryParts,
    error::{ApiResult, Failures},
    export::{self, Format},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use riad_core::{
    Error, Result, TenantId,
    usage::{BucketWidth, GroupBy, Rollup, UsageBucket, UsageQuery, UsageResult, Whose},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};
use utoipa::{IntoParams, ToSchema};

/// The same questions at both doors; only the operator may name a tenant.
macro_rules! usage_params {
    ($name:ident, $read:expr, { $($(#[doc = $doc:literal])+ $extra:ident: $type:ty,)* }) => {
        /// Lists are separated by commas.
        #[derive(Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Seconds since 1970-01-01 UTC.
            start_time: u64,
            /// Exclusive; now if it is not given.
            end_time: Option<u64>,
            /// `1m`, `1h` or `1d`; `1d` if it is not given.
            bucket_width: Option<String>,
            /// Any of `tenant`, `key`, `model`, `adapter`, `plugin`, `kind`.
            group_by: Option<String>,
            /// Ids of keys.
            api_key_ids: Option<String>,
            models: Option<String>,
            /// Any of `chat`, `embedding`, `document`, `search`, `storage`, `residency`.
            kinds: Option<String>,
            /// Buckets of a page, 1 to 1440; 7 days, 24 hours or 60 minutes if it is not given, as OpenAI has it.
            limit: Option<u32>,
            /// `next_page` of the page before.
            page: Option<String>,
            /// `json` or `csv`.
            format: Option<String>,
            $($(#[doc = $doc])+ $extra: $type,)*
        }

        impl $name {
            fn read(self) -> Result<Asked> {
                let whose: fn(&Self) -> Result<Whose> = $read;
                let whose = whose(&self)?;
                Question {
                    start: self.start_time,
                    end: self.end_time,
                    width: self.bucket_width,
                    group_by: self.group_by,
                    keys: self.api_key_ids,
                    models: self.models,
                    kinds: self.kinds,
                    limit: self.limit,
                    page: self.page,
                    format: self.format,
                }
                .read(whose)
            }
        }
    };
}

// The service puts the caller's own account in place of "all".
usage_params!(UsageParams, |_| Ok(Whose::All), {});
usage_params!(AllUsageParams, |params| whose(params.tenant.as_deref()), {
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
});

/// What was asked, as it was written.
struct Question {
    start: u64,
    end: Option<u64>,
    width: Option<String>,
    group_by: Option<String>,
    keys: Option<String>,
    models: Option<String>,
    kinds: Option<String>,
    limit: Option<u32>,
    page: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollupParams {
    /// Seconds since 1970-01-01 UTC.
    start_time: u64,
    /// Exclusive; now if it is not given.
    end_time: Option<u64>,
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
    /// `json` or `csv`.
    format: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UsagePage {
    #[schema(example = "page")]
    object: &'static str,
    data: Vec<Bucket>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageBucket)]
pub(crate) struct Bucket {
    #[schema(example = "bucket")]
    object: &'static str,
    start_time: u64,
    end_time: u64,
    results: Vec<Usage>,
}

/// A member that was not grouped by is null.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageResult)]
pub(crate) struct Usage {
    #[schema(example = "riad.usage.result")]
    object: &'static str,
    /// Prompt and embedded tokens.
    input_tokens: u64,
    output_tokens: u64,
    /// Of `input_tokens`, those that were embedded.
    embedded_tokens: u64,
    num_model_requests: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    /// At most so many more were spent by requests that a killed process could not settle; they are not billed.
    abandoned_tokens: u64,
    tenant: Option<String>,
    api_key_id: Option<String>,
    model: Option<String>,
    adapter: Option<String>,
    plugin: Option<String>,
    kind: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CostPage {
    #[schema(example = "page")]
    object: &'static str,
    data: Vec<CostBucket>,
    has_more: bool,
    next_page: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CostBucket {
    #[schema(example = "bucket")]
    object: &'static str,
    start_time: u64,
    end_time: u64,
    results: Vec<Cost>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Cost {
    #[schema(example = "riad.costs.result")]
    object: &'static str,
    amount: Money,
    tenant: Option<String>,
    api_key_id: Option<String>,
    model: Option<String>,
    adapter: Option<String>,
    plugin: Option<String>,
    kind: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Money {
    /// In whole units of the currency, for people; sum up `nanos`.
    value: f64,
    /// Thousandths of a millionth, exact.
    nanos: u64,
    #[schema(example = "usd")]
    currency: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RollupList {
    #[schema(example = "list")]
    object: &'static str,
    /// By day, then by account.
    data: Vec<RollupBody>,
}

/// A day of an account at one version of its prices: a line of an invoice.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollup)]
pub(crate) struct RollupBody {
    /// Midnight, seconds since 1970-01-01 UTC.
    day: u64,
    tenant: String,
    account: u64,
    plan: String,
    plan_version: u32,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    cost_nanos: u64,
    currency: String,
}

/// What the caller's tenant used
#[utoipa::path(get, path = "/v1/usage", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_usage(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage(&pass, asked.query.clone()).await?;
    asked.usage(buckets)
}

/// What the caller's tenant paid
#[utoipa::path(get, path = "/v1/costs", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_costs(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage(&pass, asked.query.clone()).await?;
    asked.costs(buckets, state.services.currency())
}

/// What everybody used
#[utoipa::path(get, path = "/operator/v1/usage", tag = "operator", security(("operator_key" = [])),
    params(AllUsageParams), responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_all_usage(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<AllUsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage_all(&operator, asked.query.clone()).await?;
    asked.usage(buckets)
}

/// What everybody paid
#[utoipa::path(get, path = "/operator/v1/costs", tag = "operator", security(("operator_key" = [])),
    params(AllUsageParams), responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_all_costs(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<AllUsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage_all(&operator, asked.query.clone()).await?;
    asked.costs(buckets, state.services.currency())
}

/// Sums per day, account and price version, which outlive the tenant: what invoices are made of
#[utoipa::path(get, path = "/operator/v1/rollups", tag = "operator", security(("operator_key" = [])),
    params(RollupParams), responses((status = 200, body = RollupList), Failures))]
pub(crate) async fn list_rollups(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<RollupParams>,
) -> ApiResult<Response> {
    let format = Format::read(params.format.as_deref(), &[Format::Json, Format::Csv])?;
    let whose = whose(params.tenant.as_deref())?;
    let end = params.end_time.unwrap_or_else(now);
    let rollups = state
        .services
        .usage()
        .rollups(&operator, whose, params.start_time, end)
        .await?;
    let currency = state.services.currency();
    let data: Vec<RollupBody> = rollups
        .into_iter()
        .map(|rollup| RollupBody::new(rollup, currency))
        .collect();
    match format {
        Format::Csv => export::csv("rollups", &data),
        Format::Json | Format::CloudEvents => Ok(Json(RollupList { object: "list", data }).into_response()),
    }
}

/// A question, and the part of the answer that was asked for.
struct Asked {
    query: UsageQuery,
    format: Format,
    /// Where the next page begins.
    next: Option<u64>,
}

impl Question {
    fn read(self, whose: Whose) -> Result<Asked> {
        let (width, buckets) = match self.width.as_deref() {
            Some("1m") => (BucketWidth::Minute, 60),
            Some("1h") => (BucketWidth::Hour, 24),
            Some("1d") | None => (BucketWidth::Day, 7),
            Some(_) => return Err(Error::invalid("bucket_width is 1m, 1h or 1d").with_param("bucket_width")),
        };
        let limit = u64::from(self.limit.unwrap_or(buckets));
        if !(1..=1440).contains(&limit) {
            return Err(Error::invalid("limit must be 1 to 1440").with_param("limit"));
        }
        let end = self.end.unwrap_or_else(now);
        let start = match &self.page {
            Some(page) => page
                .parse::<u64>()
                .ok()
                .filter(|page| *page >= self.start && *page < end)
                .ok_or_else(|| Error::invalid("page is what next_page of the page before said").with_param("page"))?,
            None => self.start,
        };
        if start >= end {
            return Err(Error::invalid("end_time must be after start_time").with_param("end_time"));
        }
        // Buckets begin at multiples of their width.
        let first = start - start % width.seconds();
        let page_end = first.saturating_add(limit.saturating_mul(width.seconds()));
        let (query_end, next) = if page_end < end {
            (page_end, Some(page_end))
        } else {
            (end, None)
        };
        let query = UsageQuery {
            whose,
            start,
            end: query_end,
            width,
            group_by: list(self.group_by.as_deref(), "group_by")?
                .into_iter()
                .collect::<BTreeSet<GroupBy>>(),
            keys: list(self.keys.as_deref(), "api_key_ids")?,
            models: words(self.models.as_deref()).map(str::to_owned).collect(),
            kinds: list(self.kinds.as_deref(), "kinds")?,
        };
        Ok(Asked {
            query,
            format: Format::read(self.format.as_deref(), &[Format::Json, Format::Csv])?,
            next,
        })
    }
}

impl Asked {
    fn usage(&self, buckets: Vec<UsageBucket>) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("usage", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(UsagePage {
                object: "page",
                data: buckets.into_iter().map(Bucket::from).collect(),
                has_more: self.next.is_some(),
                next_page: self.next.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }

    fn costs(&self, buckets: Vec<UsageBucket>, currency: &str) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("costs", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(CostPage {
                object: "page",
                data: buckets
                    .into_iter()
                    .map(|bucket| CostBucket {
                        object: "bucket",
                        start_time: bucket.start,
                        end_time: bucket.end,
                        results: bucket
                            .results
                            .into_iter()
                            .map(|result| Cost::new(result, currency))
                            .collect(),
                    })
                    .collect(),
                has_more: self.next.is_some(),
                next_page: self.next.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }
}

impl From<UsageBucket> for Bucket {
    fn from(bucket: UsageBucket) -> Self {
        Self {
            object: "bucket",
            start_time: bucket.start,
            end_time: bucket.end,
            results: bucket.results.into_iter().map(Usage::from).collect(),
        }
    }
}

impl From<UsageResult> for Usage {
    fn from(result: UsageResult) -> Self {
        let used = result.used;
        Self {
            object: "riad.usage.result",
            input_tokens: used.prompt_tokens.saturating_add(used.embedded_tokens),
            output_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            num_model_requests: used.requests,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            abandoned_tokens: result.abandoned_tokens,
            tenant: result.tenant,
            api_key_id: result.key,
            model: result.model,
            adapter: result.adapter,
            plugin: result.plugin,
            kind: result.kind.map(|kind| kind.as_str()),
        }
    }
}

impl Cost {
    fn new(result: UsageResult, currency: &str) -> Self {
        Self {
            object: "riad.costs.result",
            amount: Money {
                value: whole_units(result.cost_nanos),
                nanos: result.cost_nanos,
                currency: currency.to_owned(),
            },
            tenant: result.tenant,
            api_key_id: result.key,
            model: result.model,
            adapter: result.adapter,
            plugin: result.plugin,
            kind: result.kind.map(|kind| kind.as_str()),
        }
    }
}

impl RollupBody {
    fn new(rollup: Rollup, currency: &str) -> Self {
        let used = rollup.used;
        Self {
            day: rollup.day,
            tenant: rollup.tenant.into(),
            account: rollup.account.number(),
            plan: rollup.plan.into(),
            plan_version: rollup.plan_version,
            requests: used.requests,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            cost_nanos: rollup.cost_nanos,
            currency: currency.to_owned(),
        }
    }
}

/// A line of a CSV file: a bucket and one of its results.
#[derive(Serialize)]
struct Row<'a> {
    start_time: u64,
    end_time: u64,
    tenant: &'a str,
    api_key_id: &'a str,
    model: &'a str,
    adapter: &'a str,
    plugin: &'a str,
    kind: &'a str,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    abandoned_tokens: u64,
    cost_nanos: u64,
}

fn rows(buckets: &[UsageBucket]) -> Vec<Row<'_>> {
    buckets
        .iter()
        .flat_map(|bucket| bucket.results.iter().map(move |result| (bucket, result)))
        .map(|(bucket, result)| {
            let used = result.used;
            Row {
                start_time: bucket.start,
                end_time: bucket.end,
                tenant: result.tenant.as_deref().unwrap_or_default(),
                api_key_id: result.key.as_deref().unwrap_or_default(),
                model: result.model.as_deref().unwrap_or_default(),
                adapter: result.adapter.as_deref().unwrap_or_default(),
                plugin: result.plugin.as_deref().unwrap_or_default(),
                kind: result.kind.map_or("", |kind| kind.as_str()),
                requests: used.requests,
                prompt_tokens: used.prompt_tokens,
                completion_tokens: used.completion_tokens,
                embedded_tokens: used.embedded_tokens,
                fuel: used.fuel,
                stored_byte_hours: used.stored_byte_hours,
                adapter_byte_hours: used.adapter_byte_hours,
                abandoned_tokens: result.abandoned_tokens,
                cost_nanos: result.cost_nanos,
            }
        })
        .collect()
}

fn whose(tenant: Option<&str>) -> Result<Whose> {
    match tenant {
        Some(id) => {
            let tenant: TenantId = id.parse().map_err(|error: Error| error.with_param("tenant"))?;
            Ok(Whose::Tenant(tenant))
        }
        None => Ok(Whose::All),
    }
}

fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn list<T: FromStr<Err = Error>>(text: Option<&str>, name: &str) -> Result<Vec<T>> {
    words(text)
        .map(|word| word.parse().map_err(|error: Error| error.with_param(name)))
        .collect()
}

/// For people: the exact amount is beside it.
#[expect(clippy::cast_precision_loss, reason = "a picture of the exact number beside it")]
fn whole_units(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
