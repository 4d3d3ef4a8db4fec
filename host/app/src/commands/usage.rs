//! `riad usage`, and the table that `riad ledger usage` shows too.

use super::date;
use crate::{
    cli::UsageQuestion,
    client::Client,
    output::{Output, table},
};
use riad_api_types::usage::{Cost, CostBucket, CostPage, OperatorUsageParams, UsageBucket, UsagePage, UsageResult};
use riad_core::{Error, Result, TenantId, Timestamp};
use serde::Serialize;

const DAY_SECONDS: u64 = 86_400;
/// The most that the server allows.
const PAGE_BUCKETS: u32 = 1440;

pub async fn run(question: &UsageQuestion, client: &Client, out: &Output) -> Result<()> {
    show(question, client, out, "/v1", None).await
}

/// What `--json` prints: every page of both lists.
#[derive(Serialize)]
struct Report {
    object: &'static str,
    usage: Vec<UsageBucket>,
    costs: Vec<CostBucket>,
}

/// Usage and costs of the same time span, side by side. `prefix` is the API's, as in `/v1`; only the operator's API takes a
/// tenant.
pub async fn show(
    question: &UsageQuestion,
    client: &Client,
    out: &Output,
    prefix: &str,
    tenant: Option<TenantId>,
) -> Result<()> {
    let mut report = Report {
        object: "usage",
        usage: Vec::new(),
        costs: Vec::new(),
    };
    let mut params = params(question, tenant);
    loop {
        let page: UsagePage = client.get_with(&format!("{prefix}/usage"), &params).await?.body;
        let costs: CostPage = client.get_with(&format!("{prefix}/costs"), &params).await?.body;
        report.usage.extend(page.data);
        report.costs.extend(costs.data);
        params.page = page.next_page;
        if params.page.is_none() {
            break;
        }
    }
    let json = serde_json::to_value(&report).map_err(Error::internal)?;
    out.show_json(&json, || rows(question, &report));
    Ok(())
}

fn params(question: &UsageQuestion, tenant: Option<TenantId>) -> OperatorUsageParams {
    // The end is exclusive, and the current second belongs to the answer.
    let end = Timestamp::now().as_seconds() + 1;
    OperatorUsageParams {
        start_time: end.saturating_sub(u64::from(question.days) * DAY_SECONDS),
        end_time: Some(end),
        bucket_width: Some(question.bucket.clone()),
        group_by: Some(question.group_by.join(",")),
        limit: Some(PAGE_BUCKETS),
        tenant: tenant.map(String::from),
        ..OperatorUsageParams::default()
    }
}

fn rows(question: &UsageQuestion, report: &Report) -> String {
    let mut headings = vec!["from"];
    headings.extend(question.group_by.iter().map(String::as_str));
    headings.extend(["requests", "input", "cached", "output", "fuel", "cost"]);
    let mut rows = Vec::new();
    for (usage, costs) in report.usage.iter().zip(&report.costs) {
        for (result, cost) in usage.results.iter().zip(&costs.results) {
            let mut row = vec![date(Timestamp::from_seconds(usage.start_time))];
            row.extend(question.group_by.iter().map(|name| group(result, name)));
            row.extend([
                result.num_model_requests.to_string(),
                result.input_tokens.to_string(),
                result.input_cached_tokens.to_string(),
                result.output_tokens.to_string(),
                result.fuel.to_string(),
                amount(cost),
            ]);
            rows.push(row);
        }
    }
    table::render(&headings, &rows)
}

/// The value of a result in a group, as `--by` names it.
fn group(result: &UsageResult, name: &str) -> String {
    let value = match name {
        "tenant" => result.tenant.as_deref(),
        "key" => result.api_key_id.as_deref(),
        "model" => result.model.as_deref(),
        "adapter" => result.adapter.as_deref(),
        "plugin" => result.plugin.as_deref(),
        "kind" => result.kind.as_deref(),
        _ => None,
    };
    value.filter(|value| !value.is_empty()).unwrap_or("-").to_owned()
}

fn amount(cost: &Cost) -> String {
    money(cost.amount.nanos, &cost.amount.currency)
}

/// Nano-units as whole units of the currency, exact.
pub fn money(nanos: u64, currency: &str) -> String {
    const NANOS: u64 = 1_000_000_000;
    let fraction = format!("{:09}", nanos % NANOS);
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.len() < 2 {
        format!("{fraction:0<2}")
    } else {
        fraction.to_owned()
    };
    format!("{}.{fraction} {currency}", nanos / NANOS)
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn money_is_exact_and_has_two_decimals_at_least() {
        assert_eq!(money(0, "usd"), "0.00 usd");
        assert_eq!(money(1_500_000_000, "usd"), "1.50 usd");
        assert_eq!(money(1, "eur"), "0.000000001 eur");
    }
}
