//! Tools: what a plugin offers the model, and what becomes of a call. Not here: the model's loop (`services`).

use crate::{
    guests::{guest, with_tools},
    host::{Host, request},
    room::Room,
};
use riad_core::{
    ErrorKind,
    plugin::{Stage, ToolOutcome},
};

async fn orders() -> Room {
    let room = Room::empty();
    room.texts("CREATE TABLE orders AS SELECT '4711' AS number, 'Merlin saw' AS item, 'packed' AS state")
        .await;
    room
}

#[tokio::test]
async fn tools_are_offered_with_names_and_schemas() {
    let host = Host::new();
    let run = host.start(&with_tools(&guest("order-tools")), &orders().await).await;
    let tools = run.offer_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["find_order", "delivery_days"]);
    assert!(tools[0].description.as_deref().unwrap().contains("by its number"));
    assert_eq!(tools[0].parameters["required"], serde_json::json!(["number"]));
}

#[tokio::test]
async fn a_call_reads_the_room_and_answers_with_text() {
    let host = Host::new();
    let run = host.start(&with_tools(&guest("order-tools")), &orders().await).await;
    let before = run.fuel();
    let found = run.call_tool("find_order", r#"{"number": "4711"}"#).await.unwrap();
    assert_eq!(found, ToolOutcome::Result("Merlin saw: packed".into()));
    assert!(run.fuel() > before);
    let days = run.call_tool("delivery_days", r#"{"express": false}"#).await.unwrap();
    assert_eq!(days, ToolOutcome::Result("4 working days".into()));
    // The other stages of the request are served as before.
    run.build_prompt(&request("Hello"), &[]).await.unwrap();
}

#[tokio::test]
async fn a_refused_call_is_an_answer_to_the_model() {
    let host = Host::new();
    let run = host.start(&with_tools(&guest("order-tools")), &orders().await).await;
    for (name, arguments, words) in [
        ("find_order", r#"{"number": "12"}"#, "there is no order 12"),
        ("find_order", r#"{"number": 12}"#, "the arguments cannot be used"),
        ("find_orders", "{}", "there is no tool `find_orders`"),
    ] {
        let outcome = run.call_tool(name, arguments).await.unwrap();
        assert!(
            matches!(&outcome, ToolOutcome::Refused(text) if text.contains(words)),
            "{outcome:?}"
        );
    }
    // The guest lives on.
    assert!(run.call_tool("find_order", r#"{"number": "4711"}"#).await.is_ok());
}

#[tokio::test]
async fn a_tool_that_fails_or_traps_ends_the_request() {
    let host = Host::new();
    let tools = guest("order-tools");
    for (number, words) in [("fail", "failed: the orders are on fire"), ("trap", "trapped: ")] {
        let run = host.start(&with_tools(&tools), &orders().await).await;
        let arguments = serde_json::json!({"number": number}).to_string();
        let error = run.call_tool("find_order", &arguments).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginFailed);
        let expected = format!("the tools stage of {} {words}", tools.name());
        assert!(error.message().starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_plan_without_tools_has_no_guest_for_them() {
    let host = Host::new();
    let mut plan = with_tools(&guest("order-tools"));
    plan.stages.remove(&Stage::Tools);
    let run = host.start(&plan, &orders().await).await;
    assert_eq!(host.busy(), 1);
    assert_eq!(run.offer_tools().await.unwrap_err().kind(), ErrorKind::Internal);
}
