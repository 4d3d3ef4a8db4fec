//! `riad ledger`.

use super::{date, usage};
use crate::{
    cli::LedgerCommand,
    client::Client,
    output::{self, Output, clean, table},
};
use riad_api_types::ledger::{EngineTokens, EntryParams, Verification};
use riad_core::{Error, ErrorKind, Result, Timestamp};

pub async fn run(command: LedgerCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        LedgerCommand::Verify => {
            let found = client.get("/operator/v1/ledger/verify").await?;
            out.show(&found, report);
            if !found.body.ok {
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
            let params = EntryParams {
                after: Some(after),
                limit: Some(limit),
                tenant: tenant.map(String::from),
                format: Some(format),
            };
            let entries = client.get_text("/operator/v1/ledger/entries", &params).await?;
            output::data_line(entries.trim_end());
        }
        LedgerCommand::Usage { question, tenant } => {
            usage::show(&question, client, out, "/operator/v1", tenant).await?;
        }
    }
    Ok(())
}

fn report(found: &Verification) -> String {
    let tokens = |counted: &EngineTokens| format!("{} + {} + {}", counted.prompt, counted.completion, counted.embedded);
    let runs: Vec<_> = found
        .runs
        .iter()
        .map(|run| {
            vec![
                run.number.to_string(),
                date(Timestamp::from_millis(run.began_ms)),
                run.engine.as_ref().map_or_else(|| "-".to_owned(), tokens),
                tokens(&run.ledger),
                run.abandoned.to_string(),
                run.abandoned_tokens.to_string(),
            ]
        })
        .collect();
    let mut text = format!(
        "{} entries of {} accounts\n\nRuns of the server; tokens are prompt + completion + embedded:\n{}",
        found.entries,
        found.accounts,
        table::render(
            &["run", "began", "engine counted", "ledger has", "abandoned", "at most"],
            &runs
        )
    );
    if found.faults.is_empty() {
        text += "\nNo fault found.";
    }
    for fault in &found.faults {
        text += &format!("\nWRONG: {}", clean(fault));
    }
    text
}
