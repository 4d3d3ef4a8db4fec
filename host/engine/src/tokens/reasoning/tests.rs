//! Any cut of the stream gives the same reasoning and content. Not here: what a sequence sends.

use super::*;

const OPEN: u32 = 1;
const CLOSE: u32 = 2;
/// A token that is no marker.
const TEXT: u32 = 3;

fn markers() -> ReasoningMarkers {
    ReasoningMarkers {
        open: OPEN,
        close: CLOSE,
        open_text: "<think>",
    }
}

/// Reads the tokens: reasoning, content, tokens of the reasoning. Checks that all of the reasoning comes first.
fn read<'a>(
    mut parser: ReasoningParser,
    tokens: impl IntoIterator<Item = (u32, &'a [u8])>,
) -> (String, String, Option<u32>) {
    let (mut reasoning, mut content) = (String::new(), String::new());
    let mut add = |(channel, text): (Channel, String)| match channel {
        Channel::Reasoning => {
            assert!(content.is_empty(), "reasoning after content");
            reasoning += &text;
        }
        Channel::Content => content += &text,
    };
    for (token, bytes) in tokens {
        add(parser.push(token, bytes));
    }
    (reasoning, content, parser.reasoning_tokens())
}

/// A text whose markers are tokens, and everything else one token.
fn tokens(text: &str) -> Vec<(u32, &[u8])> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("<think>") {
            tokens.push((OPEN, &b""[..]));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("</think>") {
            tokens.push((CLOSE, &b""[..]));
            rest = after;
        } else {
            let end = rest
                .find("<think>")
                .into_iter()
                .chain(rest.find("</think>"))
                .min()
                .unwrap_or(rest.len());
            tokens.push((TEXT, &rest.as_bytes()[..end]));
            rest = &rest[end..];
        }
    }
    tokens
}

fn after(prompt: &str) -> ReasoningParser {
    ReasoningParser::new(Some(markers()), markers().are_opened_by(prompt))
}

#[test]
fn every_cut_of_the_text_into_tokens_gives_the_same() {
    let (thought, answer) = ("\n Ünsure: 2€\u{2581}or 3😀.\n", "\n\n It is 3€ 😀.\n");
    let halves = |text: &'static str, at: usize| {
        let (first, second) = text.as_bytes().split_at(at);
        [(TEXT, first), (TEXT, second)]
    };
    for first in 0..=thought.len() {
        for second in 0..=answer.len() {
            let closed = halves(thought, first)
                .into_iter()
                .chain([(CLOSE, &b""[..])])
                .chain(halves(answer, second));
            for (prompt, opens) in [("…", true), ("…<think>\n", false), ("…<think>", true)] {
                let open = opens.then_some((OPEN, &b""[..]));
                let (reasoning, content, count) = read(after(prompt), open.into_iter().chain(closed.clone()));
                assert_eq!(reasoning, "Ünsure: 2€ or 3😀.\n", "{first} {second}");
                assert_eq!(content, "It is 3€ 😀.\n", "{first} {second}");
                assert_eq!(count, Some(3 + u32::from(opens)));
            }
        }
    }
}

#[test]
fn text_is_reasoning_between_the_markers_and_before_the_answer() {
    for (text, reasoning, content, count) in [
        ("an answer", "", "an answer", 0),
        ("", "", "", 0),
        (" \n<think>a</think>b", "a", "b", 3),
        ("<think>\n\n</think>\n\nb", "", "b", 3),
        ("<think></think>b", "", "b", 2),
        // Cut off inside of the reasoning.
        ("<think>a", "a", "", 2),
        ("<think>", "", "", 1),
        ("<think>a</think> ", "a", "", 3),
        // Models repeat a marker.
        ("<think><think>a</think></think>b", "a", "b", 5),
        ("<think>a</think>\n<think>b</think>c", "ab", "c", 6),
        ("</think>b", "", "b", 1),
        // An answer about markers.
        ("Write <think>a</think> b", "", "Write a b", 0),
        ("<think>a</think>b<think>c", "a", "bc", 3),
    ] {
        let expected = (reasoning.to_owned(), content.to_owned(), Some(count));
        assert_eq!(read(after("…"), tokens(text)), expected, "{text}");
    }
}

#[test]
fn a_character_that_never_comes_is_left_out() {
    let read_all = |tokens: Vec<(u32, &'static [u8])>| read(after("…<think>"), tokens);
    let (reasoning, content, _) = read_all(vec![(TEXT, b"a\xe2\x82"), (CLOSE, b""), (TEXT, b"\xac b")]);
    assert_eq!((reasoning.as_str(), content.as_str()), ("a", "\u{fffd} b"));
    let (reasoning, content, _) = read_all(vec![(TEXT, b"a\xe2\x82")]);
    assert_eq!((reasoning.as_str(), content.as_str()), ("a", ""));
    // The beginning of a character is the beginning of the answer.
    let (reasoning, content, _) = read_all(vec![
        (CLOSE, b""),
        (TEXT, b"\xe2\x82"),
        (OPEN, b""),
        (TEXT, b"\xac</think>"),
    ]);
    assert_eq!((reasoning.as_str(), content.as_str()), ("", "€</think>"));
}

#[test]
fn a_model_without_markers_is_left_alone() {
    let parser = ReasoningParser::new(None, false);
    let tokens = [
        (OPEN, &b" <think>"[..]),
        (TEXT, b" a"),
        (CLOSE, b"</think>"),
        (TEXT, b" b"),
    ];
    let expected = (String::new(), "<think> a</think> b".to_owned(), None);
    assert_eq!(read(parser, tokens), expected);
}

#[test]
fn a_prompt_opens_the_reasoning_only_at_its_end() {
    for (prompt, opened) in [
        ("<|assistant|>", false),
        ("<|assistant|><think>", true),
        ("<|assistant|><think>\n", true),
        ("<|assistant|><think>\n\n</think>\n\n", false),
        ("<|user|>What is <think>?<|assistant|>", false),
    ] {
        assert_eq!(markers().are_opened_by(prompt), opened, "{prompt}");
    }
}
