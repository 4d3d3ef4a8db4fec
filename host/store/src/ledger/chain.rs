//! An entry against its receipt: a compact JWS (RFC 7515, section 3.1) whose payload repeats the entry and names the receipt
//! before it. Not here: signatures (the caller of `verify`), what rows promise to each other (`verify`).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{Digest, ledger::Entry, receipt::Receipt};

/// What an account's last entry was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChainLink {
    pub(super) number: u64,
    pub(super) receipt: Option<Digest>,
}

impl ChainLink {
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            receipt: Some(Digest::of(entry.receipt.as_bytes())),
        }
    }

    /// Everything that keeps `entry` from being the next one.
    pub(super) fn faults(&self, entry: &Entry) -> Vec<String> {
        let mut faults = Vec::new();
        if entry.number != self.number.saturating_add(1) {
            faults.push(format!("follows on number {}", self.number));
        }
        match read(&entry.receipt) {
            Err(fault) => faults.push(fault),
            Ok(receipt) => {
                if receipt.previous != self.receipt {
                    faults.push(format!(
                        "its receipt follows on {}, and the receipt before it is {}",
                        named(receipt.previous),
                        named(self.receipt)
                    ));
                }
                let differ = receipt.differences(entry);
                if !differ.is_empty() {
                    faults.push(format!("its receipt has another {}", differ.join(", ")));
                }
            }
        }
        faults
    }
}

fn named(receipt: Option<Digest>) -> String {
    receipt.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}

fn read(jws: &str) -> Result<Receipt, String> {
    let mut parts = jws.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("its receipt is no compact JWS: that has three parts".into());
    };
    let payload = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|error| format!("its receipt's payload is not base64url: {error}"))?;
    serde_json::from_slice(&payload).map_err(|error| format!("its receipt's payload is no receipt: {error}"))
}
