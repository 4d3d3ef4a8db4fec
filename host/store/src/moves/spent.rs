//! What a tenant has spent, by day and key, on its way between two cells. Budgets look back one month, so that older days are one sum.

use crate::error::StoreResult;
use riad_core::{Account, KeyId, Timestamp, moving::DaySpent};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// More than the longest month.
const DAYS_APART: u64 = 40;
const DAY: u64 = 86_400;

/// In this server and in former cells.
pub(super) fn read(connection: &Connection, account: Account, now: Timestamp) -> StoreResult<Vec<DaySpent>> {
    let apart = now.as_seconds().saturating_sub(DAYS_APART * DAY);
    let mut statement = connection.prepare(
        "SELECT day, coalesce(root, key, ''), prompt_tokens, completion_tokens, embedded_tokens, rollups.cost_nanos
            FROM rollups LEFT JOIN keys ON keys.id = rollups.key WHERE account = ?1
         UNION ALL SELECT day, key, tokens, 0, 0, cost_nanos FROM spent_elsewhere WHERE account = ?1",
    )?;
    let mut rows = statement.query([account.number().cast_signed()])?;
    let mut sums: BTreeMap<(u64, String), (u64, u64)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let day = row.get::<_, i64>(0)?.cast_unsigned();
        let day = if day < apart { 0 } else { day };
        let (tokens, nanos) = sums.entry((day, row.get(1)?)).or_default();
        for column in 2..5 {
            *tokens = tokens.saturating_add(row.get::<_, i64>(column)?.cast_unsigned());
        }
        *nanos = nanos.saturating_add(row.get::<_, i64>(5)?.cast_unsigned());
    }
    sums.into_iter()
        .map(|((day, key), (tokens, nanos))| {
            Ok(DaySpent {
                day,
                key: (!key.is_empty()).then(|| key.parse()).transpose()?,
                tokens,
                nanos,
            })
        })
        .collect()
}

pub(super) fn write(connection: &Connection, account: Account, spent: &[DaySpent]) -> StoreResult<()> {
    let mut statement = connection.prepare(
        "INSERT OR REPLACE INTO spent_elsewhere (account, key, day, tokens, cost_nanos) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for day in spent {
        statement.execute((
            account.number().cast_signed(),
            day.key.as_ref().map_or("", KeyId::as_str),
            stored(day.day),
            stored(day.tokens),
            stored(day.nanos),
        ))?;
    }
    Ok(())
}

/// Writes newer sums. Returns by how much they are higher.
pub(super) fn replace(connection: &Connection, owner: Account, spent: &[DaySpent]) -> StoreResult<Vec<DaySpent>> {
    let mut statement =
        connection.prepare("SELECT key, day, tokens, cost_nanos FROM spent_elsewhere WHERE account = ?1")?;
    let rows = statement.query_map([owner.number().cast_signed()], |row| {
        Ok((
            (row.get::<_, String>(0)?, row.get::<_, i64>(1)?.cast_unsigned()),
            (
                row.get::<_, i64>(2)?.cast_unsigned(),
                row.get::<_, i64>(3)?.cast_unsigned(),
            ),
        ))
    })?;
    let known: BTreeMap<_, _> = rows.collect::<rusqlite::Result<_>>()?;
    let more = spent.iter().filter_map(|day| {
        let key = day.key.as_ref().map_or("", KeyId::as_str).to_owned();
        let (tokens, nanos) = known.get(&(key, day.day)).copied().unwrap_or_default();
        let more = DaySpent {
            tokens: day.tokens.saturating_sub(tokens),
            nanos: day.nanos.saturating_sub(nanos),
            ..day.clone()
        };
        (more.tokens > 0 || more.nanos > 0).then_some(more)
    });
    let more = more.collect();
    write(connection, owner, spent)?;
    Ok(more)
}

/// SQLite's integers end at 2^63 - 1.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
