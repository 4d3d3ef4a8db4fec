//! `riad audit`.

use super::date;
use crate::{
    cli::AuditArgs,
    client::Client,
    output::{Output, table},
};
use riad_api_types::audit::{AuditList, OperatorAuditParams};
use riad_core::{Result, Timestamp};

pub async fn run(args: &AuditArgs, client: &Client, out: &Output) -> Result<()> {
    let params = OperatorAuditParams {
        limit: Some(args.limit),
        before: None,
        actor: args.actor.clone(),
        action: args.action.clone(),
        tenant: args.tenant.as_ref().map(ToString::to_string),
    };
    let list = client.get_with("/operator/v1/audit", &params).await?;
    out.show(&list, |list: &AuditList| {
        let rows: Vec<_> = list
            .data
            .iter()
            .map(|entry| {
                vec![
                    date(Timestamp::from_millis(entry.at_ms)),
                    entry.actor.clone(),
                    entry.address.clone().unwrap_or_default(),
                    entry.tenant.clone().unwrap_or_default(),
                    entry.action.clone(),
                    entry.object.clone(),
                    entry.detail.as_ref().map(ToString::to_string).unwrap_or_default(),
                ]
            })
            .collect();
        table::render(&["when", "who", "from", "tenant", "action", "object", "to"], &rows)
    });
    Ok(())
}
