//! Plans: price lists in versions. Not here: who is on which plan (`tenants`).

use crate::{
    error::PageResult,
    form::CsrfForm,
    layout::Page,
    parts::{self, format},
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, response::Redirect, routing::get};
use maud::{Markup, html};
use riad_core::{
    Error, PlanName, Result,
    price::{Plan, PriceList},
};
use serde::Deserialize;
use std::collections::BTreeMap;

const HOME: &str = "/console/plans";
/// Versions that are shown.
const SHOWN: usize = 200;
/// What costs, its label, and for how much of it the price is.
const PRICES: [(&str, &str, &str); 8] = [
    ("requests", "Requests", "per million"),
    ("prompt_tokens", "Prompt tokens", "per million"),
    ("cached_tokens", "of them cached", "per million; empty: the same"),
    ("completion_tokens", "Completion tokens", "per million"),
    ("embedded_tokens", "Embedded tokens", "per million"),
    ("fuel", "Fuel", "per billion"),
    ("stored_byte_hours", "Stored bytes", "per GB and hour"),
    ("adapter_byte_hours", "Adapters in memory", "per GB and hour"),
];

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route(HOME, get(list).post(put))
}

#[derive(Deserialize)]
struct PlanForm {
    name: String,
    /// Of each thing that costs.
    #[serde(flatten)]
    prices: BTreeMap<String, String>,
}

async fn list(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let plans = state.services.plans().list(&session.pass).await?;
    let body = page(&plans, state.services.currency(), &session.csrf_field());
    Ok(session.page(Page::Plans, body))
}

async fn put(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    CsrfForm(form): CsrfForm<PlanForm>,
) -> PageResult<Redirect> {
    let name: PlanName = form
        .name
        .trim()
        .parse()
        .map_err(|error: Error| error.with_param("name"))?;
    let prices = form.prices()?;
    state.services.plans().put(&session.pass, &name, &prices).await?;
    Ok(Redirect::to(HOME))
}

impl PlanForm {
    fn prices(&self) -> Result<PriceList> {
        Ok(PriceList {
            requests: self.price("requests")?.unwrap_or(0),
            prompt_tokens: self.price("prompt_tokens")?.unwrap_or(0),
            cached_tokens: self.price("cached_tokens")?,
            completion_tokens: self.price("completion_tokens")?.unwrap_or(0),
            embedded_tokens: self.price("embedded_tokens")?.unwrap_or(0),
            fuel: self.price("fuel")?.unwrap_or(0),
            stored_byte_hours: self.price("stored_byte_hours")?.unwrap_or(0),
            adapter_byte_hours: self.price("adapter_byte_hours")?.unwrap_or(0),
        })
    }

    fn price(&self, name: &str) -> Result<Option<u64>> {
        let text = self.prices.get(name).map_or("", |text| text.trim());
        if text.is_empty() {
            return Ok(None);
        }
        let price = text.parse();
        price.map(Some).map_err(|_| {
            Error::invalid(format!(
                "{name} must be a whole number of millionths of the currency, not {text:?}"
            ))
            .with_param(name)
        })
    }
}

fn page(plans: &[Plan], currency: &str, csrf: &Markup) -> Markup {
    html! {
        p.muted { "Prices are whole millionths of " (currency.to_uppercase()) ". A change makes a new version; what was billed before keeps its prices." }
        details open[plans.is_empty()] {
            summary { "Make a plan, or change its prices" }
            form method="post" action=(HOME) {
                (csrf)
                div.fields {
                    div.field { label for="name" { "Name" } input #name name="name" required maxlength="64" autocomplete="off"; }
                    @for (name, label, unit) in PRICES {
                        div.field {
                            label for=(name) { (label) ", " (unit) }
                            input id=(name) name=(name) type="number" min="0" step="1" placeholder=(if name == "cached_tokens" { "" } else { "0" });
                        }
                    }
                }
                button.primary type="submit" { "Save the plan" }
            }
        }
        @if plans.is_empty() {
            (parts::empty("No plans yet", &html! { "Tenants without one cost nothing." }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Table of plans" { table {
                thead { tr {
                    th scope="col" { "Plan" } th.number scope="col" { "Version" }
                    @for (_, label, unit) in PRICES { th.number scope="col" title=(unit) { (label) } }
                    th scope="col" { "Since" }
                } }
                tbody { @for plan in plans.iter().take(SHOWN) {
                    tr {
                        th scope="row" { (plan.name) }
                        td.number { (plan.version) }
                        @for price in prices(&plan.prices) { td.number { @match price { Some(price) => (format::count(price)), None => "the same" } } }
                        td { (parts::when(plan.created)) }
                    }
                } }
            } }
        }
    }
}

/// In the order of [`PRICES`].
fn prices(list: &PriceList) -> [Option<u64>; 8] {
    [
        Some(list.requests),
        Some(list.prompt_tokens),
        list.cached_tokens,
        Some(list.completion_tokens),
        Some(list.embedded_tokens),
        Some(list.fuel),
        Some(list.stored_byte_hours),
        Some(list.adapter_byte_hours),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(prices: &[(&str, &str)]) -> PlanForm {
        PlanForm {
            name: "gold".to_owned(),
            prices: prices
                .iter()
                .map(|(name, price)| ((*name).to_owned(), (*price).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn prices_are_whole_numbers() {
        let list = form(&[("prompt_tokens", " 500 "), ("fuel", "")]).prices().unwrap();
        assert_eq!((list.prompt_tokens, list.fuel, list.cached_tokens), (500, 0, None));
        let wrong = form(&[("fuel", "0.5")]).prices().unwrap_err();
        assert_eq!(wrong.param(), Some("fuel"));
    }
}
