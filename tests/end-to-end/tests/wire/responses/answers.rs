//! Answers of every kind, whole and streamed.

use super::{id, refused, request, respond, stream, text, with};
use riad_end_to_end::{Chat, TestHost, files};
use serde_json::{Value, json};

const QUESTION: &str = "How long is the warranty of the Kestrel drill?";

fn tools() -> Value {
    json!([{
        "type": "function", "name": "look_up",
        "description": "Looks up how long a product's warranty is.",
        "parameters": {
            "type": "object",
            "properties": {"product": {"enum": ["Kestrel", "Heron"]}, "year": {"type": "integer", "minimum": 2000, "maximum": 2099}},
            "required": ["product", "year"],
            "additionalProperties": false,
        },
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_says_what_a_chat_says() {
    let host = TestHost::start().await;
    let (acme, _) = host.neighbors().await;
    let chat = acme.chat(&Chat::new(QUESTION)).await;
    let response = respond(&acme, &request(QUESTION)).await;
    assert_eq!(text(&response), chat["choices"][0]["message"]["content"]);
    assert_eq!(
        (&response["object"], &response["status"], &response["error"]),
        (&json!("response"), &json!("completed"), &Value::Null)
    );
    assert_eq!(response["riad"]["passages"], chat["riad"]["passages"]);
    assert_eq!(response["riad"]["citations"], chat["riad"]["citations"]);
    assert_eq!(
        (&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]),
        (&chat["usage"]["prompt_tokens"], &chat["usage"]["completion_tokens"])
    );
    let receipt = &response["riad"]["receipt"];
    assert_eq!(receipt["completion_tokens"], response["usage"]["output_tokens"]);
    // It is billed as a chat is.
    assert_eq!(receipt["kind"], chat["riad"]["receipt"]["kind"]);

    let events = stream(&acme, &request(QUESTION)).await;
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events[0]["response"]["status"], "in_progress");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(text(&last["response"]), text(&response));
    let pieces: Vec<_> = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert!(pieces.len() > 1);
    assert_eq!(pieces.concat(), text(&response));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_call_goes_on_with_its_result() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let body = with(
        request(QUESTION),
        &json!({"tools": tools(), "tool_choice": "required", "parallel_tool_calls": false, "max_output_tokens": 200}),
    );
    let called = respond(&acme, &body).await;
    assert_eq!(called["status"], "completed");
    let call = called["output"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("look_up"))
    );
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!((2000..=2099).contains(&arguments["year"].as_u64().unwrap()));

    let events = stream(&acme, &body).await;
    let done = events
        .iter()
        .find(|event| event["type"] == "response.function_call_arguments.done")
        .unwrap();
    assert_eq!(done["arguments"], call["arguments"]);

    let result = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "Twelve years."}]);
    let next = respond(
        &acme,
        &with(request(result.clone()), &json!({"previous_response_id": id(&called)})),
    )
    .await;
    assert_eq!(next["previous_response_id"], called["id"]);
    // The same as if the client had sent all of it.
    let mut items = vec![json!({"role": "user", "content": QUESTION}), call.clone()];
    items.extend(result.as_array().unwrap().clone());
    let sent = respond(&acme, &request(items)).await;
    assert_eq!(text(&next), text(&sent));
    assert_eq!(next["usage"]["input_tokens"], sent["usage"]["input_tokens"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_follows_its_schema() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let schema = json!({"type": "object", "properties": {"years": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["years"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "warranty", "schema": schema, "strict": true});
    let response = respond(&acme, &with(request(QUESTION), &json!({"text": {"format": format}}))).await;
    let answer: Value = serde_json::from_str(text(&response)).unwrap();
    assert!((1..=9).contains(&answer["years"].as_u64().unwrap()), "{answer}");
    assert_eq!(response["text"]["format"]["name"], "warranty");
    let cut = respond(&acme, &with(request(QUESTION), &json!({"max_output_tokens": 2}))).await;
    assert_eq!(cut["status"], "incomplete");
    assert_eq!(cut["incomplete_details"]["reason"], "max_output_tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_are_those_of_a_chat() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let chat = Chat::new(QUESTION).with("logprobs", true).with("top_logprobs", 2);
    let chat = acme.chat(&chat).await;
    let include = json!({"include": ["message.output_text.logprobs"], "top_logprobs": 2});
    let response = respond(&acme, &with(request(QUESTION), &include)).await;
    let scored = &response["output"][0]["content"][0]["logprobs"];
    assert_eq!(*scored, chat["choices"][0]["logprobs"]["content"]);
    let events = stream(&acme, &with(request(QUESTION), &include)).await;
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    let pieces: Vec<_> = deltas
        .flat_map(|event| event["logprobs"].as_array().unwrap().clone())
        .collect();
    assert_eq!(Value::from(pieces), *scored);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_named_as_the_request_names_it() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let more = |more: Value| with(request("Hello"), &more);
    for (body, param) in [
        (more(json!({"max_output_tokens": 0})), "max_output_tokens"),
        (more(json!({"max_output_tokens": 4_000_000})), "max_output_tokens"),
        (more(json!({"temperature": 9})), "temperature"),
        (
            more(json!({"tools": [{"type": "function", "name": "a b"}]})),
            "tools[0].name",
        ),
        (more(json!({"tool_choice": "required"})), "tool_choice"),
        (
            more(
                json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "not": {}}}}}),
            ),
            "text.format",
        ),
        (
            more(json!({"tools": tools(), "text": {"format": {"type": "json_object"}}})),
            "text.format",
        ),
        (request(json!([{"role": "user", "content": " "}])), "input[0].content"),
        (request(json!([])), "input"),
        (
            request(json!(vec![json!({"role": "user", "content": "x"}); 257])),
            "input",
        ),
        (more(json!({"background": true})), "background"),
        (more(json!({"nonsense": 1})), "nonsense"),
    ] {
        assert_eq!(refused(&acme, &body).await, param, "{body}");
    }
    // A plugin that reads the answer is not bypassed.
    acme.deploy("desk", files::PRICE_DESK, &["postprocessing"]).await;
    let logprobs = more(json!({"include": ["message.output_text.logprobs"]}));
    assert_eq!(refused(&acme, &logprobs).await, "include");
    assert_eq!(refused(&acme, &more(json!({"tools": tools()}))).await, "tools");
}
