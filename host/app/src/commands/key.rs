//! `riad key`.

use super::{date, encoded};
use crate::{
    cli::{Change, KeyCommand},
    client::Client,
    output::{Output, data, number, table, text},
};
use riad_core::{Result, Timestamp};
use serde_json::{Value, json};

const DAY_SECONDS: u64 = 86_400;

pub async fn run(command: KeyCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        KeyCommand::Create {
            tenant,
            name,
            role,
            scopes,
            days,
            budget,
        } => {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            let body = json!({
                "name": name,
                "role": role.as_str(),
                "scopes": (!scopes.is_empty()).then_some(scopes),
                "budget": Change::patch(&budget),
                "expires": days.map(|days| Timestamp::now().as_seconds() + u64::from(days) * DAY_SECONDS),
            });
            let made = client
                .post(&format!("/operator/v1/tenants/{tenant}/keys"), &body)
                .await?;
            out.show(&made, |made| created(made, tenant.as_str()));
        }
        KeyCommand::List { tenant, prefix } => {
            let mut path = format!("/operator/v1/tenants/{tenant}/keys");
            if let Some(prefix) = prefix {
                path += &format!("?prefix={}", encoded(&prefix));
            }
            let list = client.get(&path).await?;
            out.show(&list, |list| rows(data(list)));
        }
        KeyCommand::Rotate {
            tenant,
            key_id,
            overlap,
        } => {
            let made = client
                .post(
                    &format!("/operator/v1/tenants/{tenant}/keys/{key_id}/rotate"),
                    &json!({"overlap_seconds": u64::from(overlap) * 3600}),
                )
                .await?;
            out.show(&made, |made| created(made, tenant.as_str()));
        }
        KeyCommand::Revoke { tenant, key_id } => {
            let gone = client
                .delete(&format!("/operator/v1/tenants/{tenant}/keys/{key_id}"))
                .await?;
            out.show(&gone, |_| format!("Key {key_id} of tenant {tenant} has been revoked."));
        }
    }
    Ok(())
}

fn created(made: &Value, tenant: &str) -> String {
    format!(
        "Created key {} of tenant {tenant}. It is shown only this once:\n{}",
        text(made, "id"),
        text(made, "key")
    )
}

fn rows(keys: &[Value]) -> String {
    let when = |key: &Value, name: &str| match number(key, name) {
        0 => "never".to_owned(),
        seconds => date(seconds),
    };
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let scopes = key.get("scopes").and_then(Value::as_array).into_iter().flatten();
            let scopes: Vec<_> = scopes.filter_map(Value::as_str).collect();
            vec![
                text(key, "id"),
                text(key, "name"),
                text(key, "prefix") + "…",
                text(key, "role"),
                scopes.join(" "),
                when(key, "last_used"),
                when(key, "expires"),
            ]
        })
        .collect();
    table::render(&["id", "name", "key", "role", "scopes", "last used", "expires"], &rows)
}
