//! The page of usage: sums, plots by day, a table by group, and the budget.

use super::{GROUPS, SPANS};
use crate::{
    parts::{self, format},
    plot::{self, Bar, Series},
};
use maud::{Markup, html};
use riad_core::{
    ledger::{Amount, Spent},
    policy::{Budget, BudgetMode},
    price::Usage,
    usage::{GroupBy, UsageBucket, UsageResult},
};
use std::collections::BTreeMap;

pub(super) struct UsagePage<'a> {
    pub buckets: &'a [UsageBucket],
    pub spent: Spent,
    pub budget: &'a Budget,
    pub currency: &'a str,
    pub start: u64,
    pub end: u64,
    pub days: u64,
    /// Its word in the API, its label, and what it is.
    pub group: (&'static str, &'static str, GroupBy),
}

/// What all days of a group come to.
#[derive(Default)]
struct Sum {
    used: Usage,
    cost_nanos: u64,
    abandoned_tokens: u64,
}

impl Sum {
    fn add(&mut self, result: &UsageResult) {
        self.used = self.used.plus(&result.used);
        self.cost_nanos = self.cost_nanos.saturating_add(result.cost_nanos);
        self.abandoned_tokens = self.abandoned_tokens.saturating_add(result.abandoned_tokens);
    }
}

pub(super) fn page(view: &UsagePage<'_>) -> Markup {
    let mut whole = Sum::default();
    let results = || view.buckets.iter().flat_map(|bucket| &bucket.results);
    results().for_each(|result| whole.add(result));
    let groups = groups(view);
    html! {
        (filter(view))
        dl.stats {
            (stat("Tokens", &format::count(whole.used.tokens())))
            (stat("Cost", &format::money(whole.cost_nanos, view.currency)))
            (stat("Requests", &format::count(whole.used.requests)))
            (stat("Of prompts cached", &format::share(whole.used.cached_tokens, whole.used.prompt_tokens)))
        }
        (budget(view))
        @if results().next().is_none() {
            (parts::empty("Nothing was used in these days", &html! {
                "Ask something in the " a href="/console/playground" { "playground" } ", and it appears here."
            }))
        } @else {
            (plots(view, &groups))
            section aria-labelledby="groups-title" {
                h2 #groups-title { "By " (view.group.1.to_lowercase()) }
                div.scroll tabindex="0" role="region" aria-label="Usage by group" { (table(view, &groups)) }
            }
            section aria-labelledby="days-title" {
                h2 #days-title { "By day" }
                div.scroll tabindex="0" role="region" aria-label="Usage by day" { (days_table(view)) }
            }
        }
    }
}

fn stat(label: &str, value: &str) -> Markup {
    html! { div.stat { dt { (label) } dd { (value) } } }
}

fn filter(view: &UsagePage<'_>) -> Markup {
    let (word, ..) = view.group;
    let csv = format!(
        "/console/api/v1/usage?start_time={}&end_time={}&bucket_width=1d&group_by={word}&limit=366&format=csv",
        view.start, view.end
    );
    html! {
        form.filter method="get" action="/console/usage" {
            div.field {
                label for="days" { "Days" }
                select #days name="days" { @for days in SPANS { option value=(days) selected[days == view.days] { "last " (days) } } }
            }
            div.field {
                label for="by" { "Grouped by" }
                select #by name="by" { @for (name, label, _) in GROUPS { option value=(name) selected[name == word] { (label) } } }
            }
            button type="submit" { "Show" }
            a.button href=(csv) download { "CSV" }
        }
    }
}

/// Groups by name, the one that cost the most first, then the one that used the most.
fn groups(view: &UsagePage<'_>) -> Vec<(String, Sum)> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for result in view.buckets.iter().flat_map(|bucket| &bucket.results) {
        sums.entry(name(result, view.group.2)).or_default().add(result);
    }
    let mut groups: Vec<_> = sums.into_iter().collect();
    groups.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.cost_nanos, sum.used.tokens())));
    groups
}

fn name(result: &UsageResult, group: GroupBy) -> String {
    let (text, none) = match group {
        GroupBy::Key => (result.key.as_deref(), "no key"),
        GroupBy::Model => (result.model.as_deref(), "no model"),
        GroupBy::Adapter => (result.adapter.as_deref(), "base model"),
        GroupBy::Plugin => (result.plugin.as_deref(), "none"),
        GroupBy::Kind => (result.kind.map(|kind| kind.as_str()), "none"),
        GroupBy::Tenant => (result.tenant.as_deref(), "none"),
    };
    text.filter(|text| !text.is_empty()).unwrap_or(none).to_owned()
}

fn plots(view: &UsagePage<'_>, groups: &[(String, Sum)]) -> Markup {
    let indexes = (0_usize..).zip(groups);
    let series = indexes.map(|(index, (name, _))| (name.as_str(), index.min(Series::COLORS - 1)));
    let series = &series.collect();
    let has_cost = groups.iter().any(|(_, sum)| sum.cost_nanos > 0);
    html! {
        (plot(view, series, "Tokens by day", |result| result.used.tokens(), &|tokens| format!("{} tokens", format::short_count(tokens))))
        @if has_cost {
            (plot(view, series, "Cost by day", |result| result.cost_nanos, &|nanos| format::money(nanos, view.currency)))
        }
        ul.legend aria-label="Colors of the plots" {
            @for (index, (name, _)) in groups.iter().take(Series::COLORS).enumerate() {
                li { span.swatch.(Series::nth(index).class()) {} @if index + 1 == Series::COLORS { "others" } @else { (name) } }
            }
        }
    }
}

fn plot(
    view: &UsagePage<'_>,
    series: &BTreeMap<&str, usize>,
    title: &str,
    amount: fn(&UsageResult) -> u64,
    shown: &dyn Fn(u64) -> String,
) -> Markup {
    let column = |bucket: &UsageBucket| {
        let mut sums = [0_u64; Series::COLORS];
        for result in &bucket.results {
            let index = series.get(name(result, view.group.2).as_str());
            if let Some(sum) = index.and_then(|index| sums.get_mut(*index)) {
                *sum = sum.saturating_add(amount(result));
            }
        }
        let parts: Vec<_> = sums
            .iter()
            .enumerate()
            .map(|(index, sum)| (Series::nth(index), *sum))
            .collect();
        let total = parts.iter().fold(0_u64, |sum, (_, part)| sum.saturating_add(*part));
        (
            total,
            Bar {
                label: format::day(bucket.start),
                shown: shown(total),
                parts,
            },
        )
    };
    let (totals, columns): (Vec<u64>, Vec<Bar>) = view.buckets.iter().map(column).unzip();
    let most = totals.into_iter().max().unwrap_or(0);
    html! {
        section {
            h2 { (title) }
            (plot::columns(&format!("{title}, the last {} days; the table below has the numbers", view.days), &columns, &shown(most)))
        }
    }
}

fn cells(used: &Usage, cost_nanos: u64, currency: &str) -> Markup {
    html! {
        td.number { (format::count(used.requests)) }
        td.number { (format::count(used.prompt_tokens)) }
        td.number { (format::count(used.cached_tokens)) }
        td.number { (format::count(used.completion_tokens)) }
        td.number { (format::count(used.embedded_tokens)) }
        td.number { (format::count(used.fuel)) }
        td.number { (format::money(cost_nanos, currency)) }
    }
}

fn head(first: &str) -> Markup {
    html! {
        thead { tr {
            th scope="col" { (first) }
            @for label in ["Requests", "Prompt tokens", "of them cached", "Completion tokens", "Embedded tokens", "Fuel", "Cost"] {
                th.number scope="col" { (label) }
            }
        } }
    }
}

fn table(view: &UsagePage<'_>, groups: &[(String, Sum)]) -> Markup {
    html! {
        table {
            (head(view.group.1))
            tbody { @for (name, sum) in groups {
                tr { th scope="row" { (name) } (cells(&sum.used, sum.cost_nanos, view.currency)) }
            } }
        }
        @let abandoned = groups.iter().fold(0_u64, |sum, (_, group)| sum.saturating_add(group.abandoned_tokens));
        @if abandoned > 0 {
            p.muted { "Up to " (format::count(abandoned)) " tokens of requests that a killed process could not settle are not billed." }
        }
    }
}

fn days_table(view: &UsagePage<'_>) -> Markup {
    let days = view.buckets.iter().rev().filter(|bucket| !bucket.results.is_empty());
    html! {
        table {
            (head("Day (UTC)"))
            tbody { @for bucket in days {
                @let mut sum = Sum::default();
                @let () = bucket.results.iter().for_each(|result| sum.add(result));
                tr { th scope="row" { (format::day(bucket.start)) } (cells(&sum.used, sum.cost_nanos, view.currency)) }
            } }
        }
    }
}

/// A limit of the budget: its label, what is spent of it, the limit, and how both are written.
type Row = (&'static str, u64, u64, fn(u64, &str) -> String);

fn budget(view: &UsagePage<'_>) -> Markup {
    let budget = view.budget;
    if !budget.limits_something() {
        return html! { p.muted { "This tenant has no budget: nothing bounds what it spends but its limits per minute." } };
    }
    let tokens: fn(u64, &str) -> String = |tokens, _| format!("{} tokens", format::count(tokens));
    // Budgets are in millionths, the ledger is in thousandths of them.
    let money: fn(u64, &str) -> String = |micros, currency| format::money(micros.saturating_mul(1000), currency);
    let micros = |amount: Amount| amount.nanos / 1000;
    let spent = view.spent;
    let rows: [Option<Row>; 6] = [
        budget
            .daily_tokens
            .map(|most| ("Tokens today", spent.day.tokens, most, tokens)),
        budget
            .monthly_tokens
            .map(|most| ("Tokens this month", spent.month.tokens, most, tokens)),
        budget
            .total_tokens
            .map(|most| ("Tokens in all", spent.total.tokens, most, tokens)),
        budget
            .daily_micros
            .map(|most| ("Cost today", micros(spent.day), most, money)),
        budget
            .monthly_micros
            .map(|most| ("Cost this month", micros(spent.month), most, money)),
        budget
            .total_micros
            .map(|most| ("Cost in all", micros(spent.total), most, money)),
    ];
    let what = match budget.mode {
        BudgetMode::Hard => "A request that could pass it is refused. Days and months are UTC.",
        BudgetMode::Soft => "Nothing is refused; the operator is notified. Days and months are UTC.",
    };
    html! {
        section aria-labelledby="budget-title" {
            h2 #budget-title { "Budget" }
            p.muted { (what) }
            dl.bars {
                @for (label, spent, most, shown) in rows.into_iter().flatten() {
                    div.bar-row {
                        dt { (label) }
                        dd {
                            progress max=(most.max(1)) value=(spent.min(most)) aria-label=(label) {}
                            span.number {
                                (shown(most.saturating_sub(spent), view.currency)) " left of " (shown(most, view.currency))
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(start: u64, results: &[(&str, u64)]) -> UsageBucket {
        let result = |(model, tokens): &(&str, u64)| UsageResult {
            model: Some((*model).to_owned()),
            used: Usage {
                requests: 1,
                prompt_tokens: *tokens,
                ..Usage::default()
            },
            cost_nanos: tokens * 1_000_000,
            ..UsageResult::default()
        };
        UsageBucket {
            start,
            end: start + 86_400,
            results: results.iter().map(result).collect(),
        }
    }

    fn shown(buckets: &[UsageBucket], budget: &Budget) -> String {
        let [group, ..] = GROUPS;
        let view = UsagePage {
            buckets,
            spent: Spent {
                month: Amount { tokens: 300, nanos: 0 },
                ..Spent::default()
            },
            budget,
            currency: "usd",
            start: 0,
            end: 2 * 86_400,
            days: 7,
            group,
        };
        page(&view).into_string()
    }

    #[test]
    fn groups_are_summed_over_the_days() {
        let buckets = [
            bucket(0, &[("base", 1_000), ("base:cheap", 5)]),
            bucket(86_400, &[("base", 234)]),
        ];
        let html = shown(&buckets, &Budget::default());
        assert!(html.contains("1\u{202f}234"), "{html}");
        assert!(html.contains("01-02"), "{html}");
        assert!(
            html.find("\"row\">base:cheap<") > html.find("\"row\">base<"),
            "the dearest is first"
        );
    }

    #[test]
    fn what_is_left_of_a_budget_is_never_less_than_nothing() {
        let monthly = |most| Budget {
            monthly_tokens: Some(most),
            ..Budget::default()
        };
        assert!(shown(&[], &monthly(1_000)).contains("700 tokens left of 1\u{202f}000 tokens"));
        assert!(shown(&[], &monthly(200)).contains("0 tokens left of 200 tokens"));
        assert!(shown(&[], &Budget::default()).contains("no budget"));
    }
}
