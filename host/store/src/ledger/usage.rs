//! Questions about what was used, answered from the ledger's rows and rollups. Not here: the check of the whole (`verify`).

use super::rows::{self, stored, unsigned};
use crate::error::StoreResult;
use riad_core::{
    Account, Error, KeyId,
    ledger::{Amount, Entry, Kind, Spent},
    usage::{EntryQuery, GroupBy, LedgerScope, Rollup, UsageBucket, UsageQuery, UsageResult},
};
use rusqlite::{
    Connection, Row, ToSql,
    functions::{Aggregate, Context, FunctionFlags},
};

const DAY: u64 = 86_400;
/// Above what any caller asks for; bounds the memory of a query.
const BUCKETS: u64 = 200_000;
/// Results of one question, over all its buckets.
const RESULTS: usize = 100_000;

/// What [`UsageResult`] and [`Rollup`] sum up: usage as `rows::used` reads it, then abandoned tokens and the cost.
pub(super) const SUMS: &str = "saturating_sum(requests), saturating_sum(prompt_tokens), saturating_sum(completion_tokens), \
    saturating_sum(embedded_tokens), saturating_sum(fuel), saturating_sum(stored_byte_hours), \
    saturating_sum(adapter_byte_hours), saturating_sum(cached_tokens), saturating_sum(abandoned_tokens), \
    saturating_sum(cost_nanos)";

/// SQLite's `sum` fails where integers end.
struct SaturatingSum;

impl Aggregate<i64, i64> for SaturatingSum {
    fn init(&self, _context: &mut Context<'_>) -> rusqlite::Result<i64> {
        Ok(0)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut i64) -> rusqlite::Result<()> {
        *sum = sum.saturating_add(context.get(0)?);
        Ok(())
    }

    fn finalize(&self, _context: &mut Context<'_>, sum: Option<i64>) -> rusqlite::Result<i64> {
        Ok(sum.unwrap_or(0))
    }
}

pub(crate) fn add_functions(connection: &Connection) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_aggregate_function("saturating_sum", 1, flags, SaturatingSum)?;
    Ok(())
}

/// A condition and its parameters, which are named so that they can be used in any order.
struct Filter {
    conditions: Vec<&'static str>,
    parameters: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Filter {
    fn of(scope: &LedgerScope) -> Self {
        let mut filter = Self {
            conditions: vec!["TRUE"],
            parameters: Vec::new(),
        };
        match scope {
            LedgerScope::All => {}
            LedgerScope::Account(account) => filter.add("account = :account", ":account", stored(account.number())),
            LedgerScope::Tenant(tenant) => filter.add("tenant = :tenant", ":tenant", tenant.as_str().to_owned()),
        }
        filter
    }

    fn add(&mut self, condition: &'static str, name: &'static str, value: impl ToSql + 'static) {
        self.conditions.push(condition);
        self.parameters.push((name, Box::new(value)));
    }

    /// Nothing is left out if `values` is empty.
    fn any_of(&mut self, condition: &'static str, name: &'static str, values: &[&str]) -> StoreResult<()> {
        if !values.is_empty() {
            self.add(condition, name, serde_json::to_string(values)?);
        }
        Ok(())
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }

    fn parameters(&self) -> Vec<(&str, &dyn ToSql)> {
        self.parameters.iter().map(|(name, value)| (*name, &**value)).collect()
    }
}

pub(super) fn usage(connection: &Connection, query: &UsageQuery) -> StoreResult<Vec<UsageBucket>> {
    if query.start >= query.end {
        return Ok(Vec::new());
    }
    let width = query.width.seconds();
    let first = query.start / width;
    let mut buckets = empty_buckets(first, width, query.end)?;
    let mut filter = Filter::of(&query.scope);
    // Times beyond SQLite's integers are in no entry.
    filter.add(
        "at_ms >= :start",
        ":start",
        stored((first * width).saturating_mul(1000)),
    );
    let end = query.end.div_ceil(width).saturating_mul(width);
    filter.add("at_ms < :end", ":end", stored(end.saturating_mul(1000)));
    let keys: Vec<&str> = query.keys.iter().map(KeyId::as_str).collect();
    filter.any_of("key IN (SELECT value FROM json_each(:keys))", ":keys", &keys)?;
    let models: Vec<&str> = query.models.iter().map(String::as_str).collect();
    filter.any_of("model IN (SELECT value FROM json_each(:models))", ":models", &models)?;
    let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.as_str()).collect();
    filter.any_of("kind IN (SELECT value FROM json_each(:kinds))", ":kinds", &kinds)?;

    let groups = [
        (GroupBy::Tenant, "tenant"),
        (GroupBy::Key, "key"),
        (GroupBy::Model, "model"),
        (GroupBy::Adapter, "adapter"),
        (GroupBy::Plugin, "plugin"),
        (GroupBy::Kind, "kind"),
    ]
    .map(|(group, column)| {
        if query.group_by.contains(&group) {
            column
        } else {
            "NULL"
        }
    })
    .join(", ");
    let mut statement = connection.prepare(&format!(
        "SELECT at_ms / {}, {groups}, {SUMS} FROM ledger WHERE {} GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7",
        width * 1000,
        filter.condition(),
    ))?;
    let mut rows = statement.query(filter.parameters().as_slice())?;
    let mut results = 0;
    while let Some(row) = rows.next()? {
        results += 1;
        if results > RESULTS {
            return Err(Error::invalid(format!(
                "the answer has more than {RESULTS} results; ask for a shorter time, wider buckets or fewer groups"
            ))
            .into());
        }
        let number = unsigned(row.get(0)?)?.saturating_sub(first);
        if let Some(bucket) = usize::try_from(number).ok().and_then(|number| buckets.get_mut(number)) {
            bucket.results.push(result(row)?);
        }
    }
    Ok(buckets)
}

/// All buckets that begin before `end`, from the one with number `first` on, each in its full width.
fn empty_buckets(first: u64, width: u64, end: u64) -> StoreResult<Vec<UsageBucket>> {
    let count = end.div_ceil(width).saturating_sub(first);
    if count > BUCKETS {
        return Err(Error::invalid(format!(
            "from start to end are {count} buckets, more than {BUCKETS}; ask for wider ones or a shorter time"
        ))
        .into());
    }
    let buckets = (first..first + count).map(|number| UsageBucket {
        start: number * width,
        end: (number * width).saturating_add(width),
        results: Vec::new(),
    });
    Ok(buckets.collect())
}

fn result(row: &Row<'_>) -> StoreResult<UsageResult> {
    let kind: Option<String> = row.get(6)?;
    Ok(UsageResult {
        tenant: row.get(1)?,
        key: row.get(2)?,
        model: row.get(3)?,
        adapter: row.get(4)?,
        plugin: row.get(5)?,
        kind: kind.map(|kind| kind.parse::<Kind>()).transpose()?,
        used: rows::used(row, 7, 14)?,
        abandoned_tokens: unsigned(row.get(15)?)?,
        cost_nanos: unsigned(row.get(16)?)?,
    })
}

/// Days and months are those of the entries' settling.
pub(super) fn spent(connection: &Connection, account: Account, key: Option<&KeyId>, now: u64) -> StoreResult<Spent> {
    let today = now - now % DAY;
    let (month, next_month): (Option<i64>, Option<i64>) = connection.query_row(
        "SELECT unixepoch(?1, 'unixepoch', 'start of month'), unixepoch(?1, 'unixepoch', 'start of month', '+1 month')",
        [stored(now)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (Some(month), Some(next_month)) = (month, next_month) else {
        return Err(Error::invalid(format!("{now} seconds since 1970 is in no month that a calendar has")).into());
    };
    let mut statement = connection.prepare_cached(
        "SELECT day, prompt_tokens, completion_tokens, embedded_tokens, cost_nanos FROM rollups
         WHERE account = ?1 AND (?2 IS NULL OR key = ?2 OR key IN (SELECT id FROM keys WHERE root = ?2))
         UNION ALL SELECT day, tokens, 0, 0, cost_nanos FROM spent_elsewhere WHERE account = ?1 AND (?2 IS NULL OR key = ?2)",
    )?;
    let mut rows = statement.query((stored(account.number()), key.map(KeyId::as_str)))?;
    let mut spent = Spent::default();
    while let Some(row) = rows.next()? {
        let day: i64 = row.get(0)?;
        let mut amount = Amount {
            tokens: 0,
            nanos: unsigned(row.get(4)?)?,
        };
        for column in 1..4 {
            amount.tokens = amount.tokens.saturating_add(unsigned(row.get(column)?)?);
        }
        add(&mut spent.total, amount);
        if (month..next_month).contains(&day) {
            add(&mut spent.month, amount);
        }
        if day == stored(today) {
            add(&mut spent.day, amount);
        }
    }
    Ok(spent)
}

fn add(sum: &mut Amount, amount: Amount) {
    sum.tokens = sum.tokens.saturating_add(amount.tokens);
    sum.nanos = sum.nanos.saturating_add(amount.nanos);
}

pub(super) fn rollups(connection: &Connection, scope: &LedgerScope, start: u64, end: u64) -> StoreResult<Vec<Rollup>> {
    let mut filter = Filter::of(scope);
    filter.add("day >= :start", ":start", stored(start - start % DAY));
    filter.add("day < :end", ":end", stored(end));
    let mut statement = connection.prepare(&format!(
        "SELECT day, account, tenant, plan, plan_version, {SUMS} FROM rollups WHERE {}
         GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        filter.condition(),
    ))?;
    let mut rows = statement.query(filter.parameters().as_slice())?;
    let mut rollups = Vec::new();
    while let Some(row) = rows.next()? {
        rollups.push(Rollup {
            day: unsigned(row.get(0)?)?,
            account: Account::new(unsigned(row.get(1)?)?),
            tenant: row.get::<_, String>(2)?.parse()?,
            plan: row.get::<_, String>(3)?.parse()?,
            plan_version: row.get(4)?,
            used: rows::used(row, 5, 12)?,
            cost_nanos: unsigned(row.get(14)?)?,
        });
    }
    Ok(rollups)
}

pub(super) fn entries(connection: &Connection, query: &EntryQuery) -> StoreResult<Vec<(u64, Entry)>> {
    let mut filter = Filter::of(&query.scope);
    // A place in the whole ledger would tell an account how much others did.
    let (position, after) = match query.scope {
        LedgerScope::Account(_) => ("number", "number > :after"),
        LedgerScope::All | LedgerScope::Tenant(_) => ("position", "position > :after"),
    };
    filter.add(after, ":after", stored(query.after));
    let mut statement = connection.prepare(&format!(
        "SELECT {position}, {} FROM ledger WHERE {} ORDER BY {position} LIMIT {}",
        rows::COLUMNS,
        filter.condition(),
        query.limit,
    ))?;
    let mut rows = statement.query(filter.parameters().as_slice())?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push((unsigned(row.get(0)?)?, rows::entry(row, 1)?));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_has_its_full_width() {
        for (first, end, expected) in [
            (1, 61, vec![(60, 120)]),
            (1, 120, vec![(60, 120)]),
            (1, 121, vec![(60, 120), (120, 180)]),
            (2, 120, vec![]),
        ] {
            let buckets = empty_buckets(first, 60, end).unwrap();
            let spans: Vec<_> = buckets.iter().map(|bucket| (bucket.start, bucket.end)).collect();
            assert_eq!(spans, expected, "from {first} to {end}");
        }
    }
}
