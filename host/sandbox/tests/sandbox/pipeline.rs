//! The stages of real components: what goes in comes out as the component says.

use crate::{
    guests::{Act, asked, guest, plan, plan_of, plugin, prompted_by, puppet, text},
    host::{Host, answer, request, soon},
    room::Room,
};
use riad_core::{
    ErrorKind,
    chat::{FinishReason, Message, Role},
    plugin::{Citation, Stage},
    ports::{LogLevel, Sandbox},
};
use serde_json::json;

const DRILL: &str = "The Kestrel drill is yellow. The warranty of the Kestrel drill is 37 months. It comes in a box.";
const SAW: &str = "The warranty of the Merlin saw is 24 months.";

fn workshop() -> Room {
    Room::with(&[("Drills", DRILL), ("Saws", SAW)])
}

#[tokio::test]
async fn echo_changes_nothing_in_any_stage() {
    let host = Host::new();
    let room = workshop();
    let run = host.start(&plan_of(&guest("echo")), &room).await;
    let mut request = request("What is läuft?");
    request.messages.insert(
        0,
        Message {
            role: Role::System,
            content: "Be brief.".into(),
        },
    );
    request.messages.insert(
        1,
        Message {
            role: Role::Assistant,
            content: String::new(),
        },
    );
    let answer = answer(&*run, &request, &["Gr", "üße", "", " 🚀"]).await.unwrap();
    assert_eq!(answer.passages, []);
    assert_eq!(answer.prompt.messages, request.messages);
    assert_eq!(answer.pieces, ["Gr", "üße", "", " 🚀", ""]);
    assert_eq!(answer.citations, []);
    assert_eq!(room.searches(), 0);
}

#[tokio::test]
async fn the_standard_pipeline_finds_fits_and_checks() {
    let host = Host::new();
    let room = workshop();
    let run = host.start(&plan_of(&plugin("standard")), &room).await;
    let question = "How long is the warranty of the Kestrel drill?";
    let output = [
        "The warranty of the Kes",
        "trel drill is 37 months. [1] It is 24 months. [2]",
    ];
    let found = answer(&*run, &request(question), &output).await.unwrap();
    let passages: Vec<_> = found
        .passages
        .iter()
        .map(|passage| (passage.document.as_str(), passage.title.as_str(), passage.text.as_str()))
        .collect();
    assert_eq!(
        passages,
        [
            ("d0", "Drills", "The warranty of the Kestrel drill is 37 months."),
            ("d1", "Saws", SAW),
        ]
    );
    assert_eq!(found.passages[1].metadata, crate::room::metadata(json!({"place": 1})));
    let prompt =
        format!("Passages:\n[1] The warranty of the Kestrel drill is 37 months.\n[2] {SAW}\n\nQuestion: {question}");
    assert_eq!(found.prompt.messages, [Message::user(prompt)]);
    assert_eq!(found.pieces, [output[0], output[1], ""]);
    let citations = [(1, true), (2, false)].map(|(passage, grounded)| Citation { passage, grounded });
    assert_eq!(found.citations, citations);
    assert!(room.counts() > 0);
}

#[tokio::test]
async fn the_standard_pipeline_reads_its_setting() {
    let host = Host::new();
    let room = workshop();
    room.set(json!({"retrieval.filter": {"place": 1}}));
    let run = host.start(&plan_of(&plugin("standard")), &room).await;
    let passages = run.retrieve(&request("warranty of the Kestrel drill")).await.unwrap();
    assert_eq!(
        passages
            .iter()
            .map(|passage| passage.document.as_str())
            .collect::<Vec<_>>(),
        ["d1"]
    );
}

#[tokio::test]
async fn the_price_desk_reads_its_sql_store_and_hides_addresses() {
    let host = Host::new();
    let room = workshop();
    room.set(json!({"prices": {"Kestrel drill": "89 euros", "Merlin saw": "120 euros"}}));
    let (standard, desk) = (plugin("standard"), plugin("price-desk"));
    let run = host.start(&plan(&standard, &desk, &desk), &room).await;
    assert_eq!(host.busy(), 2, "two stages share one instance");
    let output = [
        "Ask bob@exam",
        "ple.com. ",
        "The price of the Kestrel drill is 89 euros. [1]",
    ];
    let found = answer(&*run, &request("What is the price of the Kestrel drill?"), &output)
        .await
        .unwrap();
    assert_eq!(found.passages[0].document.as_str(), "price-desk");
    assert_eq!(found.passages[0].text, "The price of the Kestrel drill is 89 euros.");
    assert!(
        found.prompt.messages[0]
            .content
            .contains("[1] The price of the Kestrel drill is 89 euros.")
    );
    assert_eq!(
        found.pieces.concat(),
        "Ask [redacted e-mail]. The price of the Kestrel drill is 89 euros. [1]"
    );
    assert_eq!(found.pieces[0], "Ask ");
    assert_eq!(
        found.citations,
        [Citation {
            passage: 1,
            grounded: false
        }]
    );
    assert_eq!(room.log(), [(LogLevel::Info, "1 prices for this question".to_owned())]);
    assert_eq!(
        room.texts("SELECT item FROM prices ORDER BY item").await,
        ["Kestrel drill", "Merlin saw"]
    );
}

#[tokio::test]
async fn each_choice_has_a_filter_of_its_own() {
    let host = Host::new();
    let room = Room::empty();
    let desk = plugin("price-desk");
    let run = host.start(&plan(&guest("echo"), &desk, &desk), &room).await;
    let prompt = run.build_prompt(&request("Who?"), &[]).await.unwrap();
    let one = run.open_filter(&request("Who?"), &prompt).await.unwrap();
    let other = run.open_filter(&request("Who?"), &prompt).await.unwrap();
    assert_eq!(run.push(one, "bob@exam").await.unwrap(), "");
    assert_eq!(run.push(other, "nobody ").await.unwrap(), "nobody ");
    assert_eq!(run.push(one, "ple.com ").await.unwrap(), "[redacted e-mail] ");
    assert_eq!(run.finish(one, FinishReason::Stop).await.unwrap().text, "");
    assert_eq!(run.push(other, "at all ").await.unwrap(), "at all ");
    assert_eq!(run.push(one, "late").await.unwrap_err().kind(), ErrorKind::Internal);
    run.finish(other, FinishReason::Stop).await.unwrap();
}

#[tokio::test]
async fn a_stages_refusal_reaches_the_client_in_its_words() {
    let host = Host::new();
    let room = Room::empty();
    let standard = plugin("standard");
    let run = host.start(&plan_of(&standard), &room).await;
    let mut wrong = request("Hello");
    wrong.messages[0].role = Role::Assistant;
    let error = run.retrieve(&wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.message(), "the last message must have the role \"user\"");
    // A refusal is an answer: the guest lives on.
    run.retrieve(&request("Hello")).await.unwrap();

    room.set(json!({"prices": 7}));
    let desk = plugin("price-desk");
    let run = host.start(&plan(&standard, &desk, &desk), &room).await;
    let error = run.build_prompt(&request("Hello"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    let beginning = format!("the prompting stage of {} failed: the setting `prices`", desk.name());
    assert!(error.message().starts_with(&beginning), "{error}");
    assert_eq!(room.log(), [(LogLevel::Error, error.message().to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_at_the_same_time_reach_their_own_rooms() {
    let host = Host::new();
    let standard = plan_of(&plugin("standard"));
    soon(async {
        let mut tasks = Vec::new();
        for number in 0..12 {
            let text = format!("The code of the vault is {number}.");
            let room = Room::with(&[("Vault", text.as_str())]);
            let run = host.start(&standard, &room).await;
            tasks.push(tokio::spawn(async move {
                for _ in 0..5 {
                    let found = answer(&*run, &request("What is the code of the vault?"), &[])
                        .await
                        .unwrap();
                    assert_eq!(found.passages.len(), 1);
                    assert_eq!(found.passages[0].text, text);
                }
                assert_eq!(room.searches(), 5);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_guest_sees_no_environment_and_no_arguments() {
    // The process has both.
    assert!(std::env::vars_os().count() > 0 && std::env::args_os().count() > 0);
    let host = Host::new();
    let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
    let prompt = run.build_prompt(&asked(Act::LookAround, 0, 0), &[]).await.unwrap();
    assert_eq!(prompt.messages, [Message::user("")]);
}

#[tokio::test]
async fn a_guest_that_ends_itself_or_answers_no_text_fails() {
    let host = Host::new();
    let puppet = puppet();
    for (act, words) in [
        (Act::Exit, "ended itself with exit code 1"),
        (
            Act::AnswerNoText,
            "passed a value to the host that the component model does not allow",
        ),
    ] {
        let run = host.start(&prompted_by(&puppet), &Room::empty()).await;
        let error = run.build_prompt(&asked(act, 0, 0), &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginFailed, "{act:?}");
        let expected = format!("the prompting stage of {} {words}", puppet.name());
        assert!(error.message().starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_stage_must_be_one_that_its_component_has() {
    let host = Host::new();
    let desk = plugin("price-desk");
    let refused = host.sandbox.start(&plan_of(&desk), Room::empty().capabilities()).await;
    let error = refused.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    assert_eq!(
        error.message(),
        format!("{} does not export the {} stage", desk.name(), Stage::Retrieval)
    );
}

#[tokio::test]
async fn a_guest_that_traps_before_its_first_call_fails_the_start() {
    let host = Host::new();
    let wat = include_str!("puppet.wat").replace(
        "(global $calls (mut i32) (i32.const 0))",
        "(global $calls (mut i32) (i32.const 0)) (func $begin unreachable) (start $begin)",
    );
    let broken = text(&wat);
    host.sandbox.compile(None, broken.bytes.clone()).await.unwrap();
    let refused = host
        .sandbox
        .start(&prompted_by(&broken), Room::empty().capabilities())
        .await;
    let error = refused.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    assert!(
        error.message().contains("prompting stage") && error.message().contains("unreachable"),
        "{error}"
    );
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn a_spy_finds_only_what_its_own_room_has() {
    let host = Host::new();
    let spy = prompted_by(&guest("spy"));
    let seen = async |room: &Room| {
        let run = host.start(&spy, room).await;
        let prompt = run.build_prompt(&request("Hello"), &[]).await.unwrap();
        assert!(prompt.passages.len() > 100, "{} attempts", prompt.passages.len());
        let texts = prompt.passages.iter().map(|passage| passage.text.as_str());
        texts.filter(|text| text.contains("canary-")).count()
    };
    let ours = Room::with(&[("Vault", "The vault holds canary-document.")]);
    ours.set(json!({"secret": "canary-setting", "spy.needles": ["vault"], "spy.ids": ["d0"]}));
    ours.texts("CREATE TABLE vault AS SELECT 'canary-row' AS word").await;
    // It does look everywhere: search, document, setting and table.
    assert!(seen(&ours).await >= 4);
    let theirs = Room::with(&[("Garden", "The garden holds roses.")]);
    theirs.set(json!({"spy.needles": ["vault"], "spy.ids": ["d0"]}));
    assert_eq!(seen(&theirs).await, 0);
}
