//! `riad audit`.

use super::{date, encoded};
use crate::{
    cli::AuditArgs,
    client::Client,
    output::{Output, clean, data, number, table, text},
};
use riad_core::Result;
use serde_json::Value;

pub async fn run(args: &AuditArgs, client: &Client, out: &Output) -> Result<()> {
    let mut path = format!("/operator/v1/audit?limit={}", args.limit);
    let filters = [
        ("tenant", args.tenant.as_ref().map(ToString::to_string)),
        ("actor", args.actor.clone()),
        ("action", args.action.clone()),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            path += &format!("&{name}={}", encoded(&value));
        }
    }
    let list = client.get(&path).await?;
    out.show(&list, |list| {
        let rows: Vec<_> = data(list)
            .iter()
            .map(|entry| {
                let detail = entry.get("detail").filter(|detail| !detail.is_null());
                vec![
                    date(number(entry, "at_ms") / 1000),
                    text(entry, "actor"),
                    text(entry, "address"),
                    text(entry, "tenant"),
                    text(entry, "action"),
                    text(entry, "object"),
                    detail
                        .map(|detail: &Value| clean(&detail.to_string()))
                        .unwrap_or_default(),
                ]
            })
            .collect();
        table::render(&["when", "who", "from", "tenant", "action", "object", "to"], &rows)
    });
    Ok(())
}
