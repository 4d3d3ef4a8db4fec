//! `riad key`.

use super::date;
use crate::{
    cli::{Change, KeyCommand},
    client::Client,
    output::{Output, clean, table},
};
use riad_api_types::keys::{CreatedKey, DeletedKey, Key, KeyList, KeyParams, NewKey, Rotation};
use riad_core::{Result, Timestamp};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

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
            let body = NewKey {
                name,
                role: Some(role.to_string()),
                scopes: (!scopes.is_empty()).then(|| scopes.iter().map(ToString::to_string).collect()),
                budget: (!budget.is_empty()).then(|| Change::patch(&budget)),
                expires: days.map(|days| Timestamp::now().plus(DAY * days).as_seconds()),
            };
            let made = client
                .post(&format!("/operator/v1/tenants/{tenant}/keys"), &body)
                .await?;
            out.show(&made, |made| created(made, tenant.as_str()));
        }
        KeyCommand::List { tenant, prefix } => {
            let path = format!("/operator/v1/tenants/{tenant}/keys");
            let list = client.get_with(&path, &KeyParams { prefix }).await?;
            out.show(&list, |list: &KeyList| rows(&list.data));
        }
        KeyCommand::Rotate {
            tenant,
            key_id,
            overlap,
        } => {
            let made = client
                .post(
                    &format!("/operator/v1/tenants/{tenant}/keys/{key_id}/rotate"),
                    &Rotation {
                        overlap_seconds: Some(u64::from(overlap) * 3600),
                    },
                )
                .await?;
            out.show(&made, |made| created(made, tenant.as_str()));
        }
        KeyCommand::Revoke { tenant, key_id } => {
            let deleted = client
                .delete(&format!("/operator/v1/tenants/{tenant}/keys/{key_id}"))
                .await?;
            out.show(&deleted, |_: &DeletedKey| {
                format!("Key {key_id} of tenant {tenant} has been revoked.")
            });
        }
    }
    Ok(())
}

fn created(made: &CreatedKey, tenant: &str) -> String {
    format!(
        "Created key {} of tenant {tenant}. It is shown only this once:\n{}",
        clean(&made.body.id),
        clean(&made.key)
    )
}

fn rows(keys: &[Key]) -> String {
    let when = |seconds: Option<u64>| match seconds {
        None => "never".to_owned(),
        Some(seconds) => date(Timestamp::from_seconds(seconds)),
    };
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            vec![
                key.id.clone(),
                key.name.clone(),
                format!("{}…", key.prefix),
                key.role.to_string(),
                key.scopes.join(" "),
                when(key.last_used),
                when(key.expires),
            ]
        })
        .collect();
    table::render(&["id", "name", "key", "role", "scopes", "last used", "expires"], &rows)
}
