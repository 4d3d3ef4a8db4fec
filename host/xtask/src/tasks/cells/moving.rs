//! A tenant moves to another cell while it and another one are served.

use super::{
    billing,
    fleet::{Cell, Cells, Tenant, read},
    http::Connection,
    load::{self, Action, Outcome, Worker},
    report::Report,
};
use crate::{process, tasks::server::OPERATOR_KEY};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const CHUNKS: u64 = 10_000;
/// A slow machine moves a smaller room.
const FILL_MAX: Duration = Duration::from_secs(60);
/// Of one document: about as many chunks.
const SENTENCES: usize = 100;
const PAGE: usize = 100;
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(4);
/// Of refused writes.
const REFUSED_MAX: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Document {
    id: String,
    title: String,
    #[serde(default)]
    chunks: u64,
}

#[derive(Deserialize)]
struct Documents {
    data: Vec<Document>,
    has_more: bool,
}

/// To a third cell, and back.
///
/// # Errors
/// When something is lost, foreign, or billed wrongly.
pub fn run(cells: &mut Cells, report: &mut Report) -> Result<()> {
    let can_move = process::succeeds(&mut process::command(
        &cells.riad,
        &["cell", "move", "--help"],
        &cells.folder,
    ));
    if !can_move || cells.proxies.is_empty() {
        let why = match can_move {
            true => "there is no proxy",
            false => "this riad has no command `cell move`",
        };
        report.skip("moving a tenant under load", why);
        return Ok(());
    }
    report.part("Moving a tenant under load");
    let (documents, chunks, time) = fill(cells)?;
    report.seen(
        "The room that moves",
        format!(
            "{documents} documents of {chunks} chunks, added in {:.0} s",
            time.as_secs_f64()
        ),
    );
    let old = cells.first()?.cell.clone();
    let is_free = |cell: &&Cell| cells.tenants.iter().all(|tenant| tenant.cell != cell.name);
    let new = cells
        .cells
        .iter()
        .find(is_free)
        .context("every cell has a tenant")?
        .name
        .to_owned();
    one_move(cells, &old, &new, report)?;
    one_move(cells, &new, &old, report)
}

/// Adds documents to the first tenant's room until it is as large as it should be, or time is over.
fn fill(cells: &Cells) -> Result<(usize, u64, Duration)> {
    let tenant = cells.first()?;
    let mut connection = Connection::open(cells.cell(&tenant.cell)?.address)?;
    let begun = Instant::now();
    let (mut documents, mut chunks) = (0, 0);
    while chunks < CHUNKS && begun.elapsed() < FILL_MAX {
        let body = json!({
            "title": format!("Reports {documents} of {}", tenant.id),
            "text": load::text(&tenant.word, documents * SENTENCES, SENTENCES),
        });
        let answer = connection.send("POST", "/v1/documents", &tenant.header(), &body.to_string())?;
        let document: Document = read("POST /v1/documents", &answer)?;
        documents += 1;
        chunks += document.chunks;
    }
    Ok((documents, chunks, begun.elapsed()))
}

/// All documents of a tenant, as its cell lists them.
///
/// # Errors
/// When the cell does not.
fn documents(cell: &Cell, tenant: &Tenant) -> Result<Vec<Document>> {
    let mut all: Vec<Document> = Vec::new();
    loop {
        let after = all.last().map_or(String::new(), |last| format!("&after={}", last.id));
        let page: Documents = cell.get(tenant, &format!("/v1/documents?limit={PAGE}{after}"))?;
        all.extend(page.data);
        if !page.has_more {
            return Ok(all);
        }
    }
}

/// Of all documents of a tenant.
///
/// # Errors
/// When a write of a load is there twice.
pub fn titles(cell: &Cell, tenant: &Tenant) -> Result<BTreeSet<String>> {
    let mut titles = BTreeSet::new();
    for Document { title, .. } in documents(cell, tenant)? {
        let is_load = title.starts_with(load::TITLE);
        ensure!(
            titles.insert(title.clone()) || !is_load,
            "the document \"{title}\" is there twice"
        );
    }
    Ok(titles)
}

/// A reader of each tenant and a writer of the first through each proxy.
pub fn workers<'a>(cells: &'a Cells, documents: &'a [Vec<String>]) -> Vec<Worker<'a>> {
    const READS: [Action; 2] = [Action::Search, Action::Open];
    const WRITES: [Action; 1] = [Action::Add];
    let mut workers = Vec::new();
    for proxy in &cells.proxies {
        for (number, (tenant, documents)) in cells.tenants.iter().zip(documents).enumerate() {
            let kinds: &[&'static [Action]] = if number == 0 { &[&READS, &WRITES] } else { &[&READS] };
            workers.extend(kinds.iter().map(|actions| Worker {
                tenant,
                proxy,
                actions,
                documents,
                foreign: cells.foreign_words(tenant),
            }));
        }
    }
    workers
}

/// Ids of some documents of each tenant.
///
/// # Errors
/// When a cell does not list them.
pub fn some_documents(cells: &Cells) -> Result<Vec<Vec<String>>> {
    let ids = |tenant: &Tenant| {
        let documents = documents(cells.cell(&tenant.cell)?, tenant)?;
        Ok(documents.into_iter().take(PAGE).map(|document| document.id).collect())
    };
    cells.tenants.iter().map(ids).collect()
}

fn one_move(cells: &mut Cells, old: &str, new: &str, report: &mut Report) -> Result<()> {
    let tenant = cells.first()?;
    let (source, target) = (cells.cell(old)?, cells.cell(new)?);
    let known = titles(source, tenant)?;
    let marks = (billing::mark(source, tenant)?, billing::mark(target, tenant)?);
    let some = some_documents(cells)?;
    let (map, script) = (cells.map(), cells.follow_script()?);
    let (map, follow) = (map.to_string_lossy(), format!("sh '{}'", script.display()));
    let words = [
        "cell",
        "move",
        &tenant.id,
        "--to",
        new,
        "--map",
        &map,
        "--proxies",
        &follow,
        "--json",
    ];
    let move_it = || {
        let begun = Instant::now();
        // The address is the map's.
        let (code, said) = cells.riad(&source.server.url, OPERATOR_KEY, &words)?;
        ensure!(code == 0, "riad cell move failed with {code}: {said}");
        Ok(begun.elapsed())
    };
    let (time, load) = load::during(&workers(cells, &some), BEFORE, AFTER, move_it)?;

    let name = format!("{old} → {new}");
    report.seen(
        &format!("{name}: the whole move"),
        format!("{:.2} s", time.as_secs_f64()),
    );
    refused(tenant, &load, &name, report)?;
    let found = titles(target, tenant)?;
    let (kept, unknown) = compare(&known, &found, &load)?;
    report.seen(
        &format!("{name}: documents in the new cell"),
        format!("the {} from before, the {kept} acknowledged during the load, {unknown} of those whose connection ended before an answer, and nothing else", known.len()),
    );
    let status = Connection::open(source.address)?
        .get("/v1/models", &tenant.header())?
        .status;
    ensure!(status == 421, "the old cell answers its former tenant with {status}");

    let ledgers = [(source, marks.0), (target, marks.1)];
    let (written, answered) = billing::close(tenant, &ledgers, &load)?;
    billing::verify(cells, &[old, new])?;
    let [in_old, in_new] = written.as_slice() else {
        anyhow::bail!("two ledgers, but {} were read", written.len())
    };
    ensure!(
        in_old.moves() == 1,
        "the old ledger has {} entries of the move",
        in_old.moves()
    );
    ensure!(
        in_new.moves() == 1 && in_new.begins_with_move(),
        "the new ledger does not begin with the move"
    );
    report.seen(
        &format!("{name}: both ledgers, verified"),
        format!(
            "{answered} searches and documents were answered; {old} has {}, {new} has {}; each has its entry of the move",
            in_old.describe(),
            in_new.describe()
        ),
    );
    let new = new.to_owned();
    cells.tenants.first_mut().context("no tenant")?.cell = new;
    Ok(())
}

/// Every acknowledged write is there, and nothing that nobody wrote. Returns how many were acknowledged, and how many are there whose clients do
/// not know it.
fn compare(known: &BTreeSet<String>, found: &BTreeSet<String>, load: &[Outcome]) -> Result<(usize, usize)> {
    let titles = |is: fn(&Outcome) -> bool| -> BTreeSet<&String> {
        let writes = load.iter().filter(|outcome| outcome.is_write() && is(outcome));
        writes.map(|outcome| &outcome.title).collect()
    };
    let acknowledged = titles(Outcome::is_good);
    let unknown = titles(|outcome| outcome.status.is_none());
    let lost: Vec<_> = known
        .iter()
        .chain(acknowledged.iter().copied())
        .filter(|title| !found.contains(*title))
        .collect();
    ensure!(lost.is_empty(), "{} documents are lost: {lost:?}", lost.len());
    let new: Vec<_> = found
        .iter()
        .filter(|title| !known.contains(*title) && !acknowledged.contains(title))
        .collect();
    let strange: Vec<_> = new.iter().filter(|title| !unknown.contains(*title)).collect();
    ensure!(
        strange.is_empty(),
        "documents whose writes were refused are there: {strange:?}"
    );
    Ok((acknowledged.len(), new.len()))
}

/// What clients saw of it.
fn refused(tenant: &Tenant, load: &[Outcome], name: &str, report: &mut Report) -> Result<()> {
    check_answers(load)?;
    let (own, others): (Vec<&Outcome>, Vec<&Outcome>) = load.iter().partition(|outcome| outcome.tenant == tenant.id);
    let (writes, reads): (Vec<&Outcome>, Vec<&Outcome>) = own.iter().copied().partition(|outcome| outcome.is_write());
    let bad = |outcomes: &[&Outcome]| outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    report.measured(
        &format!("{name}: refused reads"),
        "0",
        bad(&reads) == 0,
        format!("{} of {}{}", bad(&reads), reads.len(), statuses(&reads)),
    );
    report.measured(
        &format!("{name}: refused reads of the other tenant"),
        "0",
        bad(&others) == 0,
        format!("{} of {}{}", bad(&others), others.len(), statuses(&others)),
    );
    let (pause, next) = pause(&writes);
    report.measured(
        &format!("{name}: time of refused writes"),
        "at most 2 s",
        pause <= REFUSED_MAX,
        format!(
            "{:.2} s from the first to the last refused one, {:.2} s until the next one was acknowledged; {} of {} writes{}",
            pause.as_secs_f64(),
            next.as_secs_f64(),
            bad(&writes),
            writes.len(),
            statuses(&writes)
        ),
    );
    let sum = |count: fn(&Outcome) -> u32| load.iter().map(count).sum::<u32>();
    report.seen(
        &format!("{name}: 421s from proxies with the old map, asked again"),
        sum(|outcome| outcome.misdirected).to_string(),
    );
    report.seen(
        &format!("{name}: connections that ended with a reload, opened again"),
        sum(|outcome| outcome.reconnected).to_string(),
    );
    let slowest = reads
        .iter()
        .map(|outcome| outcome.ended.duration_since(outcome.begun))
        .max()
        .unwrap_or_default();
    report.seen(
        &format!("{name}: slowest read of the tenant"),
        format!("{} ms", slowest.as_millis()),
    );
    Ok(())
}

/// From the first refused write to the last one, and to the next that was acknowledged.
fn pause(writes: &[&Outcome]) -> (Duration, Duration) {
    let refused = || writes.iter().filter(|outcome| !outcome.is_good());
    let Some(first) = refused().map(|outcome| outcome.begun).min() else {
        return Default::default();
    };
    let last = refused().map(|outcome| outcome.ended).max().unwrap_or(first);
    let later = writes
        .iter()
        .filter(|outcome| outcome.is_good() && outcome.ended > last);
    let next = later.map(|outcome| outcome.ended).min().unwrap_or(last);
    (last.duration_since(first), next.duration_since(first))
}

/// # Errors
/// For an answer with something of another tenant, or without what it should have.
pub fn check_answers(load: &[Outcome]) -> Result<()> {
    let faults: Vec<&String> = load.iter().filter_map(|outcome| outcome.fault.as_ref()).collect();
    ensure!(
        faults.is_empty(),
        "{} wrong answers: {:?}",
        faults.len(),
        faults.first()
    );
    ensure!(load.iter().any(Outcome::is_good), "no request was answered");
    Ok(())
}

/// What there was beside good answers.
pub fn statuses(outcomes: &[&Outcome]) -> String {
    let mut counts = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_good()) {
        let status = outcome
            .status
            .map_or("no answer".to_owned(), |status| status.to_string());
        *counts.entry(status).or_insert(0) += 1;
    }
    match counts.is_empty() {
        true => String::new(),
        false => {
            let counts = counts.iter().map(|(status, count)| format!("{count} × {status}"));
            format!(" ({})", counts.collect::<Vec<_>>().join(", "))
        }
    }
}
