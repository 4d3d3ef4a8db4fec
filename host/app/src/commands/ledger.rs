//! `riad ledger`.

use super::{date, encoded, usage};
use crate::{
    cli::LedgerCommand,
    client::Client,
    output::{self, Output, clean, number, table},
};
use riad_core::{Error, ErrorKind, Result};
use serde_json::Value;

pub async fn run(command: LedgerCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        LedgerCommand::Verify => {
            let found = client.get("/operator/v1/ledger/verify").await?;
            out.show(&found, report);
            if found.get("ok").and_then(Value::as_bool) != Some(true) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the ledger has faults, listed above; restore control.db from a backup, or compare it with exported entries",
                ));
            }
        }
        LedgerCommand::Export {
            format,
            tenant,
            after,
            limit,
        } => {
            let mut path = format!(
                "/operator/v1/ledger/entries?after={after}&limit={limit}&format={}",
                encoded(&format)
            );
            if let Some(tenant) = tenant {
                path += &format!("&tenant={tenant}");
            }
            output::data_line(client.get_text(&path).await?.trim_end());
        }
        LedgerCommand::Usage { question, tenant } => {
            let more = tenant.map(|tenant| format!("&tenant={tenant}")).unwrap_or_default();
            usage::show(&question, client, out, "/operator/v1", &more).await?;
        }
    }
    Ok(())
}

fn report(found: &Value) -> String {
    let list = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let tokens = |counted: Option<&Value>| match counted {
        Some(counted) if counted.is_object() => format!(
            "{} + {} + {}",
            number(counted, "prompt"),
            number(counted, "completion"),
            number(counted, "embedded")
        ),
        Some(_) | None => "-".to_owned(),
    };
    let runs: Vec<_> = list("runs")
        .iter()
        .map(|run| {
            vec![
                number(run, "number").to_string(),
                date(number(run, "began_ms") / 1000),
                tokens(run.get("engine")),
                tokens(run.get("ledger")),
                number(run, "abandoned").to_string(),
                number(run, "abandoned_tokens").to_string(),
            ]
        })
        .collect();
    let mut text = format!(
        "{} entries of {} accounts\n\nRuns of the server; tokens are prompt + completion + embedded:\n{}",
        number(found, "entries"),
        number(found, "accounts"),
        table::render(
            &["run", "began", "engine counted", "ledger has", "abandoned", "at most"],
            &runs
        )
    );
    let faults = list("faults");
    if faults.is_empty() {
        text += "\nNo fault found.";
    }
    for fault in faults {
        text += &format!("\nWRONG: {}", clean(fault.as_str().unwrap_or_default()));
    }
    text
}
