//! `riad tenant`. Not here: keys (`key`).

use super::date;
use crate::{
    cli::TenantCommand,
    client::Client,
    output::{Output, data, number, table, text},
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
                    "tenant {} is there. Its key, which is shown this once:\n{}",
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
            out.show(&tenant, |tenant| rows(std::slice::from_ref(tenant)));
        }
        TenantCommand::Delete { id } => {
            let gone = client.delete(&format!("/operator/v1/tenants/{id}")).await?;
            out.show(&gone, |_| format!("tenant {id} and its room are gone"));
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
                date(number(tenant, "created")),
            ]
        })
        .collect();
    table::render(&["id", "name", "created"], &rows)
}
