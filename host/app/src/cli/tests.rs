//! The command line parses as its help says, and the help is a snapshot.

use super::*;
use clap::CommandFactory;
use riad_core::plugin::StageChoice;

fn parse(args: &[&str]) -> std::result::Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("riad").chain(args.iter().copied()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_is_as_the_snapshot_says() {
    let mut text = String::new();
    let mut todo = vec![Cli::command().term_width(100)];
    todo[0].build();
    while let Some(mut command) = todo.pop() {
        text += &format!("{}\n\n", command.render_help());
        let mut below: Vec<_> = command
            .get_subcommands()
            .filter(|c| c.get_name() != "help" && !c.is_hide_set())
            .cloned()
            .collect();
        below.reverse();
        todo.extend(below);
    }
    // The environment of whoever runs the test does not belong into it; keys are hidden by the definition itself.
    let text = text.replace(
        &format!(
            "RIAD_URL={}",
            std::env::var_os("RIAD_URL").unwrap_or_default().to_string_lossy()
        ),
        "RIAD_URL=",
    );
    insta::assert_snapshot!("help", text);
}

#[test]
fn flags_may_stand_behind_the_command() {
    let cli = parse(&[
        "document",
        "list",
        "--json",
        "--url",
        "http://example.test",
        "--key",
        "riad_sk_x",
    ])
    .unwrap();
    let Command::Document(call) = cli.command else {
        panic!("not a document command")
    };
    assert!(call.at.json);
    assert_eq!(call.at.url, "http://example.test");
    assert_eq!(call.at.key.unwrap().reveal(), "riad_sk_x");
}

#[test]
fn a_key_does_not_show_in_debug_output() {
    let cli = parse(&["models", "--key", "riad_sk_x"]).unwrap();
    assert!(!format!("{cli:?}").contains("riad_sk_x"));
}

#[test]
fn an_id_that_could_leave_a_path_is_refused() {
    for bad in ["../acme", "a/b", "A"] {
        let error = parse(&["tenant", "show", bad]).unwrap_err().to_string();
        assert!(error.contains("a tenant id must be"), "{error}");
    }
}

#[test]
fn members_and_stages_are_checked() {
    assert_eq!(
        "limit=5".parse::<Member>().unwrap(),
        Member {
            key: "limit".into(),
            value: 5.into()
        }
    );
    let error = "name=Kestrel".parse::<Member>().unwrap_err().to_string();
    assert!(error.contains("name='\"text\"'"), "{error}");
    let setting: StageSetting = "prompting=price-desk".parse().unwrap();
    assert_eq!(setting.choice, WantedChoice::Newest("price-desk".parse().unwrap()));
    let setting: StageSetting = "retrieval=standard".parse().unwrap();
    assert_eq!(setting.choice, WantedChoice::Exact(StageChoice::Standard));
    assert!("reranking=standard".parse::<StageSetting>().is_err());
    assert!("prompting=desk@sha256:00".parse::<StageSetting>().is_err());
}

#[test]
fn chat_streams_unless_told_otherwise_and_joins_its_words() {
    let Command::Chat(args) = parse(&["chat", "what", "is", "it?"]).unwrap().command else {
        panic!("not a chat")
    };
    assert!(!args.no_stream);
    assert_eq!(args.text.join(" "), "what is it?");
}
