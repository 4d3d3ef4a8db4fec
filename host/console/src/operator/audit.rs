//! The audit log: who changed what, when, from where. Not here: writing it (`services`).

use crate::{error::PageResult, layout::Page, parts, session::OperatorSession, state::ConsoleState};
use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use maud::{Markup, html};
use riad_core::{
    Error, Result,
    audit::{AuditQuery, AuditRecord},
};
use riad_services::audit::AuditPage;
use serde::Deserialize;

const HOME: &str = "/console/audit";
const LISTED: u32 = 100;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route(HOME, get(show))
}

/// An empty one filters nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    tenant: String,
    actor: String,
    action: String,
    before: String,
}

async fn show(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Query(filter): Query<Filter>,
) -> PageResult<Markup> {
    let found = state.services.audit().list_all(&session.pass, filter.query()?).await?;
    Ok(session.page(Page::Audit, page(&found, &filter)))
}

impl Filter {
    fn query(&self) -> Result<AuditQuery> {
        let word = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let tenant = word(&self.tenant).map(|tenant| tenant.parse()).transpose();
        let before = word(&self.before).map(|before| before.parse()).transpose();
        Ok(AuditQuery {
            tenant: tenant.map_err(|error: Error| error.with_param("tenant"))?,
            actor: word(&self.actor),
            action: word(&self.action),
            before: before
                .map_err(|_| Error::invalid("before must be the number of an entry").with_param("before"))?
                .unwrap_or(0),
            limit: LISTED,
            ..AuditQuery::default()
        })
    }

    /// The address of older entries under the same filter.
    fn older(&self, before: u64) -> String {
        let before = before.to_string();
        let fields = [
            ("tenant", self.tenant.as_str()),
            ("actor", &self.actor),
            ("action", &self.action),
            ("before", &before),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect::<Vec<_>>();
        format!("{HOME}?{}", serde_urlencoded::to_string(fields).unwrap_or_default())
    }
}

fn page(found: &AuditPage, filter: &Filter) -> Markup {
    let records = &found.records;
    html! {
        form.filter method="get" action=(HOME) {
            div.field { label for="tenant" { "Tenant" } input #tenant name="tenant" value=(filter.tenant); }
            div.field { label for="actor" { "By: operator, server, or a key's id" } input #actor name="actor" value=(filter.actor); }
            div.field { label for="action" { "Action, as in key or key.revoke" } input #action name="action" value=(filter.action); }
            button type="submit" { "Show" }
        }
        @if records.is_empty() {
            (parts::empty("Nothing was found", &html! { a href=(HOME) { "Show all changes" } }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Table of changes" { table {
                thead { tr {
                    th.number scope="col" { "Number" } th scope="col" { "When" } th scope="col" { "By" } th scope="col" { "Tenant" }
                    th scope="col" { "Action" } th scope="col" { "Object" } th scope="col" { "From" } th scope="col" { "To" }
                } }
                tbody { @for record in records { (row(record)) } }
            } }
            nav.pages aria-label="Pages" {
                @if !filter.before.is_empty() { a href=(HOME) { "Newest" } }
                @if let (true, Some(last)) = (found.has_more, records.last()) { a rel="next" href=(filter.older(last.number)) { "Older" } }
            }
        }
    }
}

fn row(record: &AuditRecord) -> Markup {
    let entry = &record.entry;
    html! {
        tr {
            th.number scope="row" { (record.number) }
            td { (parts::when(entry.at_ms / 1000)) }
            td { code { (entry.actor) } }
            td { @if let Some(tenant) = &entry.tenant { (tenant) } }
            td { (entry.action) }
            td { code { (entry.object) } }
            td { @if let Some(address) = entry.origin.address { (address.to_string()) } }
            td { @if let Some(detail) = &entry.detail { details { summary { "Detail" } pre.wrap { (detail) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{
        ErrorKind,
        audit::{AuditEntry, Origin},
    };

    #[test]
    fn a_filter_is_read_and_kept() {
        let filter = Filter {
            actor: "key_1&x".to_owned(),
            before: "9".to_owned(),
            ..Filter::default()
        };
        let query = filter.query().unwrap();
        assert_eq!(
            (query.actor.as_deref(), query.before, query.tenant),
            (Some("key_1&x"), 9, None)
        );
        assert_eq!(filter.older(5), "/console/audit?actor=key_1%26x&before=5");
        let wrong = Filter {
            before: "x".to_owned(),
            ..Filter::default()
        };
        assert_eq!(wrong.query().unwrap_err().kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn what_was_changed_is_text() {
        let entry = AuditEntry {
            at_ms: 0,
            actor: "operator".to_owned(),
            account: None,
            tenant: None,
            action: "tenant.create".to_owned(),
            object: "<script>".to_owned(),
            detail: Some("<script>".to_owned()),
            origin: Origin::default(),
        };
        let found = AuditPage {
            records: vec![AuditRecord { number: 1, entry }],
            has_more: true,
        };
        let html = page(&found, &Filter::default()).into_string();
        assert!(!html.contains("<script>") && html.contains("before=1"), "{html}");
    }
}
