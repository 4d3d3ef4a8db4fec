//! `riad ledger`.

use super::{date, usage};
use crate::{
    cli::{LedgerCommand, OperatorAccess},
    client::Response,
    output::{self, Output, clean, table},
};
use riad_api_types::ledger::{EngineTokens, EntryParams, Verification};
use riad_core::{Error, ErrorKind, Result, Timestamp, ledger::Entry};
use riad_services::metering::offline_signature_check;
use riad_store::OfflineLedger;
use std::path::Path;

pub async fn run(command: LedgerCommand, access: &OperatorAccess, out: &Output) -> Result<()> {
    match command {
        LedgerCommand::Verify { data } => {
            let found = match data {
                Some(data) => tokio::task::spawn_blocking(move || verify_offline(&data))
                    .await
                    .map_err(Error::internal)??,
                None => access.client()?.get("/operator/v1/ledger/verify").await?,
            };
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
            let entries = access
                .client()?
                .get_text("/operator/v1/ledger/entries", &params)
                .await?;
            output::data_line(entries.trim_end());
        }
        LedgerCommand::Usage { question, tenant } => {
            usage::show(&question, &access.client()?, out, "/operator/v1", tenant).await?;
        }
    }
    Ok(())
}

/// The same check and the same answer as the server's, for a data folder that no server uses.
fn verify_offline(data: &Path) -> Result<Response<Verification>> {
    let ledger = OfflineLedger::open(data)?;
    let check = match ledger.signing_key()? {
        Some(key) => offline_signature_check(key.reveal())?,
        None => Box::new(|_: &Entry| Some("the data folder has no key to check its receipt with".to_owned())),
    };
    let body = Verification::from(ledger.verify(&check)?);
    Ok(Response {
        json: serde_json::to_value(&body).map_err(Error::internal)?,
        body,
        status: 200,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Limits, ports::EmbeddingSpace};
    use riad_store::Store;

    #[tokio::test]
    async fn a_folder_is_verified_without_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let space = EmbeddingSpace {
            model: "test".into(),
            dimensions: 4,
        };
        let store = Store::open(folder.path(), space, &Limits::default()).unwrap();
        let error = verify_offline(folder.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "a server uses the folder");
        store.close().await.unwrap();
        let found = verify_offline(folder.path()).unwrap();
        assert!(found.body.ok);
        assert_eq!((found.body.entries, found.body.runs.len()), (0, 1));
        assert_eq!(found.json["object"], "ledger.verification");
        let missing = verify_offline(&folder.path().join("missing")).map(|_| ()).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
