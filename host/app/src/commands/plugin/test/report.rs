//! What `riad plugin test` prints.

use super::{Tried, compare::Difference, runner::Outcome};
use crate::output::{bold, clean, dim, table};
use serde_json::{Value, json};
use std::time::Duration;

pub fn json(tried: &[Tried]) -> Value {
    let cases = tried.iter().map(|case| {
        let differences = case.differences.as_ref().map(|differences| {
            let difference =
                |one: &Difference| json!({"place": one.place, "expected": one.expected, "found": one.found});
            differences.iter().map(difference).collect::<Vec<_>>()
        });
        json!({
            "name": case.name,
            "passed": case.has_passed(),
            "differences": differences,
            "found": case.outcome.results(),
            "fuel": case.outcome.fuel(),
            "guest_us": micros(case.outcome.guest_time()),
            "host_calls": case.outcome.host_calls(),
            "memory_bytes": case.outcome.memory,
        })
    });
    json!({"passed": tried.iter().all(Tried::has_passed), "cases": cases.collect::<Vec<_>>()})
}

pub fn text(tried: &[Tried]) -> String {
    let rows: Vec<Vec<String>> = tried
        .iter()
        .map(|case| {
            vec![
                if case.has_passed() { "ok" } else { "FAILED" }.to_owned(),
                case.name.clone(),
                case.outcome.fuel().to_string(),
                milliseconds(case.outcome.guest_time()),
                case.outcome.host_calls().to_string(),
                (case.outcome.memory >> 10).to_string(),
            ]
        })
        .collect();
    let mut text = table::render(&["", "case", "fuel", "guest ms", "host calls", "memory KiB"], &rows);
    for case in tried.iter().filter(|case| !case.has_passed()) {
        text += &format!("\n{}\n", bold(&clean(&case.name)));
        match &case.differences {
            None => text += "  expects nothing yet; `riad plugin test --update` writes down what came out\n",
            Some(differences) => differences.iter().for_each(|difference| text += &describe(difference)),
        }
    }
    let failed = tried.iter().filter(|case| !case.has_passed()).count();
    text + &match failed {
        0 => format!("\nAll {} cases are as expected.", tried.len()),
        failed => format!("\n{failed} of {} cases differ from what they expect.", tried.len()),
    }
}

/// What a case used, in one line.
pub fn used(outcome: &Outcome) -> String {
    format!(
        "Fuel {}, {} ms in the guest, {} host calls, {} KiB of memory.",
        outcome.fuel(),
        milliseconds(outcome.guest_time()),
        outcome.host_calls(),
        outcome.memory >> 10
    )
}

fn describe(difference: &Difference) -> String {
    let shown = |value: &Option<Value>| match value {
        Some(value) => clean(&value.to_string()),
        None => "nothing".to_owned(),
    };
    format!(
        "  {}\n    {} {}\n    {} {}\n",
        clean(&difference.place),
        dim("expected"),
        shown(&difference.expected),
        dim("   found"),
        shown(&difference.found)
    )
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
