//! What a tenant used and paid by day, and what is left of its budget. Not here: the CSV file, which is the API's own (`gateway`).

mod view;

use crate::{error::PageResult, layout::Page, session::TenantSession, state::ConsoleState};
use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use maud::Markup;
use riad_core::{
    Timestamp,
    usage::{BucketWidth, GroupBy, LedgerScope, UsageQuery},
};
use serde::Deserialize;
use view::UsagePage;

const DAY: u64 = 86_400;
/// Days that a page shows.
pub(crate) const SPANS: [u64; 4] = [7, 30, 90, 365];

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/usage", get(show))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Form {
    days: String,
    by: String,
}

/// What the page can be grouped by, with its word in the API.
const GROUPS: [(&str, &str, GroupBy); 5] = [
    ("model", "Model", GroupBy::Model),
    ("key", "Key", GroupBy::Key),
    ("adapter", "Adapter", GroupBy::Adapter),
    ("plugin", "Plugins", GroupBy::Plugin),
    ("kind", "Kind", GroupBy::Kind),
];

async fn show(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Query(form): Query<Form>,
) -> PageResult<Markup> {
    let days = form.days.parse().ok().filter(|days| SPANS.contains(days)).unwrap_or(30);
    let [first, ..] = GROUPS;
    let group = GROUPS
        .into_iter()
        .find(|(word, _, _)| *word == form.by)
        .unwrap_or(first);
    let now = Timestamp::now().as_seconds();
    let end = (now / DAY + 1) * DAY;
    let query = UsageQuery {
        // The use case reads the caller's own, whatever stands here.
        scope: LedgerScope::Account(session.pass.account()),
        start: end.saturating_sub(days * DAY),
        end,
        width: BucketWidth::Day,
        group_by: [group.2].into(),
        keys: Vec::new(),
        models: Vec::new(),
        kinds: Vec::new(),
    };
    let start = query.start;
    let usage = state.services.usage();
    let buckets = usage.usage(&session.pass, query).await?;
    let view = UsagePage {
        buckets: &buckets,
        spent: usage.spent(&session.pass).await?,
        budget: &session.pass.policy().budget,
        currency: state.services.currency(),
        start,
        end,
        days,
        group,
    };
    Ok(session.page(Page::Usage, view::page(&view)))
}
