//! Pages of tenants: a search, and links to the next page. A page reads what it shows.

use crate::{error::PageResult, state::ConsoleState};
use maud::{Markup, html};
use riad_core::{
    OperatorPass, TenantId,
    tenant::{Tenant, TenantQuery},
};
use serde::Deserialize;

/// Tenants of a page.
const SHOWN: u32 = 25;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PageQuery {
    pub q: String,
    /// The last tenant of the page before; what is none begins with the first.
    pub after: String,
}

impl PageQuery {
    /// Whether nothing is left out before the page.
    pub fn is_whole(&self) -> bool {
        self.q.trim().is_empty() && self.after.is_empty()
    }
}

pub(super) struct Found {
    pub tenants: Vec<Tenant>,
    /// After which the next page begins.
    pub next: Option<TenantId>,
}

/// # Errors
/// When the tenant store cannot be read.
pub(super) async fn find(state: &ConsoleState, operator: &OperatorPass, query: &PageQuery) -> PageResult<Found> {
    let asked = TenantQuery {
        search: query.q.clone(),
        after: query.after.parse().ok(),
        // One more than is shown tells whether there are more.
        limit: SHOWN + 1,
    };
    let mut tenants = state.services.tenants().page(operator, asked).await?;
    let has_more = tenants.len() > SHOWN as usize;
    tenants.truncate(SHOWN as usize);
    let next = tenants.last().filter(|_| has_more).map(|last| last.id.clone());
    Ok(Found { tenants, next })
}

pub(super) fn search(home: &str, query: &PageQuery) -> Markup {
    html! {
        form.search role="search" method="get" action=(home) {
            div.field.wide { label for="q" { "Find by id or name" } input #q name="q" type="search" maxlength="128" value=(query.q); }
            button type="submit" { "Find" }
        }
    }
}

pub(super) fn links(home: &str, query: &PageQuery, next: Option<&TenantId>) -> Markup {
    let address = |after: &str| {
        let fields = [("q", query.q.trim()), ("after", after)];
        let given: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        format!("{home}?{}", serde_urlencoded::to_string(given).unwrap_or_default())
    };
    html! {
        @if !query.after.is_empty() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if !query.after.is_empty() { a href=(address("")) { "First page" } }
                @if let Some(next) = next { a rel="next" href=(address(next.as_str())) { "Next page" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_the_search() {
        let query = PageQuery {
            q: "a&b \"c".to_owned(),
            after: String::new(),
        };
        let next: TenantId = "t25".parse().unwrap();
        let html = links("/console/tenants", &query, Some(&next)).into_string();
        assert!(html.contains("/console/tenants?q=a%26b+%22c&amp;after=t25"), "{html}");
        assert!(!html.contains("First page"), "{html}");
        assert_eq!(links("/x", &PageQuery::default(), None).into_string(), "");
        assert!(!search("/x", &query).into_string().contains("\"c\""));
    }
}
