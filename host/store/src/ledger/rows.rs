//! Entries, holds and rollups as rows: how they are written, read and hashed.

use crate::error::{Failure, StoreResult};
use riad_core::{
    Account, KeyId,
    ledger::{Entry, Hold, Outcome, Purpose},
    price::Usage,
};
use rusqlite::{
    Connection, OptionalExtension, Row, params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};

/// BLAKE3 over the hash of the row before and over the columns of a row that its encoding has. It finds damage in what no receipt
/// covers; whoever can sign receipts can also compute it. The column is named `seal`.
pub(super) type EntryHash = [u8; 32];

/// What new rows are written with. Each encoding covers the first columns of [`COLUMNS`]: see [`hashed_columns`].
const ENCODING: i64 = 2;

pub(super) const DAY_MS: i64 = 86_400_000;

/// What an entry's row has beside its position and its hash, in the order of [`values`] and [`entry`]. New ones are appended.
pub(super) const COLUMNS: &str = "account, number, tenant, key, request, at_ms, kind, model, adapter, plugin, outcome, \
    requests, prompt_tokens, completion_tokens, embedded_tokens, fuel, stored_byte_hours, adapter_byte_hours, plan, \
    plan_version, cost_nanos, receipt, at_most, abandoned_tokens, run, encoding, cached_tokens";
pub(super) const COLUMN_COUNT: usize = 27;
pub(super) const ABANDONED_TOKENS: usize = 23;
pub(super) const RUN: usize = 24;
const ENCODING_COLUMN: usize = 25;
const CACHED_TOKENS: usize = 26;

/// SQLite's integers are signed: a larger amount is stored as the greatest integer instead of wrapping.
pub(super) fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> StoreResult<u64> {
    u64::try_from(value).map_err(|_| Failure::Data(format!("{value} is negative")))
}

/// Writes a hold, which replaces an earlier hold of the same request.
pub(super) fn put_hold(connection: &Connection, run: i64, hold: &Hold) -> StoreResult<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO holds
                (request, account, tenant, key, at_ms, kind, model, adapter, plugin, plan, plan_version, at_most, run)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            &hold.request,
            stored(hold.account.number()),
            hold.tenant.as_str(),
            key_text(hold.key.as_ref()),
            stored(hold.at_ms),
            hold.purpose.kind.as_str(),
            &hold.purpose.model,
            adapter_text(&hold.purpose),
            &hold.purpose.plugin,
            hold.plan.as_str(),
            hold.plan_version,
            serde_json::to_string(&hold.at_most)?,
            run,
        ))?;
    Ok(())
}

/// All holds with the runs that made them, oldest first.
pub(super) fn holds(connection: &Connection) -> StoreResult<Vec<(i64, Hold)>> {
    let mut statement = connection.prepare(
        "SELECT request, account, tenant, key, at_ms, kind, model, adapter, plugin, plan, plan_version, at_most, run
         FROM holds ORDER BY at_ms, request",
    )?;
    let mut rows = statement.query([])?;
    let mut holds = Vec::new();
    while let Some(row) = rows.next()? {
        let hold = Hold {
            request: row.get(0)?,
            account: Account::new(unsigned(row.get(1)?)?),
            tenant: row.get::<_, String>(2)?.parse()?,
            key: key(row, 3)?,
            at_ms: unsigned(row.get(4)?)?,
            purpose: purpose(row, 5)?,
            plan: row.get::<_, String>(9)?.parse()?,
            plan_version: row.get(10)?,
            at_most: serde_json::from_str(&row.get::<_, String>(11)?)?,
        };
        holds.push((row.get(12)?, hold));
    }
    Ok(holds)
}

pub(super) fn has_entry(connection: &Connection, entry: &Entry) -> StoreResult<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM ledger WHERE account = ?1 AND number = ?2 AND receipt = ?3")?
        .exists((stored(entry.account.number()), stored(entry.number), &entry.receipt))?;
    Ok(found)
}

/// Writes an entry after the row with the hash `before`, ends its hold, and adds it to its day. Returns the row's hash.
pub(super) fn put_entry(
    connection: &Connection,
    run: i64,
    before: &EntryHash,
    entry: &Entry,
) -> StoreResult<EntryHash> {
    let abandoned = abandoned_tokens(entry);
    let run = end_hold(connection, run, entry, abandoned)?;
    let at_most = entry.at_most.as_ref().map(serde_json::to_string).transpose()?;
    let values = values(entry, at_most.as_deref(), abandoned, run);
    let hash = hash_values(before, values);
    let bound = values
        .into_iter()
        .chain([ValueRef::Blob(&hash)])
        .map(ToSqlOutput::Borrowed);
    connection
        .prepare_cached(&format!(
            "INSERT INTO ledger ({COLUMNS}, seal)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ))?
        .execute(params_from_iter(bound))?;
    add_to_rollup(connection, entry, abandoned)?;
    Ok(hash)
}

/// The hash of a row whose columns from `first` on are [`COLUMNS`], by the encoding that it was written with; `None` if there is no
/// such encoding.
pub(super) fn hash_row(before: &EntryHash, row: &Row<'_>, first: usize) -> StoreResult<Option<EntryHash>> {
    let Some(count) = hashed_columns(row.get(first + ENCODING_COLUMN)?) else {
        return Ok(None);
    };
    let columns = (first..first + count)
        .map(|column| row.get_ref(column))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(hash_values(before, columns)))
}

/// How many columns an encoding covers. Those before [`ENCODING`] do not cover their own number: a row that pretends to be older
/// than it is has another hash, because it covers less.
fn hashed_columns(encoding: i64) -> Option<usize> {
    match encoding {
        1 => Some(ENCODING_COLUMN),
        ENCODING => Some(COLUMN_COUNT),
        _ => None,
    }
}

/// Texts carry their lengths, so that nothing can move from one to the next.
fn hash_values<'a>(before: &EntryHash, values: impl IntoIterator<Item = ValueRef<'a>>) -> EntryHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    for value in values {
        match value {
            ValueRef::Null => hasher.update(b"-"),
            ValueRef::Integer(number) => hasher.update(b"i").update(&number.to_le_bytes()),
            ValueRef::Real(number) => hasher.update(b"r").update(&number.to_le_bytes()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => hasher
                .update(b"t")
                .update(&(bytes.len() as u64).to_le_bytes())
                .update(bytes),
        };
    }
    hasher.finalize().into()
}

/// Reads an entry from a row whose columns from `first` on are [`COLUMNS`].
pub(super) fn entry(row: &Row<'_>, first: usize) -> StoreResult<Entry> {
    let number = |at: usize| -> StoreResult<u64> { unsigned(row.get(first + at)?) };
    let text = |at: usize| row.get::<_, String>(first + at);
    Ok(Entry {
        account: Account::new(number(0)?),
        number: number(1)?,
        tenant: text(2)?.parse()?,
        key: key(row, first + 3)?,
        request: text(4)?,
        at_ms: number(5)?,
        purpose: purpose(row, first + 6)?,
        outcome: text(10)?.parse()?,
        used: used(row, first + 11, first + CACHED_TOKENS)?,
        plan: text(18)?.parse()?,
        plan_version: row.get(first + 19)?,
        cost_nanos: number(20)?,
        receipt: text(21)?,
        at_most: row
            .get::<_, Option<String>>(first + 22)?
            .map(|json| serde_json::from_str(&json))
            .transpose()?,
    })
}

/// Seven columns from `first` on in the order of [`amounts`], and the one with the cached tokens.
pub(super) fn used(row: &Row<'_>, first: usize, cached_tokens: usize) -> StoreResult<Usage> {
    let number = |at: usize| -> StoreResult<u64> { unsigned(row.get(first + at)?) };
    Ok(Usage {
        requests: number(0)?,
        prompt_tokens: number(1)?,
        cached_tokens: unsigned(row.get(cached_tokens)?)?,
        completion_tokens: number(2)?,
        embedded_tokens: number(3)?,
        fuel: number(4)?,
        stored_byte_hours: number(5)?,
        adapter_byte_hours: number(6)?,
    })
}

/// What a request that nobody settled may have spent.
pub(super) fn abandoned_tokens(entry: &Entry) -> i64 {
    match &entry.at_most {
        Some(at_most) if entry.outcome == Outcome::Abandoned => stored(at_most.tokens()),
        Some(_) | None => 0,
    }
}

/// [`Usage`]'s members as they are stored.
fn amounts(used: &Usage) -> [i64; 8] {
    let Usage {
        requests,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        embedded_tokens,
        fuel,
        stored_byte_hours,
        adapter_byte_hours,
    } = *used;
    [
        requests,
        prompt_tokens,
        completion_tokens,
        embedded_tokens,
        fuel,
        stored_byte_hours,
        adapter_byte_hours,
        cached_tokens,
    ]
    .map(stored)
}

fn values<'a>(entry: &'a Entry, at_most: Option<&'a str>, abandoned: i64, run: i64) -> [ValueRef<'a>; COLUMN_COUNT] {
    let integer = |value: u64| ValueRef::Integer(stored(value));
    let [requests, prompt, completion, embedded, fuel, bytes, adapters, cached] =
        amounts(&entry.used).map(ValueRef::Integer);
    [
        integer(entry.account.number()),
        integer(entry.number),
        entry.tenant.as_str().into(),
        key_text(entry.key.as_ref()).into(),
        entry.request.as_str().into(),
        integer(entry.at_ms),
        entry.purpose.kind.as_str().into(),
        entry.purpose.model.as_str().into(),
        adapter_text(&entry.purpose).into(),
        entry.purpose.plugin.as_str().into(),
        entry.outcome.as_str().into(),
        requests,
        prompt,
        completion,
        embedded,
        fuel,
        bytes,
        adapters,
        entry.plan.as_str().into(),
        integer(entry.plan_version.into()),
        integer(entry.cost_nanos),
        entry.receipt.as_str().into(),
        at_most.map_or(ValueRef::Null, ValueRef::from),
        ValueRef::Integer(abandoned),
        ValueRef::Integer(run),
        ValueRef::Integer(ENCODING),
        cached,
    ]
}

/// Returns the run that the entry belongs to: the one that died, if it was abandoned.
fn end_hold(connection: &Connection, run: i64, entry: &Entry, abandoned: i64) -> StoreResult<i64> {
    let holder: Option<i64> = connection
        .prepare_cached("DELETE FROM holds WHERE request = ?1 RETURNING run")?
        .query_row([&entry.request], |row| row.get(0))
        .optional()?;
    if entry.outcome != Outcome::Abandoned {
        return Ok(run);
    }
    let holder = holder.unwrap_or(run);
    connection
        .prepare_cached(
            "UPDATE runs SET abandoned = abandoned + 1,
                abandoned_tokens = min(abandoned_tokens + ?2, 9223372036854775807) WHERE number = ?1",
        )?
        .execute((holder, abandoned))?;
    Ok(holder)
}

/// `+` beyond the largest integer gives a float in SQLite, and `min` takes the integer again.
fn add_to_rollup(connection: &Connection, entry: &Entry, abandoned: i64) -> StoreResult<()> {
    let at_ms = stored(entry.at_ms);
    let keys: [Value; 10] = [
        stored(entry.account.number()).into(),
        ((at_ms - at_ms.rem_euclid(DAY_MS)) / 1000).into(),
        entry.tenant.as_str().to_owned().into(),
        key_text(entry.key.as_ref()).to_owned().into(),
        entry.purpose.kind.as_str().to_owned().into(),
        entry.purpose.model.clone().into(),
        adapter_text(&entry.purpose).to_owned().into(),
        entry.purpose.plugin.clone().into(),
        entry.plan.as_str().to_owned().into(),
        i64::from(entry.plan_version).into(),
    ];
    let sums = amounts(&entry.used)
        .into_iter()
        .chain([abandoned, stored(entry.cost_nanos)])
        .map(Value::from);
    connection
        .prepare_cached(
            "INSERT INTO rollups
                (account, day, tenant, key, kind, model, adapter, plugin, plan, plan_version, requests, prompt_tokens,
                completion_tokens, embedded_tokens, fuel, stored_byte_hours, adapter_byte_hours, cached_tokens,
                abandoned_tokens, cost_nanos)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET
                requests = min(requests + excluded.requests, 9223372036854775807),
                prompt_tokens = min(prompt_tokens + excluded.prompt_tokens, 9223372036854775807),
                cached_tokens = min(cached_tokens + excluded.cached_tokens, 9223372036854775807),
                completion_tokens = min(completion_tokens + excluded.completion_tokens, 9223372036854775807),
                embedded_tokens = min(embedded_tokens + excluded.embedded_tokens, 9223372036854775807),
                fuel = min(fuel + excluded.fuel, 9223372036854775807),
                stored_byte_hours = min(stored_byte_hours + excluded.stored_byte_hours, 9223372036854775807),
                adapter_byte_hours = min(adapter_byte_hours + excluded.adapter_byte_hours, 9223372036854775807),
                abandoned_tokens = min(abandoned_tokens + excluded.abandoned_tokens, 9223372036854775807),
                cost_nanos = min(cost_nanos + excluded.cost_nanos, 9223372036854775807)",
        )?
        .execute(params_from_iter(keys.into_iter().chain(sums)))?;
    Ok(())
}

fn key(row: &Row<'_>, at: usize) -> StoreResult<Option<KeyId>> {
    let text: String = row.get(at)?;
    Ok(if text.is_empty() { None } else { Some(text.parse()?) })
}

/// Kind, model, adapter and plugin.
fn purpose(row: &Row<'_>, first: usize) -> StoreResult<Purpose> {
    let adapter: String = row.get(first + 2)?;
    Ok(Purpose {
        kind: row.get::<_, String>(first)?.parse()?,
        model: row.get(first + 1)?,
        adapter: if adapter.is_empty() {
            None
        } else {
            Some(adapter.parse()?)
        },
        plugin: row.get(first + 3)?,
    })
}

fn key_text(key: Option<&KeyId>) -> &str {
    key.map_or("", KeyId::as_str)
}

fn adapter_text(purpose: &Purpose) -> &str {
    purpose.adapter.as_ref().map_or("", |alias| alias.as_str())
}
