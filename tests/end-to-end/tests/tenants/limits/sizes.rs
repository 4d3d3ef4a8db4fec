//! How large a request may be and how urgent.

use super::QUESTION;
use riad_end_to_end::{Chat, TestHost};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_contexts_are_bounded_by_the_tenants_limits() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = host.neighbors().await;
    host.change("acme", json!({"limits": {"completion_tokens": 6}})).await;
    let refused = acme.try_chat(&Chat::new(QUESTION).with("max_tokens", 7)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param")),
        (400, "max_tokens".into()),
        "{}",
        refused.body
    );
    assert!(
        refused.message().contains("at most 6 for this tenant"),
        "{}",
        refused.message()
    );
    assert_eq!(
        acme.chat(&Chat::new(QUESTION).with("max_tokens", 6)).await["usage"]["completion_tokens"],
        6
    );
    // A request without `max_tokens` gets as many.
    let mut unsaid = Chat::new(QUESTION).body(false);
    unsaid.as_object_mut().unwrap().remove("max_tokens");
    let answer = acme.post("/v1/chat/completions", &unsaid).await.ok();
    assert_eq!(
        (
            &answer["usage"]["completion_tokens"],
            &answer["choices"][0]["finish_reason"]
        ),
        (&6.into(), &"length".into())
    );

    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    host.change(
        "acme",
        json!({"limits": {"context_tokens": prompt + 10, "completion_tokens": null}}),
    )
    .await;
    let refused = acme
        .try_chat(&Chat::new(QUESTION).with("max_tokens", 11))
        .await
        .refused(400, "context_length_exceeded");
    for word in [
        "this tenant's limit",
        &(prompt + 10).to_string(),
        &(prompt + 11).to_string(),
    ] {
        assert!(refused.message().contains(word), "{} lacks {word}", refused.message());
    }
    acme.chat(&Chat::new(QUESTION).with("max_tokens", 10)).await;
    let answer = acme.post("/v1/chat/completions", &unsaid).await.ok();
    assert!(
        answer["usage"]["total_tokens"].as_u64().unwrap() <= prompt + 10,
        "{}",
        answer["usage"]
    );
    // The neighbor's are the model's.
    globex.chat(&Chat::new(QUESTION).with("max_tokens", 400)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_above_the_tenants_is_refused_and_one_below_is_served() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let tier = |word: &str| Chat::new("Hello").with("max_tokens", 4).with("service_tier", word);
    for word in ["auto", "default", "flex"] {
        acme.chat(&tier(word)).await;
    }
    let refused = acme.try_chat(&tier("priority")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param")),
        (400, "service_tier".into()),
        "{}",
        refused.body
    );
    assert!(
        refused.message().contains("at most default for this tenant"),
        "{}",
        refused.message()
    );
    let unknown = acme.try_chat(&tier("gold")).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.text("/error/param")),
        (400, "service_tier".into()),
        "{}",
        unknown.body
    );

    host.change("acme", json!({"limits": {"service_tier": "priority"}}))
        .await;
    acme.chat(&tier("priority")).await;
    host.change("acme", json!({"limits": {"service_tier": "flex"}})).await;
    for word in ["default", "priority"] {
        assert_eq!(acme.try_chat(&tier(word)).await.text("/error/param"), "service_tier");
    }
    // Without `service_tier`, or with `auto`, a request gets the best tier up to the standard one.
    acme.chat(&Chat::new("Hello").with("max_tokens", 4)).await;
    acme.chat(&tier("auto")).await;
}
