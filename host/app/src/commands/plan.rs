//! `riad plan`.

use super::{date, object};
use crate::{
    cli::PlanCommand,
    client::Client,
    output::{Output, data, number, table, text},
};
use riad_core::Result;
use serde_json::Value;

pub async fn run(command: PlanCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        PlanCommand::List => {
            let list = client.get("/operator/v1/plans").await?;
            out.show(&list, |list| rows(data(list)));
        }
        PlanCommand::Set { name, prices } => {
            let body = Value::Object(object(&prices));
            let plan = client.put(&format!("/operator/v1/plans/{name}"), &body).await?;
            out.show(&plan, |plan| rows(std::slice::from_ref(plan)));
        }
    }
    Ok(())
}

fn rows(plans: &[Value]) -> String {
    let rows: Vec<_> = plans
        .iter()
        .map(|plan| {
            let prices = plan.get("prices").and_then(Value::as_object).into_iter().flatten();
            let prices: Vec<_> = prices
                .filter(|(_, price)| price.as_u64() != Some(0))
                .map(|(thing, price)| format!("{thing}={price}"))
                .collect();
            vec![
                text(plan, "name"),
                number(plan, "version").to_string(),
                date(number(plan, "created")),
                text(plan, "currency"),
                if prices.is_empty() {
                    "free".to_owned()
                } else {
                    prices.join(" ")
                },
            ]
        })
        .collect();
    table::render(&["plan", "version", "from", "currency", "prices in millionths"], &rows)
}
