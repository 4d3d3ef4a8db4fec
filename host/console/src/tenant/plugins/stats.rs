//! What the calls of a plugin's versions took since the server began. Not here: what is billed (`usage`), and the last hour (`hour`).

use super::{hour, read_name, view};
use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    plot::{self, Bar, Series},
    session::TenantSession,
    state::ConsoleState,
};
use axum::extract::{Path, State};
use maud::{Markup, html};
use riad_core::{PluginVersion, Timestamp, plugin::Stage};
use riad_services::{plugin_stats::CallStats, plugins::VersionStats};

/// Versions that plots show; the table has all.
const PLOTTED: usize = 8;

pub(super) async fn show(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(name): Path<String>,
) -> PageResult<Markup> {
    let (plugins, pass) = (state.services.plugins(), &session.pass);
    let name = read_name(&name)?;
    let stats = plugins.stats(pass, &name).await?;
    let mut versions = plugins.list(pass).await?;
    versions.retain(|version| version.name == name);
    Ok(session.page(
        Page::Plugins,
        page(
            name.as_str(),
            &versions,
            &stats,
            state.services.started(),
            Timestamp::now(),
        ),
    ))
}

fn page(name: &str, versions: &[PluginVersion], stats: &[VersionStats], since: u64, now: Timestamp) -> Markup {
    let was_called = stats.iter().any(|version| !version.stages.is_empty());
    html! {
        (view::tabs("none"))
        p { a href="/console/plugins" { "All plugins" } }
        h2 { (name) }
        p.muted { "Calls since the server began " (parts::when(since)) ". Each piece of an answer is a call of its filter." }
        @if !was_called {
            (parts::empty("No version was called yet", &html! {
                "Let a version serve a stage on the page " a href="/console/plugins" { "Versions" } ", then ask something in the "
                a href="/console/playground" { "playground" } "."
            }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Table of calls" { (table(versions, stats)) }
            (hour::section(stats, now))
            section aria-labelledby="errors-title" {
                h3 #errors-title { "Error rate" }
                (plot::bars("Failed and limited calls of each version, in percent of its calls", &error_bars(versions, stats)))
            }
            @for version in stats.iter().take(PLOTTED) {
                @for (stage, calls) in &version.stages { (latency(versions, version, *stage, calls)) }
            }
        }
    }
}

fn label(versions: &[PluginVersion], stats: &VersionStats) -> String {
    let found = versions.iter().find(|version| version.version == stats.version);
    found.map_or_else(|| format::short_digest(&stats.version), view::label)
}

fn table(versions: &[PluginVersion], stats: &[VersionStats]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Version" } th scope="col" { "Stage" }
                th.number scope="col" { "Calls" } th.number scope="col" { "Failed" } th.number scope="col" { "Over a limit" }
                th.number scope="col" { "Refused" } th.number scope="col" { "Dropped" } th.number scope="col" { "Errors" }
                th.number scope="col" { "p50" } th.number scope="col" { "p99" }
                th.number scope="col" { "Fuel per call" } th.number scope="col" { "Greatest memory" }
            } }
            tbody {
                @for version in stats { @for (stage, calls) in &version.stages {
                    tr {
                        th scope="row" { (label(versions, version)) }
                        td { (stage) }
                        td.number { (format::count(calls.calls)) }
                        td.number { (format::count(calls.failed)) }
                        td.number { (format::count(calls.limited)) }
                        td.number { (format::count(calls.refused)) }
                        td.number { (format::count(calls.dropped)) }
                        td.number { (format::share(calls.failed.saturating_add(calls.limited), calls.calls)) }
                        td.number { "≤ " (format::duration(calls.times.time_of_share(0.5).unwrap_or_default())) }
                        td.number { "≤ " (format::duration(calls.times.time_of_share(0.99).unwrap_or_default())) }
                        td.number { (format::count(calls.fuel.checked_div(calls.calls).unwrap_or(0))) }
                        td.number { (format::bytes(calls.memory)) }
                    }
                } }
            }
        }
    }
}

fn error_bars(versions: &[PluginVersion], stats: &[VersionStats]) -> Vec<Bar> {
    let called = stats.iter().filter(|version| !version.stages.is_empty());
    let bar = |version: &VersionStats| {
        let sum = |count: fn(&CallStats) -> u64| version.stages.iter().map(|(_, calls)| count(calls)).sum::<u64>();
        let (calls, failed) = (
            sum(|calls| calls.calls),
            sum(|calls| calls.failed.saturating_add(calls.limited)),
        );
        // In hundredths of a percent, so that a rare error has a bar.
        let rate = failed.saturating_mul(10_000).checked_div(calls).unwrap_or(0);
        Bar {
            label: label(versions, version),
            shown: format::share(failed, calls),
            parts: vec![(Series::BAD, rate)],
        }
    };
    called.take(PLOTTED).map(bar).collect()
}

fn latency(versions: &[PluginVersion], version: &VersionStats, stage: Stage, calls: &CallStats) -> Markup {
    let bars: Vec<Bar> = calls
        .times
        .counted()
        .into_iter()
        .map(|(time, count)| Bar {
            label: format!("≤ {}", format::duration(time)),
            shown: format::count(count),
            parts: vec![(Series::FIRST, count)],
        })
        .collect();
    let title = format!("Time of calls: {}, {stage}", label(versions, version));
    html! {
        section {
            h3 { (title) }
            (plot::bars(&format!("{title}. Calls by how long they took at most"), &bars))
        }
    }
}
