//! `riad key`. Not here: tenants (`tenant`).

use super::date;
use crate::{
    cli::KeyCommand,
    client::Client,
    output::{Output, data, number, table, text},
};
use riad_core::Result;
use serde_json::json;

pub async fn run(command: KeyCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        KeyCommand::Create { tenant, name } => {
            let made = client
                .post(&format!("/operator/v1/tenants/{tenant}/keys"), &json!({"name": name}))
                .await?;
            out.show(&made, |made| {
                format!(
                    "key {} of tenant {tenant}, which is shown this once:\n{}",
                    text(made, "id"),
                    text(made, "key")
                )
            });
        }
        KeyCommand::List { tenant } => {
            let list = client.get(&format!("/operator/v1/tenants/{tenant}/keys")).await?;
            out.show(&list, |list| {
                let rows: Vec<_> = data(list)
                    .iter()
                    .map(|key| {
                        vec![
                            text(key, "id"),
                            text(key, "name"),
                            text(key, "prefix") + "…",
                            date(number(key, "created")),
                        ]
                    })
                    .collect();
                table::render(&["id", "name", "key", "created"], &rows)
            });
        }
        KeyCommand::Revoke { tenant, key_id } => {
            let gone = client
                .delete(&format!("/operator/v1/tenants/{tenant}/keys/{key_id}"))
                .await?;
            out.show(&gone, |_| {
                format!("key {key_id} of tenant {tenant} opens nothing any more")
            });
        }
    }
    Ok(())
}
