//! Endings that mistral.rs by itself gets wrong: with the first token, and inside of a character. The models here know two
//! tokens, and say the one or the other by what they have read. Not here: `max_tokens` and stop sequences (`answers`).

use super::{
    common::{
        ask,
        checkpoint::{HEAD, Made, SMALL},
        llama::Llama,
        shipped::{self, Template},
    },
    exclusive,
};
use riad_core::chat::{FinishReason, Message, Sampling};

const WORDS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// `eos_token_id` of the shipped tokenizer.
const END: u32 = 5;

/// One token where a row of the head says yes, the other where it says no.
fn of_two_tokens(seed: u64, yes: u32, no: u32) -> Made {
    Made::changed("llama", SMALL, seed, |tensors| {
        let head = tensors.get_mut(&format!("{HEAD}.weight")).unwrap();
        let row = head
            .row(Template::read(&shipped::base()).pieces("a")[0] as usize)
            .to_vec();
        head.data.fill(0.0);
        head.row_mut(yes as usize).copy_from_slice(&row);
        head.row_mut(no as usize)
            .iter_mut()
            .zip(row)
            .for_each(|(no, yes)| *no = -yes);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_with_its_first_token_ends_there() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let made = of_two_tokens(3, template.pieces("a")[0], END);
    let reference = Llama::read(&made.model(), None);
    let engine = ask::open(&made.model(), 1).await;
    let (mut at_once, mut later) = (0, 0);
    for word in WORDS {
        let messages = [Message::user(word)];
        let expected = reference.complete(&template.ids(&messages), 20);
        let answer = ask::ask(&engine, &messages, &Sampling::greedy(20), None).await.unwrap();
        assert_eq!(answer.text, template.text(&expected.ids), "{word}");
        assert_eq!(answer.tokens() as usize, expected.ids.len(), "{word}");
        assert_eq!(answer.finish() == FinishReason::Stop, expected.ended, "{word}");
        *(if expected.ids == [END] {
            &mut at_once
        } else {
            &mut later
        }) += 1;
    }
    assert!(at_once > 0 && later > 0, "{at_once} {later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_inside_of_a_character_is_counted_like_any_other() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let letter = template.pieces("a")[0];
    let [half, _] = template.pieces("ÿ")[..] else {
        panic!("a letter of two tokens")
    };
    // Of such models, one that begins with the letter and comes to the half later.
    let messages = [Message::user("Hello")];
    let made = (1..50).map(|seed| of_two_tokens(seed, letter, half)).find(|made| {
        let ids = Llama::read(&made.model(), None)
            .complete(&template.ids(&messages), 20)
            .ids;
        ids[0] == letter && ids.contains(&half)
    });
    let made = made.expect("a model that says both");
    let ids = Llama::read(&made.model(), None)
        .complete(&template.ids(&messages), 20)
        .ids;
    let engine = ask::open(&made.model(), 1).await;
    let mut cuts = 0;
    for max_tokens in 1..=ids.len() {
        let sampling = Sampling::greedy(max_tokens as u32);
        let answer = ask::ask(&engine, &messages, &sampling, None).await.unwrap();
        // Half a character is shown as such where another follows, and left out at the end.
        let text = template.text(&ids[..max_tokens]);
        let is_cut = ids[max_tokens - 1] == half;
        let expected = if is_cut {
            text.strip_suffix('\u{FFFD}').unwrap()
        } else {
            &text
        };
        assert_eq!(answer.text, expected);
        assert_eq!(answer.finish(), FinishReason::Length);
        assert_eq!(answer.tokens() as usize, max_tokens);
        assert_eq!(
            answer.end.usage.prompt_tokens,
            engine.encode(&messages).unwrap().count()
        );
        cuts += usize::from(is_cut);
    }
    assert!(cuts > 0, "no cut was inside of a character");
}

/// A model whose first token is one of the two, and whose second is the other, by what it was asked.
fn beginning_with(first: u32, then: u32) -> (Made, Vec<u32>) {
    let template = Template::read(&shipped::base());
    let prompt = template.ids(&[Message::user("Hello")]);
    (1..200)
        .map(|seed| of_two_tokens(seed, first, then))
        .find_map(|made| {
            let ids = Llama::read(&made.model(), None).complete(&prompt, 20).ids;
            (ids.first() == Some(&first) && ids.get(1) == Some(&then)).then_some((made, ids))
        })
        .expect("a model that says both")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_right_after_half_a_character_is_an_end() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let half = template.pieces("ÿ")[0];
    let (made, ids) = beginning_with(half, END);
    assert_eq!(ids, [half, END]);
    let engine = ask::open(&made.model(), 1).await;
    let answer = ask::ask(&engine, &[Message::user("Hello")], &Sampling::greedy(20), None)
        .await
        .unwrap();
    assert_eq!((answer.finish(), answer.tokens()), (FinishReason::Stop, 2));
    assert_eq!(answer.text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_that_is_half_a_character_is_one_token() {
    let _exclusive = exclusive().await;
    let template = Template::read(&shipped::base());
    let half = template.pieces("ÿ")[0];
    let (made, _) = beginning_with(half, END);
    let engine = ask::open(&made.model(), 1).await;
    let answer = ask::ask(&engine, &[Message::user("Hello")], &Sampling::greedy(1), None)
        .await
        .unwrap();
    assert_eq!((answer.finish(), answer.tokens()), (FinishReason::Length, 1));
}
