//! `riad tenant`.

use super::date;
use crate::{
    cli::{Change, TenantCommand},
    client::Client,
    output::{Output, clean, table},
};
use riad_api_types::tenants::{CreatedTenant, DeletedTenant, NewTenant, PolicyPatch, Tenant, TenantList};
use riad_core::{Result, Timestamp};

pub async fn run(command: TenantCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        TenantCommand::Create { id, name } => {
            let tenant = NewTenant {
                name: name.unwrap_or_else(|| id.to_string()),
                id,
                policy: PolicyPatch::default(),
            };
            let made = client.post("/operator/v1/tenants", &tenant).await?;
            out.show(&made, |made: &CreatedTenant| {
                format!(
                    "Created tenant {}. Its key is shown only this once:\n{}",
                    clean(&made.tenant.id),
                    clean(&made.key)
                )
            });
        }
        TenantCommand::List => {
            let list = client.get("/operator/v1/tenants").await?;
            out.show(&list, |list: &TenantList| rows(&list.data));
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
            let deleted = client.delete(&format!("/operator/v1/tenants/{id}")).await?;
            out.show(&deleted, |_: &DeletedTenant| {
                format!("Deleted tenant {id} and all data in its room.")
            });
        }
    }
    Ok(())
}

fn rows(tenants: &[Tenant]) -> String {
    let rows: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            vec![
                tenant.id.clone(),
                tenant.name.clone(),
                tenant.plan.clone(),
                tenant.weight.to_string(),
                date(Timestamp::from_seconds(tenant.created)),
            ]
        })
        .collect();
    table::render(&["id", "name", "plan", "weight", "created"], &rows)
}

/// A tenant with its plan, budget and limits, a line each.
fn policy(tenant: &Tenant) -> String {
    let mut lines = vec![
        vec!["id".to_owned(), tenant.id.clone()],
        vec!["name".to_owned(), tenant.name.clone()],
        vec!["account".to_owned(), tenant.account.to_string()],
        vec!["created".to_owned(), date(Timestamp::from_seconds(tenant.created))],
        vec!["plan".to_owned(), tenant.plan.clone()],
        vec!["weight".to_owned(), tenant.weight.to_string()],
        vec!["prefix_cache".to_owned(), tenant.prefix_cache.to_string()],
    ];
    for (part, members) in [
        ("budget", super::members(&tenant.budget)),
        ("limits", super::members(&tenant.limits)),
        ("plugins", super::members(&tenant.plugins)),
    ] {
        for (name, value) in members {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(vec![format!("{part}.{name}"), value]);
        }
    }
    table::render(&["key", "value"], &lines)
}
