//! A cell is killed under load and loses its disk; a new server takes its place, with the tenant's room from the last snapshot.

use super::{
    fleet::{Cells, SNAPSHOT_INTERVAL_S},
    http::Connection,
    load::{self, Outcome},
    moving,
    report::Report,
};
use crate::tasks::server::OPERATOR_KEY;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// Long enough for some snapshots.
const LOAD: Duration = Duration::from_secs(4 * SNAPSHOT_INTERVAL_S);
const AFTER: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Snapshot {
    id: String,
    /// Seconds since 1970-01-01 UTC, when it was complete.
    created: u64,
}

#[derive(Deserialize)]
struct Room {
    id: String,
    tenant: String,
    snapshots: Vec<String>,
}

#[derive(Deserialize)]
struct Restored {
    documents: u64,
    chunks: u64,
}

/// # Errors
/// When more is lost than what was written after the last snapshot, or something is foreign.
pub fn run(cells: &mut Cells, report: &mut Report) -> Result<()> {
    if cells.proxies.is_empty() {
        report.skip("killing a cell under load", "there is no proxy");
        return Ok(());
    }
    report.part("A cell is killed under load, and its disk is lost");
    let (name, id, word) = {
        let tenant = cells.first()?;
        (tenant.cell.clone(), tenant.id.clone(), tenant.word.clone())
    };
    let some = moving::some_documents(cells)?;
    let known = moving::titles(cells.cell(&name)?, cells.first()?)?;
    let server = &cells.cell(&name)?.server;
    let kill = || {
        server.kill_process()?;
        Ok((Instant::now(), load::now_ms()))
    };
    let ((killed, killed_ms), load) = load::during(&moving::workers(cells, &some), LOAD, AFTER, kill)?;
    moving::check_answers(&load)?;
    let (own, others): (Vec<&Outcome>, Vec<&Outcome>) = load.iter().partition(|outcome| outcome.tenant == id);
    let refused = others.iter().filter(|outcome| !outcome.is_good()).count();
    report.measured(
        "Refused requests of the tenant of another cell",
        "0",
        refused == 0,
        format!("{refused} of {}{}", others.len(), moving::statuses(&others)),
    );
    let early = own
        .iter()
        .filter(|outcome| !outcome.is_good() && outcome.ended < killed)
        .count();
    ensure!(early == 0, "{early} requests were refused before the cell was killed");

    // Only for the report: a lost disk does not say it.
    let data = cells.cell_mut(&name)?.server.data();
    let folder = data.to_string_lossy().into_owned();
    let snapshots: List<Snapshot> = room(cells, &["snapshots", &id, "--data", &folder])?;
    cells.cell_mut(&name)?.server.kill()?;
    fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;

    let rooms: List<Room> = room(cells, &["snapshots"])?;
    let saved = rooms
        .data
        .iter()
        .filter(|room| room.tenant == id && !room.snapshots.is_empty());
    let saved = saved
        .max_by_key(|room| room.snapshots.last())
        .context("the object store has no snapshot of the room")?;
    cells.cell_mut(&name)?.server.start_again()?;
    let made = cells.make_tenant(&id, &word, &[])?;
    cells.cell_mut(&name)?.server.stop();
    let restored: Restored = room(cells, &["restore", &id, "--room", &saved.id, "--data", &folder])?;
    cells.cell_mut(&name)?.server.start_again()?;
    *cells.tenants.first_mut().context("no tenant")? = made;
    let tenant = cells.first()?;
    for proxy in &cells.proxies {
        let answer = Connection::open(proxy.address)?.get("/v1/documents?limit=1", &tenant.header())?;
        ensure!(
            answer.status == 200,
            "{} answers {}: {}",
            proxy.kind,
            answer.status,
            answer.body
        );
    }
    report.seen(
        "From the kill until the tenant is served again",
        format!(
            "{:.1} s, of which 2 s are the load's: a new server, the tenant made anew, {} documents of {} chunks restored, a start",
            killed.elapsed().as_secs_f64(),
            restored.documents,
            restored.chunks
        ),
    );
    let loss = loss(&known, &moving::titles(cells.cell(&name)?, tenant)?, &own)?;
    let used = snapshots
        .data
        .iter()
        .position(|snapshot| Some(&snapshot.id) == saved.snapshots.last());
    let used = used.context("the snapshot that was restored is in no list")?;
    let age = |snapshot: &Snapshot| killed_ms.saturating_sub(snapshot.created * 1000);
    let last = snapshots.data.get(used).map(age).unwrap_or_default();
    report.seen(
        "Age of the last snapshot at the kill",
        format!("{:.0} s; one every {SNAPSHOT_INTERVAL_S} s at most", seconds(last)),
    );
    // A snapshot's time is that of its end, and the one before it had ended before it began.
    if let Some(bound) = used
        .checked_sub(1)
        .and_then(|before| snapshots.data.get(before))
        .map(age)
    {
        let oldest = loss
            .oldest_ms
            .map(|oldest| killed_ms.saturating_sub(oldest))
            .unwrap_or_default();
        ensure!(
            oldest <= bound,
            "a write was lost that was acknowledged {:.1} s before the kill, and a snapshot had begun {:.1} s before it",
            seconds(oldest),
            seconds(bound)
        );
    }
    report.measured(
        "Acknowledged writes that are lost",
        "only those after the last snapshot",
        true,
        match loss.oldest_ms {
            None => format!("0 of {}", loss.acknowledged),
            Some(oldest) => format!(
                "{} of {}, the first of them acknowledged {:.1} s before the kill; none is older than one that is there",
                loss.lost,
                loss.acknowledged,
                seconds(killed_ms.saturating_sub(oldest))
            ),
        },
    );
    let (code, said) = cells.riad(&cells.cell(&name)?.server.url, OPERATOR_KEY, &["ledger", "verify"])?;
    ensure!(code == 0, "the new ledger has faults: {said}");
    let words = cells.foreign_words(tenant);
    let url = format!("http://{}", cells.proxies.first().context("no proxy")?.address);
    let said = cells.riad(&url, &tenant.key, &["search", "secret word"])?.1;
    ensure!(said.contains(&tenant.word), "the restored room finds nothing: {said}");
    ensure!(
        !words.iter().any(|word| said.contains(word)),
        "the restored room has a foreign word: {said}"
    );
    report.seen("Words of other tenants in any answer", format!("0 in {}", load.len()));
    Ok(())
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

fn room<T: DeserializeOwned>(cells: &Cells, words: &[&str]) -> Result<T> {
    let words = [&["room"], words, &["--json"]].concat();
    let (code, said) = cells.riad("", OPERATOR_KEY, &words)?;
    ensure!(code == 0, "riad {} failed with {code}: {said}", words.join(" "));
    // What it notes stands behind it.
    let mut values = serde_json::Deserializer::from_str(&said).into_iter();
    values
        .next()
        .context("riad room says nothing")?
        .with_context(|| format!("cannot understand {said}"))
}

struct Loss {
    acknowledged: usize,
    lost: usize,
    /// When the first write that is lost was acknowledged.
    oldest_ms: Option<u64>,
}

/// The room is as it was at one time: a write that is lost was not acknowledged before one began that is there.
fn loss(known: &BTreeSet<String>, found: &BTreeSet<String>, own: &[&Outcome]) -> Result<Loss> {
    let gone = known.iter().filter(|title| !found.contains(*title)).count();
    ensure!(gone == 0, "{gone} documents are lost that were there long before");
    let writes: Vec<&Outcome> = own.iter().copied().filter(|outcome| outcome.is_write()).collect();
    let strange = |title: &&String| !known.contains(*title) && !writes.iter().any(|write| write.title == **title);
    ensure!(
        !found.iter().any(|title| strange(&title)),
        "a document is there that nobody wrote"
    );
    let (kept, lost): (Vec<&Outcome>, Vec<&Outcome>) = writes
        .iter()
        .copied()
        .filter(|write| write.is_good())
        .partition(|write| found.contains(&write.title));
    let last_kept = kept.iter().map(|write| write.begun).max();
    let is_odd = |write: &&&Outcome| last_kept.is_some_and(|kept| write.ended < kept);
    let odd = lost.iter().filter(is_odd).count();
    ensure!(
        odd == 0,
        "{odd} writes are lost that were acknowledged before one began that is there"
    );
    Ok(Loss {
        acknowledged: kept.len() + lost.len(),
        lost: lost.len(),
        oldest_ms: lost.iter().map(|write| write.ended_ms).min(),
    })
}
