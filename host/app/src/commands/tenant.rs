//! `riad tenant`.

use super::date;
use crate::{
    cli::{Change, TenantCommand},
    client::Client,
    output::{Output, clean, data, number, table, text},
};
use riad_core::Result;
use serde_json::{Value, json};

pub async fn run(command: TenantCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        TenantCommand::Create { id, name } => {
            let name = name.unwrap_or_else(|| id.to_string());
            let made = client
                .post("/operator/v1/tenants", &json!({"id": id.as_str(), "name": name}))
                .await?;
            out.show(&made, |made| {
                format!(
                    "Created tenant {}. Its key is shown only this once:\n{}",
                    text(made, "id"),
                    text(made, "key")
                )
            });
        }
        TenantCommand::List => {
            let list = client.get("/operator/v1/tenants").await?;
            out.show(&list, |list| rows(data(list)));
        }
        TenantCommand::Show { id } => {
            let tenant = client.get(&format!("/operator/v1/tenants/{id}")).await?;
            out.show(&tenant, policy);
        }
        TenantCommand::Set { id, changes } => {
            let changed = client
                .patch(&format!("/operator/v1/tenants/{id}"), &Change::patch(&changes))
                .await?;
            out.show(&changed, policy);
        }
        TenantCommand::Delete { id } => {
            let gone = client.delete(&format!("/operator/v1/tenants/{id}")).await?;
            out.show(&gone, |_| format!("Deleted tenant {id} and all data in its room."));
        }
    }
    Ok(())
}

fn rows(tenants: &[Value]) -> String {
    let rows: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            vec![
                text(tenant, "id"),
                text(tenant, "name"),
                text(tenant, "plan"),
                number(tenant, "weight").to_string(),
                date(number(tenant, "created")),
            ]
        })
        .collect();
    table::render(&["id", "name", "plan", "weight", "created"], &rows)
}

/// A tenant with its plan, budget and limits, a line each.
fn policy(tenant: &Value) -> String {
    let mut lines = vec![
        vec!["id".to_owned(), text(tenant, "id")],
        vec!["name".to_owned(), text(tenant, "name")],
        vec!["account".to_owned(), number(tenant, "account").to_string()],
        vec!["created".to_owned(), date(number(tenant, "created"))],
        vec!["plan".to_owned(), text(tenant, "plan")],
        vec!["weight".to_owned(), number(tenant, "weight").to_string()],
    ];
    for part in ["budget", "limits"] {
        for (name, value) in tenant.get(part).and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(vec![format!("{part}.{name}"), clean(&value)]);
        }
    }
    table::render(&["key", "value"], &lines)
}
