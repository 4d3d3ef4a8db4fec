//! The check of the whole ledger. Rows are streamed: its memory is bounded by the number of accounts, plans and runs.
//! Not here: an entry against its receipt (`chain`), rollups (`recount`).

use super::{
    chain::ChainLink,
    recount,
    rows::{self, EntryHash, stored, unsigned},
};
use crate::error::StoreResult;
use riad_core::{
    ledger::{EngineTokens, Entry, EntryCheck, Run, Verification},
    price::PriceList,
};
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, HashMap};

/// Faults that are listed; the others are only counted.
const LISTED_MAX: usize = 1000;
/// Rows that are read in one go, so that no reader keeps the write-ahead log from being emptied.
const PAGE: u32 = 1000;

#[derive(Default)]
struct Faults {
    listed: Vec<String>,
    more: u64,
}

impl Faults {
    fn add(&mut self, fault: String) {
        if self.listed.len() < LISTED_MAX {
            self.listed.push(fault);
        } else {
            self.more += 1;
        }
    }

    fn all(mut self) -> Vec<String> {
        if self.more > 0 {
            self.listed.push(format!("and {} more faults", self.more));
        }
        self.listed
    }
}

/// The tables beside the entries, which do not grow with the ledger, as they are when the check begins.
struct LedgerSnapshot {
    /// The last position that is checked.
    horizon: i64,
    accounts: HashMap<i64, String>,
    prices: HashMap<(String, u32), PriceList>,
    runs: BTreeMap<i64, RunRow>,
}

struct RunRow {
    run: Run,
    /// Recounted from the entries.
    abandoned: u64,
    abandoned_tokens: u64,
}

/// `current` is the run of this process.
pub(super) fn verify(connection: &Connection, current: i64, check: &EntryCheck) -> StoreResult<Verification> {
    let mut faults = Faults::default();
    let mut snapshot = {
        let transaction = connection.unchecked_transaction()?;
        let snapshot = LedgerSnapshot::read(&transaction, &mut faults)?;
        recount::compare_rollups(&transaction, |fault| faults.add(fault))?;
        snapshot
    };
    let mut scan = EntryScan {
        hash: EntryHash::default(),
        position: 0,
        links: HashMap::new(),
        entries: 0,
    };
    while scan.page(connection, &mut snapshot, check, &mut faults)? {}
    if scan.position < snapshot.horizon {
        faults.add(format!(
            "the entries from position {} to {} are gone",
            scan.position + 1,
            snapshot.horizon
        ));
    }
    let open_holds = check_holds(connection, current, &snapshot, &mut faults)?;
    let mut runs = Vec::new();
    for (number, row) in snapshot.runs {
        check_run(&row, &mut faults);
        let mut run = row.run;
        if let Some((count, tokens)) = open_holds.get(&number) {
            run.abandoned = run.abandoned.saturating_add(*count);
            run.abandoned_tokens = run.abandoned_tokens.saturating_add(*tokens);
        }
        runs.push(run);
    }
    Ok(Verification {
        accounts: scan.links.len() as u64,
        entries: scan.entries,
        runs,
        faults: faults.all(),
    })
}

impl LedgerSnapshot {
    fn read(connection: &Connection, faults: &mut Faults) -> StoreResult<Self> {
        // The highest position that was ever given: it tells when the last rows are gone.
        let horizon = connection.query_row(
            "SELECT max(ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'ledger'), 0),
                ifnull((SELECT max(position) FROM ledger), 0))",
            [],
            |row| row.get(0),
        )?;
        let mut accounts = HashMap::new();
        let mut statement = connection.prepare("SELECT account, tenant FROM accounts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            accounts.insert(row.get(0)?, row.get(1)?);
        }
        let mut prices = HashMap::new();
        let mut statement = connection.prepare("SELECT name, version, prices FROM plans")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, version): (String, u32) = (row.get(0)?, row.get(1)?);
            match serde_json::from_str(&row.get::<_, String>(2)?) {
                Ok(list) => {
                    prices.insert((name, version), list);
                }
                Err(error) => faults.add(format!(
                    "plan {name}, version {version}: its prices cannot be read: {error}"
                )),
            }
        }
        let mut runs = BTreeMap::new();
        let mut statement =
            connection.prepare("SELECT number, began_ms, engine, abandoned, abandoned_tokens FROM runs")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            runs.insert(row.get(0)?, RunRow::read(row)?);
        }
        Ok(Self {
            horizon,
            accounts,
            prices,
            runs,
        })
    }

    /// What an entry says that other tables know.
    fn check(&self, entry: &Entry) -> Vec<String> {
        let mut faults = Vec::new();
        match self.accounts.get(&stored(entry.account.number())) {
            None => faults.push("there is no such account".to_owned()),
            Some(tenant) if tenant != entry.tenant.as_str() => {
                faults.push(format!("its tenant is {}, and the account's is {tenant}", entry.tenant));
            }
            Some(_) => {}
        }
        match self.prices.get(&(entry.plan.as_str().to_owned(), entry.plan_version)) {
            None => faults.push(format!(
                "its plan {} has no version {}, so that its cost cannot be checked",
                entry.plan, entry.plan_version
            )),
            Some(prices) => {
                let cost = stored(prices.nanos(&entry.used));
                if cost != stored(entry.cost_nanos) {
                    faults.push(format!(
                        "it costs {} nano-units, and {cost} by version {} of plan {}",
                        entry.cost_nanos, entry.plan_version, entry.plan
                    ));
                }
            }
        }
        faults
    }
}

impl RunRow {
    fn read(row: &Row<'_>) -> StoreResult<Self> {
        let engine: Option<String> = row.get(2)?;
        Ok(Self {
            run: Run {
                number: unsigned(row.get(0)?)?,
                began_ms: unsigned(row.get(1)?)?,
                engine: engine.map(|json| serde_json::from_str(&json)).transpose()?,
                ledger: EngineTokens::default(),
                abandoned: unsigned(row.get(3)?)?,
                abandoned_tokens: unsigned(row.get(4)?)?,
            },
            abandoned: 0,
            abandoned_tokens: 0,
        })
    }

    fn count(&mut self, entry: &Entry, abandoned_tokens: i64) {
        let sums = &mut self.run.ledger;
        sums.prompt = sums.prompt.saturating_add(entry.used.prompt_tokens);
        sums.cached = sums.cached.saturating_add(entry.used.cached_tokens);
        sums.completion = sums.completion.saturating_add(entry.used.completion_tokens);
        sums.embedded = sums.embedded.saturating_add(entry.used.embedded_tokens);
        if entry.outcome == riad_core::ledger::Outcome::Abandoned {
            self.abandoned += 1;
            self.abandoned_tokens = self.abandoned_tokens.saturating_add(abandoned_tokens.unsigned_abs());
        }
    }
}

/// Reads all rows in the order in which they were written.
struct EntryScan {
    hash: EntryHash,
    position: i64,
    /// The last entry of each account.
    links: HashMap<u64, ChainLink>,
    entries: u64,
}

impl EntryScan {
    /// False at the end.
    fn page(
        &mut self,
        connection: &Connection,
        snapshot: &mut LedgerSnapshot,
        check: &EntryCheck,
        faults: &mut Faults,
    ) -> StoreResult<bool> {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT position, {}, seal FROM ledger WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT {PAGE}",
            rows::COLUMNS
        ))?;
        let mut rows = statement.query([self.position, snapshot.horizon])?;
        let before = self.entries;
        while let Some(row) = rows.next()? {
            self.row(row, snapshot, check, faults)?;
        }
        Ok(self.entries > before)
    }

    fn row(
        &mut self,
        row: &Row<'_>,
        snapshot: &mut LedgerSnapshot,
        check: &EntryCheck,
        faults: &mut Faults,
    ) -> StoreResult<()> {
        let position: i64 = row.get(0)?;
        if position != self.position + 1 {
            faults.add(format!(
                "the entries from position {} to {} are gone",
                self.position + 1,
                position - 1
            ));
        }
        self.position = position;
        self.entries += 1;
        let seal: Vec<u8> = row.get(1 + rows::COLUMN_COUNT)?;
        let is_unchanged = rows::hash_row(&self.hash, row, 1)?.is_some_and(|hash| *seal == hash);
        // A row that is damaged does not make all that follow it look damaged.
        self.hash = EntryHash::try_from(seal).unwrap_or_default();
        let entry = match rows::entry(row, 1) {
            Ok(entry) => entry,
            Err(failure) => {
                faults.add(format!("position {position}: the entry cannot be read: {failure}"));
                return Ok(());
            }
        };
        let mut wrong = Vec::new();
        if !is_unchanged {
            wrong.push("it has been changed since it was written, or the one before it has".to_owned());
        }
        let link = self.links.entry(entry.account.number()).or_default();
        wrong.extend(link.faults(&entry));
        *link = ChainLink::of(&entry);
        wrong.extend(check(&entry));
        wrong.extend(snapshot.check(&entry));
        let abandoned: i64 = row.get(1 + rows::ABANDONED_TOKENS)?;
        if abandoned != rows::abandoned_tokens(&entry) {
            wrong.push(format!("it has {abandoned} abandoned tokens, not what was held"));
        }
        let run: i64 = row.get(1 + rows::RUN)?;
        match snapshot.runs.get_mut(&run) {
            Some(row) => row.count(&entry, abandoned),
            None => wrong.push(format!("there is no run {run}")),
        }
        for fault in wrong {
            faults.add(format!(
                "account {}, number {} (position {position}): {fault}",
                entry.account, entry.number
            ));
        }
        Ok(())
    }
}

/// Holds of dead runs: their number and tokens by run.
fn check_holds(
    connection: &Connection,
    current: i64,
    snapshot: &LedgerSnapshot,
    faults: &mut Faults,
) -> StoreResult<HashMap<i64, (u64, u64)>> {
    let mut open: HashMap<i64, (u64, u64)> = HashMap::new();
    for (run, hold) in rows::holds(connection)? {
        if !snapshot.accounts.contains_key(&stored(hold.account.number())) {
            faults.add(format!(
                "request {}: its hold is of account {}, which is not there",
                hold.request, hold.account
            ));
        }
        if run != current {
            let (count, tokens) = open.entry(run).or_default();
            *count += 1;
            *tokens = tokens.saturating_add(hold.at_most.tokens());
            faults.add(format!(
                "request {}: run {run} held {} tokens for account {} and ended without settling it",
                hold.request,
                hold.at_most.tokens(),
                hold.account
            ));
        }
    }
    Ok(open)
}

fn check_run(row: &RunRow, faults: &mut Faults) {
    let run = &row.run;
    if let Some(engine) = run.engine
        && engine != run.ledger
    {
        let entries = run.ledger;
        faults.add(format!(
            "run {}: the engine counted {} prompt, {} cached, {} completion and {} embedded tokens, and its entries have {}, {}, {} and {}",
            run.number,
            engine.prompt,
            engine.cached,
            engine.completion,
            engine.embedded,
            entries.prompt,
            entries.cached,
            entries.completion,
            entries.embedded
        ));
    }
    if (run.abandoned, run.abandoned_tokens) != (row.abandoned, row.abandoned_tokens) {
        faults.add(format!(
            "run {}: it is said to have abandoned {} requests with {} tokens, and its entries have {} with {}",
            run.number, run.abandoned, run.abandoned_tokens, row.abandoned, row.abandoned_tokens
        ));
    }
}
