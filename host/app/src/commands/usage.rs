//! `riad usage`, and the table that `riad ledger usage` shows too.

use super::{date, encoded};
use crate::{
    cli::UsageQuestion,
    client::Client,
    output::{Output, data, number, table, text},
};
use riad_core::{Result, Timestamp};
use serde_json::{Value, json};

const DAY_SECONDS: u64 = 86_400;

pub async fn run(question: &UsageQuestion, client: &Client, out: &Output) -> Result<()> {
    show(question, client, out, "/v1", "").await
}

/// Usage and costs of the same time span, side by side. `prefix` is the API's, as in `/v1`.
pub async fn show(question: &UsageQuestion, client: &Client, out: &Output, prefix: &str, more: &str) -> Result<()> {
    let (mut buckets, mut costs) = (Vec::new(), Vec::new());
    let mut path = first(question) + more;
    loop {
        let page = client.get(&format!("{prefix}/usage?{path}")).await?;
        let paid = client.get(&format!("{prefix}/costs?{path}")).await?;
        buckets.extend(data(&page).iter().cloned());
        costs.extend(data(&paid).iter().cloned());
        match page.get("next_page").and_then(Value::as_str) {
            Some(next) => path = format!("{}{more}&page={}", first(question), encoded(next)),
            None => break,
        }
    }
    let both = json!({"object": "usage", "usage": buckets, "costs": costs});
    out.show(&both, |_| rows(question, &buckets, &costs));
    Ok(())
}

fn first(question: &UsageQuestion) -> String {
    let end = Timestamp::now().as_seconds() + 1;
    let start = end.saturating_sub(u64::from(question.days) * DAY_SECONDS);
    format!(
        "start_time={start}&end_time={end}&bucket_width={}&group_by={}&limit=1440",
        encoded(&question.bucket),
        encoded(&question.group_by.join(","))
    )
}

fn rows(question: &UsageQuestion, buckets: &[Value], costs: &[Value]) -> String {
    let mut headings = vec!["from"];
    headings.extend(question.group_by.iter().map(String::as_str));
    headings.extend(["requests", "input", "output", "fuel", "cost"]);
    let results = |bucket: &Value| {
        let results = bucket.get("results").and_then(Value::as_array);
        results.cloned().unwrap_or_default()
    };
    let rows: Vec<_> = buckets
        .iter()
        .zip(costs)
        .flat_map(|(bucket, paid)| {
            let from = date(number(bucket, "start_time"));
            let lines = results(bucket).into_iter().zip(results(paid));
            lines
                .map(move |(used, paid)| (from.clone(), used, paid))
                .collect::<Vec<_>>()
        })
        .map(|(from, used, paid)| {
            let mut row = vec![from];
            row.extend(question.group_by.iter().map(|word| {
                let name = if word == "key" { "api_key_id" } else { word.as_str() };
                Some(text(&used, name))
                    .filter(|text| !text.is_empty())
                    .unwrap_or_else(|| "-".to_owned())
            }));
            row.extend(
                ["num_model_requests", "input_tokens", "output_tokens", "fuel"]
                    .map(|name| number(&used, name).to_string()),
            );
            row.push(cost(&paid));
            row
        })
        .collect();
    table::render(&headings, &rows)
}

fn cost(paid: &Value) -> String {
    let amount = paid.get("amount").cloned().unwrap_or_default();
    money(number(&amount, "nanos"), &text(&amount, "currency"))
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
