//! Usage and costs are a recount of the ledger, whatever is asked.

use super::{QUESTION, around_now, number, priced, results, sum, used};
use riad_core::price::Usage;
use riad_end_to_end::{Chat, EMBEDDER, Tenant, TestHost, files};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Two tenants with all kinds of requests, two keys, an adapter and a plugin. Returns the first and the id of its second key.
async fn busy(host: &TestHost) -> (Tenant, Tenant, String) {
    let (acme, globex) = host.neighbors().await;
    let chat = Chat::new(QUESTION);
    acme.put_adapter("legal", &files::Adapter::acme()).await;
    acme.chat(&chat.clone().adapter("legal")).await;
    acme.chat(&chat).await;
    let second = acme.post("/v1/keys", &json!({"name": "second"})).await.ok();
    let by_second = acme.with_key(second["key"].as_str().unwrap());
    by_second.chat(&chat).await;
    by_second.search(&json!({"query": "refund"})).await;
    by_second
        .post("/v1/embeddings", &json!({"model": EMBEDDER, "input": "text"}))
        .await
        .ok();
    acme.deploy("price-desk", files::PRICE_DESK, &["prompting"]).await;
    acme.chat(&chat).await;
    globex.chat(&chat).await;
    (acme, globex, second["id"].as_str().unwrap().to_owned())
}

/// What each group of entries comes to: what was used, and its cost.
fn recount<'a>(entries: impl IntoIterator<Item = &'a Value>, by: &str) -> BTreeMap<String, (Usage, u64)> {
    let mut sums: BTreeMap<String, (Usage, u64)> = BTreeMap::new();
    for entry in entries {
        let group = entry[by].as_str().unwrap_or_default().to_owned();
        let (all, cost) = sums.entry(group).or_default();
        *all = all.plus(&used(entry));
        *cost += number(entry, "cost_nanos");
    }
    sums
}

fn said(results: &[Value], by: &str) -> BTreeMap<String, Usage> {
    let mut sums: BTreeMap<String, Usage> = BTreeMap::new();
    for result in results {
        let group = result[by]
            .as_str()
            .unwrap_or_else(|| panic!("not grouped by {by}: {result}"))
            .to_owned();
        let used = Usage {
            requests: number(result, "num_model_requests"),
            prompt_tokens: number(result, "input_tokens") - number(result, "embedded_tokens"),
            cached_tokens: number(result, "input_cached_tokens"),
            completion_tokens: number(result, "output_tokens"),
            embedded_tokens: number(result, "embedded_tokens"),
            fuel: number(result, "fuel"),
            stored_byte_hours: number(result, "stored_byte_hours"),
            adapter_byte_hours: number(result, "adapter_byte_hours"),
        };
        let sum = sums.entry(group).or_default();
        *sum = sum.plus(&used);
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_costs_equal_the_ledger_in_every_grouping() {
    let host = priced().await;
    let (acme, _globex, second) = busy(&host).await;
    let own = host.entries("acme").await;
    let all = [own.clone(), host.entries("globex").await].concat();
    let span = around_now();
    for (by, column) in [
        ("tenant", "tenant"),
        ("key", "api_key_id"),
        ("model", "model"),
        ("adapter", "adapter"),
        ("plugin", "plugin"),
        ("kind", "kind"),
    ] {
        for width in ["1m", "1h", "1d"] {
            let query = format!("{span}&bucket_width={width}&limit=200&group_by={by}");
            for (caller, path, entries) in [(&*acme, "/v1", &own), (&host.operator, "/operator/v1", &all)] {
                let expected = recount(entries, column);
                let usage = results(caller, &format!("{path}/usage?{query}")).await;
                let only_used = expected
                    .iter()
                    .map(|(group, (used, _))| (group.clone(), *used))
                    .collect();
                assert_eq!(said(&usage, column), only_used, "{path} by {by}, {width}");
                let costs = results(caller, &format!("{path}/costs?{query}")).await;
                let mut paid: BTreeMap<String, u64> = BTreeMap::new();
                for cost in &costs {
                    *paid.entry(cost[column].as_str().unwrap().to_owned()).or_default() +=
                        number(&cost["amount"], "nanos");
                }
                let only_costs = expected.into_iter().map(|(group, (_, cost))| (group, cost)).collect();
                assert_eq!(paid, only_costs, "{path} by {by}, {width}");
            }
        }
    }
    // The groups are there at all.
    assert_eq!(recount(&own, "kind").len(), 4);
    assert_eq!(recount(&own, "api_key_id").len(), 2);
    assert!(recount(&own, "adapter").contains_key("legal"));
    assert!(
        recount(&own, "plugin").contains_key("price-desk"),
        "{:?}",
        recount(&own, "plugin")
    );

    // Several at once, and what is not grouped by is null.
    let both = results(&acme, &format!("/v1/usage?{span}&group_by=kind,key")).await;
    assert!(
        both.iter()
            .all(|result| result["kind"].is_string() && result["api_key_id"].is_string())
    );
    assert!(
        both.iter()
            .all(|result| result["model"].is_null() && result["tenant"].is_null())
    );
    assert_eq!(sum(&both, "num_model_requests"), sum(&own, "requests"));

    // Filters.
    let count = async |query: &str| {
        let results = results(&acme, &format!("/v1/usage?{span}&{query}")).await;
        sum(&results, "num_model_requests")
    };
    assert_eq!(count(&format!("api_key_ids={second}")).await, 3);
    assert_eq!(count("kinds=chat").await, 4);
    assert_eq!(count("kinds=chat,search").await, 5);
    assert_eq!(count(&format!("models={EMBEDDER}&kinds=embedding")).await, 1);
    assert_eq!(count("models=nothing").await, 0);
    assert_eq!(count("api_key_ids=key_of_nobody").await, 0);
    let of_globex = results(
        &host.operator,
        &format!("/operator/v1/usage?{span}&tenant=globex&group_by=tenant"),
    )
    .await;
    assert_eq!(said(&of_globex, "tenant").into_keys().collect::<Vec<_>>(), ["globex"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_made_a_moment_ago_is_in_usage_and_costs() {
    let host = priced().await;
    let acme = host.tenant("acme").await;
    acme.chat(&Chat::new(QUESTION)).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (width, seconds) in [("1m", 60), ("1h", 3600), ("1d", 86_400)] {
        let span = format!("start_time={}&bucket_width={width}", now - 60);
        for path in ["/v1/usage", "/v1/costs"] {
            let page = acme.get(&format!("{path}?{span}&kinds=chat")).await.ok();
            let buckets = page["data"].as_array().unwrap();
            for bucket in buckets {
                assert_eq!(
                    number(bucket, "end_time") - number(bucket, "start_time"),
                    seconds,
                    "{bucket}"
                );
            }
            let results = buckets.iter().map(|bucket| bucket["results"].as_array().unwrap().len());
            assert_eq!(results.sum::<usize>(), 1, "{page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_buckets_come_to_the_whole_and_have_no_holes() {
    let host = priced().await;
    let acme = host.tenant("acme").await;
    acme.chat(&Chat::new(QUESTION)).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    // Not at a minute's beginning, so that the first bucket is the one that holds it.
    let (start, end) = ((now - 600) / 60 * 60 + 17, (now + 180) / 60 * 60);
    let (mut buckets, mut page, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("/v1/usage?start_time={start}&end_time={end}&bucket_width=1m&limit=5{page}");
        let answer = acme.get(&path).await.ok();
        let data = answer["data"].as_array().unwrap();
        assert!((1..=5).contains(&data.len()), "{answer}");
        buckets.extend(data.iter().cloned());
        pages += 1;
        assert_eq!(answer["has_more"], answer["next_page"].is_string(), "{answer}");
        match answer["next_page"].as_str() {
            Some(next) => page = format!("&page={next}"),
            None => break,
        }
    }
    assert!(pages > 1);
    assert_eq!(number(&buckets[0], "start_time"), start / 60 * 60);
    assert_eq!(number(buckets.last().unwrap(), "end_time"), end);
    for two in buckets.windows(2) {
        assert_eq!(two[0]["end_time"], two[1]["start_time"]);
        assert_eq!(number(&two[0], "end_time") - number(&two[0], "start_time"), 60);
    }
    let results: Vec<Value> = buckets
        .iter()
        .flat_map(|bucket| bucket["results"].as_array().unwrap().clone())
        .collect();
    assert_eq!(sum(&results, "num_model_requests"), 1);

    for (query, word) in [
        ("", "start_time"),
        ("start_time=5&end_time=5", "end_time"),
        ("start_time=soon", "start_time"),
        ("start_time=0&end_time=60&bucket_width=5m", "1m, 1h or 1d"),
        ("start_time=0&end_time=60&limit=0", "limit"),
        ("start_time=0&end_time=60&limit=1441", "limit"),
        ("start_time=0&end_time=60&group_by=color", "group_by"),
        ("start_time=0&end_time=60&kinds=lunch", "lunch"),
        ("start_time=0&end_time=60&page=x", "page"),
        ("start_time=0&end_time=60&format=xml", "format"),
        ("start_time=0&end_time=60&tenant=globex", "tenant"),
    ] {
        for path in ["/v1/usage", "/v1/costs"] {
            let answer = acme.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, 400, "{path}?{query}: {}", answer.body);
            assert!(answer.message().contains(word), "{path}?{query}: {}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_outlives_a_tenant_for_the_operator_not_its_successor() {
    let host = priced().await;
    let acme = host.tenant("acme").await;
    acme.add_document("Secret", "The zebrafish sleeps at noon.").await;
    acme.chat(&Chat::new(QUESTION)).await;
    let entries = host.entries("acme").await;
    let span = around_now();
    let paths = [
        format!("/operator/v1/usage?{span}&tenant=acme&group_by=kind"),
        format!("/operator/v1/costs?{span}&tenant=acme"),
        format!("/operator/v1/rollups?{span}&tenant=acme"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(host.operator.get(path).await.ok());
    }
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    assert_eq!(host.entries("acme").await, entries);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(host.operator.get(path).await.ok(), *before, "{path}");
    }
    let successor = host.tenant("acme").await;
    assert_ne!(successor.account, acme.account);
    assert_eq!(
        results(&successor, &format!("/v1/usage?{span}")).await,
        Vec::<Value>::new()
    );
    assert_eq!(
        results(&successor, &format!("/v1/costs?{span}")).await,
        Vec::<Value>::new()
    );
    assert_eq!(successor.get("/v1/receipts").await.ok()["data"], json!([]));

    successor.chat(&Chat::new(QUESTION)).await;
    let receipts = successor.get("/v1/receipts").await.ok();
    assert_eq!(number(&receipts["data"][0], "number"), 1, "a chain of its own");
    let all = host.entries("acme").await;
    assert_eq!(all.len(), entries.len() + 1);
    let rollups = host.operator.get(&paths[2]).await.ok();
    let mut accounts: Vec<_> = rollups["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| number(line, "account"))
        .collect();
    accounts.dedup();
    assert_eq!(accounts, [acme.account, successor.account], "an invoice for each");

    let host = host.restart().await;
    assert_eq!(host.entries("acme").await, all);
    super::assert_closes(&host).await;
}
