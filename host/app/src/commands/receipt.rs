//! `riad receipt`: lists receipts, and checks them without a server.

use super::{date, usage};
use crate::{
    cli::ReceiptCommand,
    client::Client,
    output::{self, Output, table},
};
use riad_api_types::receipts::{self, ReceiptList, ReceiptParams};
use riad_core::{
    Account, Error, ErrorKind, Result, Secret, Timestamp,
    receipt::{Receipt, SignedReceipt},
};
use riad_services::metering::receipts::{PublicKey, follows, verify_receipt};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

/// Bytes that are read of a file with receipts.
const FILE_MAX: u64 = 64 << 20;

pub async fn run(command: ReceiptCommand) -> Result<()> {
    match command {
        ReceiptCommand::List { at, limit, after } => {
            let params = ReceiptParams {
                after: Some(after),
                limit: Some(limit),
            };
            let list = at.client()?.get_with("/v1/receipts", &params).await?;
            Output::new(at.json).show(&list, |list: &ReceiptList| rows(&list.data));
        }
        ReceiptCommand::Keys { url } => {
            // Public: no key is needed, and none is sent.
            let keys = Client::new(&url, Secret::new(String::new()))?
                .get::<Value>("/v1/receipts/keys")
                .await?;
            output::data_line(&keys.json.to_string());
        }
        ReceiptCommand::Verify { file, keys } => {
            let keys: Value = serde_json::from_str(&read(&keys)?)
                .map_err(|error| Error::invalid(format!("{} is not JSON: {error}", keys.display())))?;
            output::line(&check(&read(&file)?, &PublicKey::from_jwks(&keys)?)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    let failed = |error: io::Error| Error::invalid(format!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}

/// Checks every receipt in a text and summarizes them. The first invalid one is an error.
fn check(text: &str, keys: &[PublicKey]) -> Result<String> {
    let found = find(text);
    if found.is_empty() {
        return Err(Error::invalid(
            "this file has no receipt; a receipt is a JWS: three parts separated by dots",
        ));
    }
    let mut accounts: BTreeMap<Account, Vec<SignedReceipt>> = BTreeMap::new();
    for jws in found {
        let receipt = verify(&jws, keys)?;
        accounts
            .entry(receipt.account)
            .or_default()
            .push(SignedReceipt { receipt, jws });
    }
    let mut lines = Vec::new();
    for receipts in accounts.values_mut() {
        receipts.sort_by_key(|signed| signed.receipt.number);
        receipts.dedup();
        lines.push(chain(receipts)?);
    }
    Ok(lines.join("\n"))
}

fn verify(jws: &str, keys: &[PublicKey]) -> Result<Receipt> {
    let mut why = Error::invalid("the key file has no key");
    for key in keys {
        match verify_receipt(jws, key) {
            Ok(receipt) => return Ok(receipt),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Each receipt must name its predecessor, if that is in the file.
fn chain(receipts: &[SignedReceipt]) -> Result<String> {
    let mut gaps = 0;
    for (before, signed) in receipts.iter().zip(receipts.iter().skip(1)) {
        if before.receipt.number.checked_add(1) != Some(signed.receipt.number) {
            gaps += 1;
        } else if !follows(&signed.receipt, before) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "receipt {} does not follow receipt {}: one of them is not from the ledger",
                    signed.receipt.number, before.receipt.number
                ),
            ));
        }
    }
    let (Some(first), Some(last)) = (receipts.first(), receipts.last()) else {
        return Ok(String::new());
    };
    let used = receipts.iter().fold(riad_core::price::Usage::default(), |sum, signed| {
        sum.plus(&signed.receipt.used)
    });
    let nanos = receipts.iter().map(|signed| signed.receipt.cost_nanos).sum();
    let chain = match (receipts.len(), gaps) {
        (1, _) => "the signature is valid".to_owned(),
        (_, 0) => "all signatures are valid and the chain is complete".to_owned(),
        (_, gaps) => format!("all signatures are valid; the chain has {gaps} gaps"),
    };
    Ok(format!(
        "tenant {}: receipts {} to {} ({}): {chain}; {} prompt ({} cached), {} completion and {} embedded tokens, cost {}",
        first.receipt.tenant,
        first.receipt.number,
        last.receipt.number,
        receipts.len(),
        used.prompt_tokens,
        used.cached_tokens,
        used.completion_tokens,
        used.embedded_tokens,
        usage::money(nanos, "in units of the server's currency"),
    ))
}

/// Every JWS in a text, whatever stands around it: JSON, lines, a stream of events.
fn find(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .filter(|word| word.starts_with("eyJ") && word.split('.').filter(|part| !part.is_empty()).count() == 3)
        .map(str::to_owned)
        .collect()
}

fn rows(receipts: &[receipts::SignedReceipt]) -> String {
    let rows: Vec<_> = receipts
        .iter()
        .map(|receipt| {
            vec![
                receipt.number.to_string(),
                date(Timestamp::from_millis(receipt.at_ms)),
                receipt.kind.to_string(),
                receipt.outcome.to_string(),
                receipt.tokens.to_string(),
                receipt.cost_nanos.to_string(),
                receipt.request.clone(),
            ]
        })
        .collect();
    table::render(
        &[
            "number",
            "when",
            "kind",
            "outcome",
            "tokens",
            "cost in nanos",
            "request",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_found_in_json_lines_and_events() {
        let jws = "eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ.c2ln";
        for text in [
            jws.to_owned(),
            format!("{jws}\n{jws}\n"),
            format!("{{\"riad\":{{\"receipt\":{{\"jws\":\"{jws}\"}}}}}}"),
            format!("data: {{\"jws\":\"{jws}\"}}\n\ndata: [DONE]\n"),
        ] {
            assert!(
                find(&text).iter().all(|found| found == jws) && !find(&text).is_empty(),
                "{text}"
            );
        }
        assert!(find("eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ").is_empty());
        assert!(check("nothing", &[]).is_err());
    }
}
