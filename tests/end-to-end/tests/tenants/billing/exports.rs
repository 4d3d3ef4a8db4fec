//! What billing systems read: CSV and CloudEvents, page after page.

use super::{QUESTION, around_now, number, priced, sum};
use riad_end_to_end::{Answer, Caller, Chat};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The rows of a CSV file whose fields need no quotes.
fn rows(answer: &Answer) -> Vec<BTreeMap<String, String>> {
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8",
        "{}",
        answer.body
    );
    assert!(
        answer
            .header("content-disposition")
            .starts_with("attachment; filename=\"riad-")
    );
    assert!(!answer.body.contains('"'), "{}", answer.body);
    let mut lines = answer.body.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), names.len(), "{line}");
            names
                .iter()
                .zip(fields)
                .map(|(name, field)| ((*name).to_owned(), field.to_owned()))
                .collect()
        })
        .collect()
}

fn total(rows: &[BTreeMap<String, String>], name: &str) -> u64 {
    rows.iter().map(|row| row[name].parse::<u64>().unwrap()).sum()
}

async fn page(operator: &Caller, after: u64, format: &str) -> Answer {
    let path = format!("/operator/v1/ledger/entries?limit=3&after={after}&format={format}");
    let answer = operator.get(&path).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_comes_once_in_each_format_and_says_the_same() {
    let host = priced().await;
    let (acme, _globex) = host.neighbors().await;
    acme.chat(&Chat::new(QUESTION)).await;
    let (mut entries, mut events, mut lines, mut after) = (Vec::new(), Vec::new(), Vec::new(), 0);
    loop {
        let json = page(&host.operator, after, "json").await.json();
        let data = json["data"].as_array().unwrap().clone();
        let batch = page(&host.operator, after, "cloudevents").await;
        assert_eq!(
            batch.header("content-type"),
            "application/cloudevents-batch+json; charset=utf-8"
        );
        events.extend(batch.json().as_array().unwrap().iter().cloned());
        lines.extend(rows(&page(&host.operator, after, "csv").await));
        after = number(data.last().unwrap(), "position");
        entries.extend(data);
        if json["has_more"] == false {
            break;
        }
    }
    assert_eq!(entries.len(), 7, "three documents each, and a chat");
    for two in entries.windows(2) {
        assert!(number(&two[0], "position") < number(&two[1], "position"));
    }

    assert_eq!(events.len(), entries.len());
    let mut ids = BTreeSet::new();
    for (event, entry) in events.iter().zip(&entries) {
        assert_eq!(event["data"], *entry);
        assert_eq!(
            (&event["specversion"], &event["type"]),
            (&"1.0".into(), &"riad.ledger.entry".into())
        );
        assert_eq!(
            (&event["subject"], &event["datacontenttype"]),
            (&entry["tenant"], &"application/json".into())
        );
        assert!(event["source"].as_str().is_some_and(|source| !source.is_empty()));
        let time = event["time"].as_str().unwrap();
        assert!(
            time.starts_with("20") && time.ends_with('Z') && time.contains('T'),
            "{time}"
        );
        ids.insert((event["source"].to_string(), event["id"].to_string()));
    }
    assert_eq!(ids.len(), events.len(), "who reads one twice can tell");

    assert_eq!(lines.len(), entries.len());
    for (line, entry) in lines.iter().zip(&entries) {
        for (name, field) in line {
            let value = &entry[name];
            let text = match value.as_str() {
                Some(text) => text.to_owned(),
                None if value.is_null() => String::new(),
                None => value.to_string(),
            };
            assert_eq!(*field, text, "{name} of {entry}");
        }
        assert_eq!(line.len(), entry.as_object().unwrap().len());
    }
    // Nothing is left after the last one, and no page is too large.
    assert_eq!(page(&host.operator, after, "json").await.json()["data"], json!([]));
    for query in [
        "limit=0",
        "limit=1001",
        "after=-1",
        "tenant=../x",
        "format=xml",
        "color=red",
    ] {
        let answer = host.operator.get(&format!("/operator/v1/ledger/entries?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_costs_and_rollups_are_files_for_a_spreadsheet_too() {
    let host = priced().await;
    let (acme, globex) = host.neighbors().await;
    acme.chat(&Chat::new(QUESTION)).await;
    globex.chat(&Chat::new(QUESTION)).await;
    let all = [host.entries("acme").await, host.entries("globex").await].concat();
    let span = around_now();
    for path in ["/operator/v1/usage", "/operator/v1/costs", "/operator/v1/rollups"] {
        let grouped = if path.ends_with("rollups") {
            ""
        } else {
            "&group_by=tenant,kind"
        };
        let lines = rows(&host.operator.get(&format!("{path}?{span}{grouped}&format=csv")).await);
        for name in [
            "requests",
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "embedded_tokens",
            "fuel",
            "cost_nanos",
        ] {
            assert_eq!(total(&lines, name), sum(&all, name), "{name} of {path}");
        }
        let tenants: BTreeSet<_> = lines.iter().map(|line| line["tenant"].as_str()).collect();
        assert_eq!(tenants, BTreeSet::from(["acme", "globex"]), "{path}");
    }
    let own = rows(&acme.get(&format!("/v1/usage?{span}&group_by=tenant&format=csv")).await);
    assert!(own.iter().all(|line| line["tenant"] == "acme"));
    assert_eq!(
        total(&own, "cost_nanos"),
        sum(&host.entries("acme").await, "cost_nanos")
    );
}
