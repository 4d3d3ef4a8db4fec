//! One chat's receipt, and the chain that receipts are.

use super::{PRICES, QUESTION, around_now, assert_closes, number, priced, public_key, results, signed, sum, used};
use riad_core::receipt::SignedReceipt;
use riad_end_to_end::{Caller, Chat, EMBEDDER, MODEL, TestHost, files};
use riad_services::metering::receipts::{PublicKey, follows, verify_receipt};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn receipt_entry_and_usage_agree_and_the_price_is_exact() {
    let host = priced().await;
    let (acme, _globex) = host.neighbors().await;
    let key = public_key(&host).await;
    let before = host.entries("acme").await.len();
    let asked = acme.request(reqwest::Method::POST, "/v1/chat/completions");
    let answer = acme.send(asked.json(&Chat::new(QUESTION).body(false))).await;
    let answer = answer.ok();
    let receipt = &answer["riad"]["receipt"];
    for name in ["prompt_tokens", "completion_tokens"] {
        assert_eq!(receipt[name], answer["usage"][name]);
        assert!(number(receipt, name) > 0);
    }
    // The search that found the passages is in it.
    assert!(
        number(receipt, "embedded_tokens") > 0 && number(receipt, "fuel") > 0,
        "{receipt}"
    );

    let entries = host.entries("acme").await;
    assert_eq!(entries.len(), before + 1, "one chat, one entry");
    let entry = entries.last().unwrap();
    for name in [
        "tenant",
        "number",
        "request",
        "model",
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "embedded_tokens",
        "fuel",
        "plan",
        "plan_version",
        "cost_nanos",
    ] {
        assert_eq!(entry[name], receipt[name], "{name}");
    }
    assert_eq!(entry["receipt"], receipt["jws"]);
    assert_eq!(
        (&entry["kind"], &entry["outcome"]),
        (&"chat".into(), &"completed".into())
    );
    assert_eq!(
        (&entry["adapter"], &entry["plugin"]),
        (&Value::Null, &"standard".into())
    );
    assert_eq!((number(entry, "requests"), number(entry, "account")), (1, acme.account));
    assert_eq!(entry["api_key_id"], acme.key_id.as_str());
    assert_eq!(entry["model"], MODEL);
    assert_eq!(number(entry, "cost_nanos"), PRICES.nanos(&used(entry)));
    let payload = signed(entry, &key);
    assert_eq!(
        serde_json::to_value(payload.served_by.plugins).unwrap(),
        receipt["plugins"]
    );
    assert_eq!(payload.served_by.index_watermark, number(receipt, "index_watermark"));

    let usage = results(&acme, &format!("/v1/usage?{}&kinds=chat", around_now())).await;
    let [usage] = usage.as_slice() else { panic!("{usage:?}") };
    assert_eq!(
        number(usage, "input_tokens"),
        number(receipt, "prompt_tokens") + number(receipt, "embedded_tokens")
    );
    assert_eq!(usage["output_tokens"], receipt["completion_tokens"]);
    assert_eq!(
        (number(usage, "num_model_requests"), &usage["fuel"]),
        (1, &receipt["fuel"])
    );
    let costs = results(&acme, &format!("/v1/costs?{}&kinds=chat", around_now())).await;
    assert_eq!(costs[0]["amount"]["nanos"], receipt["cost_nanos"]);
    assert_eq!(costs[0]["amount"]["currency"], "usd");
}

/// All of the caller's receipts, two at a time.
async fn chain(caller: &Caller) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("/v1/receipts?limit=2{after}")).await.ok();
        let items = page["data"].as_array().unwrap();
        assert!(items.len() <= 2);
        all.extend(items.iter().cloned());
        assert_eq!(page["has_more"], !page["next"].is_null(), "{page}");
        match page["next"].as_u64() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

fn read(receipts: &[Value], key: &PublicKey) -> Vec<SignedReceipt> {
    let read = receipts.iter().map(|item| {
        let jws = item["jws"].as_str().unwrap().to_owned();
        let receipt = verify_receipt(&jws, key).unwrap();
        assert_eq!(
            (number(item, "number"), number(item, "tokens")),
            (receipt.number, receipt.used.tokens())
        );
        SignedReceipt { receipt, jws }
    });
    read.collect()
}

fn assert_whole(chain: &[SignedReceipt]) {
    assert_eq!((chain[0].receipt.number, chain[0].receipt.previous), (1, None));
    for two in chain.windows(2) {
        assert!(follows(&two[1].receipt, &two[0]), "{two:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_a_verifiable_chain_that_survives_a_restart() {
    let host = priced().await;
    let (acme, globex) = host.neighbors().await;
    // Two tenants at the same time: each has a chain of its own.
    let chat = Chat::new(QUESTION);
    let embed = json!({"model": EMBEDDER, "input": ["one text", "and another"]});
    let _ = tokio::join!(
        acme.chat(&chat),
        globex.chat(&chat),
        acme.post("/v1/embeddings", &embed)
    );
    acme.search(&json!({"query": "refund"})).await;
    acme.stream(&chat).await.rest().await;

    let key = public_key(&host).await;
    let receipts = chain(&acme).await;
    let read_before = read(&receipts, &key);
    assert_whole(&read_before);
    assert_eq!(read_before.len(), files::ACME.len() + 4);
    assert!(
        read_before
            .iter()
            .all(|signed| signed.receipt.tenant.as_str() == "acme")
    );
    assert_whole(&read(&chain(&globex).await, &key));

    // One changed character of the payload, one receipt left out, another server's key.
    let mut forged = read_before[2].jws.clone();
    let middle = forged.find('.').unwrap() + 40;
    let other = if &forged[middle..=middle] == "A" { "B" } else { "A" };
    forged.replace_range(middle..=middle, other);
    assert!(verify_receipt(&forged, &key).is_err());
    assert!(!follows(&read_before[3].receipt, &read_before[1]));

    let (acme_key, folder_runs) = (
        acme.key.clone(),
        assert_closes(&host).await["runs"].as_array().unwrap().len(),
    );
    let host = host.restart().await;
    let acme = host.caller(&acme_key);
    assert_eq!(public_key(&host).await, key, "the signing key outlives the process");
    acme.chat(&chat).await;
    let receipts = chain(&acme).await;
    let read_after = read(&receipts, &key);
    assert_eq!(read_after[..read_before.len()], read_before);
    assert_eq!(read_after.len(), read_before.len() + 1);
    assert_whole(&read_after);

    let found = assert_closes(&host).await;
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.len(), folder_runs + 1);
    let all: Vec<Value> = [host.entries("acme").await, host.entries("globex").await].concat();
    assert_eq!(number(&found, "entries"), all.len() as u64);
    for (run, entry) in [
        ("prompt", "prompt_tokens"),
        ("cached", "cached_tokens"),
        ("completion", "completion_tokens"),
        ("embedded", "embedded_tokens"),
    ] {
        let ledger: u64 = runs.iter().map(|one| number(&one["ledger"], run)).sum();
        assert_eq!(ledger, sum(&all, entry), "{run}");
    }

    let stranger = TestHost::builder().max_sequences(1).start().await;
    assert!(verify_receipt(&read_after[0].jws, &public_key(&stranger).await).is_err());
}
