//! Components that were built against older contracts are served as those of today. Not here: which versions are refused (`uploads`).

use crate::{
    guests::{guest, plan, plan_of, plugin, released, text},
    host::{Host, answer, request},
    room::Room,
};
use riad_core::{
    ErrorKind,
    chat::FinishReason,
    plugin::{Prompt, Stage},
    ports::Sandbox,
};
use serde_json::json;

const DRILL: &str = "The warranty of the Kestrel drill is 37 months.";

fn workshop() -> Room {
    let room = Room::with(&[
        ("Drills", DRILL),
        ("Saws", "The warranty of the Merlin saw is 24 months."),
    ]);
    room.set(json!({"prices": {"Kestrel drill": "89 euros"}}));
    room
}

#[tokio::test]
async fn components_of_0_1_are_taken_with_their_stages() {
    use Stage::{Postprocessing, Prompting, Retrieval};
    let host = Host::new();
    for (name, stages) in [
        ("echo", &[Retrieval, Prompting, Postprocessing][..]),
        ("standard", &[Retrieval, Prompting, Postprocessing]),
        ("price-desk", &[Prompting, Postprocessing]),
        ("trap-in-stream", &[Postprocessing]),
    ] {
        let component = released(name);
        // It is not today's under another name.
        assert!(
            component
                .bytes
                .windows(24)
                .all(|bytes| bytes != b"riad:pipeline/types@0.2.0".get(..24).unwrap())
        );
        let info = host.sandbox.compile(None, component.bytes.clone()).await.unwrap();
        assert_eq!(
            (info.digest, info.stages.as_slice()),
            (component.digest, stages),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_standard_pipeline_of_0_1_answers_as_today() {
    let host = Host::new();
    let question = request("How long is the warranty of the Kestrel drill?");
    let output = ["The warranty of the Kes", "trel drill is 37 months. [1]"];
    let mut answers = Vec::new();
    for component in [released("standard"), plugin("standard")] {
        let run = host.start(&plan_of(&component), &workshop()).await;
        answers.push(answer(&*run, &question, &output).await.unwrap());
    }
    assert_eq!(answers[0].passages[0].text, DRILL);
    assert!(answers[0].citations[0].grounded);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_filter_of_0_1_is_ended_without_a_reason() {
    let host = Host::new();
    let desk = released("price-desk");
    let room = workshop();
    let run = host.start(&plan(&guest("echo"), &desk, &desk), &room).await;
    let asked = request("What is the price of the Kestrel drill?");
    let prompt = run.build_prompt(&asked, &[]).await.unwrap();
    assert_eq!(prompt.passages[0].text, "The price of the Kestrel drill is 89 euros.");
    let filter = run.open_filter(&asked, &prompt).await.unwrap();
    assert_eq!(run.push(filter, "Ask bob@example.co").await.unwrap(), "Ask ");
    let ending = run.finish(filter, FinishReason::Length).await.unwrap();
    assert_eq!(ending.text, "[redacted e-mail]");
}

#[tokio::test]
async fn stages_of_both_versions_serve_one_request() {
    let host = Host::new();
    let run = host
        .start(
            &plan(&plugin("standard"), &released("echo"), &guest("echo")),
            &workshop(),
        )
        .await;
    let answer = answer(&*run, &request("warranty of the Kestrel drill"), &["37", " months"])
        .await
        .unwrap();
    assert_eq!(answer.passages[0].text, DRILL);
    assert_eq!(answer.pieces, ["37", " months", ""]);
}

#[tokio::test]
async fn a_trap_of_0_1_fails_as_one_of_today() {
    let host = Host::new();
    let (echo, trap) = (guest("echo"), released("trap-in-stream"));
    let run = host.start(&plan(&echo, &echo, &trap), &Room::empty()).await;
    let prompt = Prompt {
        messages: request("Hello").messages,
        passages: Vec::new(),
    };
    let filter = run.open_filter(&request("Hello"), &prompt).await.unwrap();
    assert_eq!(run.push(filter, "one").await.unwrap(), "one");
    let error = run.push(filter, "two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    assert!(error.message().contains("postprocessing stage"), "{error}");
}

#[tokio::test]
async fn an_unknown_version_is_refused_before_compiling() {
    // No time to compile: what is refused is refused for its names.
    let host = Host::with(|limits| limits.compile_ms = 1);
    let modules = "(core module (func (param i32)))".repeat(20_000);
    for (part, words) in [
        (
            r#"(import "riad:documents/documents@0.9.0" (instance))"#,
            "at version 0.2.0 and 0.1.0",
        ),
        (
            r#"(instance $i) (export "riad:pipeline/prompting@0.9.0" (instance $i))"#,
            "supports are: 0.2.0, 0.1.0",
        ),
        (
            r#"(instance $i) (export "riad:pipeline/tools@0.1.0" (instance $i))"#,
            "supports are: 0.2.0",
        ),
    ] {
        let component = text(&format!("(component {modules} {part})"));
        let error = host.sandbox.compile(None, component.bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(error.message().contains(words), "{words}: {error}");
    }
}
