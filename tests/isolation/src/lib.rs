//! The isolation suite: a program that knows only a server's URL and two tenants' keys. It plants canaries (random words) in
//! A's room, then tries with B's key every endpoint that the server's OpenAPI document names, with A's ids, names and
//! digests, in every way that could name A, and with a plugin that spies. Whatever comes back is searched for the canaries.
//!
//! Not here: how to start a server or make tenants, and any code of the product: what is tested is what HTTP shows.

mod attempt;
mod attempts;
mod canary;
mod client;
mod plant;
mod report;
mod room;
mod surface;
mod wire;

pub use attempt::Outcome;
pub use plant::AdapterFiles;
pub use report::Report;

use anyhow::{Context, Result, bail};
use attempt::Judge;
use bytes::Bytes;
use canary::Canaries;
use client::Client;
use room::Saved;

/// A spying plugin; what it tries is described beside its source.
const SPY: &[u8] = include_bytes!("../../guests/spy.wasm");

/// What a run is made of.
pub struct Options {
    pub base_url: String,
    /// The tenant whose canaries are hunted.
    pub key_a: String,
    /// The tenant that hunts.
    pub key_b: String,
    /// A component that tries its capabilities for canaries; the suite's own if it is not given.
    pub spy: Option<Bytes>,
    /// An adapter that fits the server's model; that of the shipped model if it is not given.
    pub adapter: Option<AdapterFiles>,
    /// Whether there is a console; proxies in front of cells have none.
    pub has_console: bool,
    /// Plants the canaries in B's room too: a suite that then sees nothing is blind.
    pub plant_leak: bool,
}

/// Plants, hunts, looks whether A is unharmed, and puts both rooms back: documents, adapters, settings, SQL rows and pipeline.
/// Plugin versions stay, because nothing removes them; an upload that a run which broke off has begun expires within an hour.
///
/// # Errors
/// When the suite cannot do its work: no server, a wrong key, canaries that cannot be planted. A leak is no error: it is in
/// the report.
pub async fn run(options: Options) -> Result<Report> {
    let a = Client::new(&options.base_url, &options.key_a)?;
    let b = Client::new(&options.base_url, &options.key_b)?;
    let mut canaries = Canaries::new()?;

    let saved_a = Saved::read(&a).await.context("cannot read A's room with A's key")?;
    let saved_b = Saved::read(&b).await.context("cannot read B's room with B's key")?;
    let hunted = hunt(&a, &b, &mut canaries, options).await;
    // Both are put back, whatever happened before.
    let tidied_a = saved_a.restore(&a, &canaries).await;
    let tidied_b = saved_b.restore(&b, &canaries).await;
    let report = hunted?;
    tidied_a.context("cannot put A's room back as it was")?;
    tidied_b.context("cannot put B's room back as it was")?;
    Ok(report)
}

async fn hunt(a: &Client, b: &Client, canaries: &mut Canaries, options: Options) -> Result<Report> {
    let adapter = options.adapter.unwrap_or_default();
    let planted = plant::plant(a, canaries, &adapter)
        .await
        .context("cannot plant canaries in A's room")?;
    canaries.add_handles(&planted);
    if options.plant_leak {
        plant::plant(b, canaries, &adapter)
            .await
            .context("cannot plant canaries in B's room")?;
    }
    let own = room::settle(b, canaries, options.has_console)
        .await
        .context("cannot use B's room with B's key")?;
    if own.tenant == planted.tenant {
        bail!(
            "both keys belong to the tenant \"{}\"; give keys of two tenants",
            own.tenant
        );
    }

    let judge = Judge {
        client: b,
        canaries,
        tenant: &own.tenant,
    };
    let surface = surface::read(b).await?;
    let target = attempts::Target::new(&planted, &own, canaries, a.key());
    let mut outcomes = Vec::new();
    for attempt in attempts::all(&target, &adapter) {
        outcomes.push(judge.attempt(attempt).await);
    }
    let spy = options.spy.unwrap_or_else(|| Bytes::from_static(SPY));
    outcomes.extend(attempts::spy::run(&judge, &target, spy).await?);

    let uncovered = surface::uncovered(surface, &outcomes);
    let harm = plant::harm(a, canaries, &planted).await?;
    Ok(Report {
        tenant_a: planted.tenant,
        tenant_b: own.tenant,
        outcomes,
        uncovered,
        harm,
    })
}
