//! Rollups against a recount of their entries. Not here: the rest of the check (`verify`).

use super::{rows, usage::SUMS};
use crate::error::{Failure, StoreResult};
use rusqlite::{Connection, Row, Statement};
use std::cmp::Ordering;

const KEY: &str = "account, day, tenant, key, kind, model, adapter, plugin, plan, plan_version";
const KEY_COUNT: usize = 10;
const SUM_COUNT: usize = 10;

/// Streams both in the same order, so that neither has to fit into memory.
pub(super) fn compare_rollups(connection: &Connection, mut report: impl FnMut(String)) -> StoreResult<()> {
    let mut recount = connection.prepare(&format!(
        "SELECT account, (at_ms - at_ms % {day}) / 1000 AS day, tenant, key, kind, model, adapter, plugin, plan, plan_version, {SUMS}
         FROM ledger GROUP BY {KEY} ORDER BY {KEY}",
        day = rows::DAY_MS
    ))?;
    let mut stored_rollups = connection.prepare(&format!(
        "SELECT {KEY}, requests, prompt_tokens, completion_tokens, embedded_tokens, fuel, stored_byte_hours,
            adapter_byte_hours, cached_tokens, abandoned_tokens, cost_nanos FROM rollups ORDER BY {KEY}"
    ))?;
    let (mut recount, mut stored_rollups) = (read_rollups(&mut recount)?, read_rollups(&mut stored_rollups)?);
    let (mut counted, mut rollup) = (recount.next().transpose()?, stored_rollups.next().transpose()?);
    loop {
        let order = match (&counted, &rollup) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(counted), Some(rollup)) => counted.key.cmp(&rollup.key),
        };
        let fault = match order {
            Ordering::Less => Some("is missing"),
            Ordering::Greater => Some("has no entries"),
            Ordering::Equal if counted != rollup => Some("is not the sum of its entries"),
            Ordering::Equal => None,
        };
        if let (Some(fault), Some(wrong)) = (fault, if order.is_gt() { &rollup } else { &counted }) {
            report(format!("the rollup of {} {fault}", wrong.name()));
        }
        if order.is_le() {
            counted = recount.next().transpose()?;
        }
        if order.is_ge() {
            rollup = stored_rollups.next().transpose()?;
        }
    }
}

/// One row of the rollups, or of their recount.
#[derive(PartialEq)]
struct RollupRow {
    key: [Part; KEY_COUNT],
    sums: [i64; SUM_COUNT],
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(i64),
    Text(String),
}

impl RollupRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number = |at: usize| row.get(at).map(Part::Number);
        let text = |at: usize| row.get(at).map(Part::Text);
        let sum = |at: usize| row.get::<_, i64>(KEY_COUNT + at);
        Ok(Self {
            key: [
                number(0)?,
                number(1)?,
                text(2)?,
                text(3)?,
                text(4)?,
                text(5)?,
                text(6)?,
                text(7)?,
                text(8)?,
                number(9)?,
            ],
            sums: [
                sum(0)?,
                sum(1)?,
                sum(2)?,
                sum(3)?,
                sum(4)?,
                sum(5)?,
                sum(6)?,
                sum(7)?,
                sum(8)?,
                sum(9)?,
            ],
        })
    }

    /// As in the columns of the table.
    fn name(&self) -> String {
        let parts = KEY.split(", ").zip(&self.key).map(|(name, part)| match part {
            Part::Number(number) => format!("{name} {number}"),
            Part::Text(text) => format!("{name} {text:?}"),
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

fn read_rollups<'s>(
    statement: &'s mut Statement<'_>,
) -> StoreResult<impl Iterator<Item = StoreResult<RollupRow>> + use<'s>> {
    let rows = statement.query_map([], RollupRow::read)?;
    Ok(rows.map(|row| row.map_err(Failure::from)))
}
