//! What the ledgers of two cells have about a tenant, beside what a load was answered.

use super::{
    fleet::{Cell, Cells, Tenant},
    load::{Action, Outcome},
};
use crate::tasks::server::OPERATOR_KEY;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

const PAGE: usize = 1000;
/// An entry is written soon after its answer.
const SETTLE_MAX: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Page {
    data: Vec<Entry>,
    has_more: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    position: u64,
    kind: String,
    outcome: String,
}

/// The end of a ledger.
#[derive(Clone, Copy)]
pub struct Mark(u64);

/// What was written after a mark.
#[derive(Default, PartialEq, Eq, Clone)]
pub struct Written {
    /// Kinds of entries, oldest first.
    kinds: Vec<String>,
    /// Searches and documents that were done.
    pub completed: usize,
    /// Other ends of them, as in `refused`.
    others: Vec<String>,
}

impl Written {
    pub fn moves(&self) -> usize {
        self.kinds.iter().filter(|kind| *kind == "moved").count()
    }

    pub fn begins_with_move(&self) -> bool {
        self.kinds.first().is_some_and(|kind| kind == "moved")
    }

    pub fn describe(&self) -> String {
        let mut counts = BTreeMap::new();
        for outcome in &self.others {
            *counts.entry(outcome).or_insert(0) += 1;
        }
        let others = counts.iter().map(|(outcome, count)| format!(", {count} {outcome}"));
        format!("{} done{}", self.completed, others.collect::<String>())
    }
}

/// # Errors
/// When the cell does not say it.
pub fn mark(cell: &Cell, tenant: &Tenant) -> Result<Mark> {
    let entries = entries(cell, tenant, Mark(0))?;
    Ok(Mark(entries.last().map_or(0, |entry| entry.position)))
}

/// # Errors
/// When the cell does not say it.
pub fn since(cell: &Cell, tenant: &Tenant, mark: Mark) -> Result<Written> {
    let mut written = Written::default();
    for Entry { kind, outcome, .. } in entries(cell, tenant, mark)? {
        if matches!(kind.as_str(), "search" | "document") {
            match outcome.as_str() {
                "completed" => written.completed += 1,
                _ => written.others.push(outcome),
            }
        }
        written.kinds.push(kind);
    }
    Ok(written)
}

/// Once the ledgers of these cells have as many requests as a load was answered; and how many that are.
///
/// # Errors
/// When they have fewer, or more than could be without an answer.
pub fn close(tenant: &Tenant, cells: &[(&Cell, Mark)], load: &[Outcome]) -> Result<(Vec<Written>, usize)> {
    let metered = |outcome: &&Outcome| outcome.tenant == tenant.id && outcome.action != Action::Open;
    let answered = load.iter().filter(metered).filter(|outcome| outcome.is_good()).count();
    let unanswered = load
        .iter()
        .filter(metered)
        .filter(|outcome| outcome.status.is_none())
        .count();
    // Each of them was sent before.
    let again: u32 = load.iter().filter(metered).map(|outcome| outcome.reconnected).sum();
    let most = answered + unanswered + again as usize;
    let begun = Instant::now();
    loop {
        let written: Vec<Written> = cells
            .iter()
            .map(|(cell, mark)| since(cell, tenant, *mark))
            .collect::<Result<_>>()?;
        let billed: usize = written.iter().map(|written| written.completed).sum();
        if billed >= answered || begun.elapsed() > SETTLE_MAX {
            ensure!(
                (answered..=most).contains(&billed),
                "{answered} requests of {} were answered, {} more may have been done, and the ledgers have {billed}",
                tenant.id,
                most - answered
            );
            return Ok((written, answered));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// # Errors
/// When a cell's ledger has a fault.
pub fn verify(cells: &Cells, names: &[&str]) -> Result<()> {
    for name in names {
        let (code, said) = cells.riad(&cells.cell(name)?.server.url, OPERATOR_KEY, &["ledger", "verify"])?;
        ensure!(code == 0, "the ledger of cell {name} has faults: {said}");
    }
    Ok(())
}

fn entries(cell: &Cell, tenant: &Tenant, mark: Mark) -> Result<Vec<Entry>> {
    let Mark(mut after) = mark;
    let mut all = Vec::new();
    loop {
        let path = format!(
            "/operator/v1/ledger/entries?tenant={}&limit={PAGE}&after={after}",
            tenant.id
        );
        let page: Page = cell.operator(&path)?;
        after = page.data.last().map_or(after, |entry| entry.position);
        all.extend(page.data);
        if !page.has_more {
            return Ok(all);
        }
    }
}
