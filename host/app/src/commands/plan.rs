//! `riad plan`.

use super::{date, object};
use crate::{
    cli::PlanCommand,
    client::Client,
    output::{Output, table},
};
use riad_api_types::plans::{Plan, PlanList};
use riad_core::{Result, Timestamp};
use serde_json::Value;

pub async fn run(command: PlanCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        PlanCommand::List => {
            let list = client.get("/operator/v1/plans").await?;
            out.show(&list, |list: &PlanList| rows(&list.data));
        }
        PlanCommand::Set { name, prices } => {
            let body = Value::Object(object(&prices));
            let plan = client.put(&format!("/operator/v1/plans/{name}"), &body).await?;
            out.show(&plan, |plan| rows(std::slice::from_ref(plan)));
        }
    }
    Ok(())
}

fn rows(plans: &[Plan]) -> String {
    let rows: Vec<_> = plans
        .iter()
        .map(|plan| {
            vec![
                plan.name.clone(),
                plan.version.to_string(),
                date(Timestamp::from_seconds(plan.created)),
                plan.currency.clone(),
                prices(plan),
            ]
        })
        .collect();
    table::render(&["plan", "version", "from", "currency", "prices in millionths"], &rows)
}

/// Every price that is not the default, as `riad plan set` takes it: 0, or for cached tokens that of other prompt tokens.
fn prices(plan: &Plan) -> String {
    let prices = super::members(&plan.prices);
    let prices: Vec<_> = prices
        .iter()
        .filter(|(thing, price)| price.as_u64() != Some(0) || thing.as_str() == "cached_tokens")
        .map(|(thing, price)| format!("{thing}={price}"))
        .collect();
    match prices.as_slice() {
        [] => "free".to_owned(),
        prices => prices.join(" "),
    }
}
