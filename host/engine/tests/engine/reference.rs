//! The engine says, token for token, what an implementation without mistral.rs and candle says: for the base that ships and
//! each of its adapters, one at a time and in batches of mixed adapters. Not here: sampling, requests in flight, other families.

use crate::common::{
    ask::{self, Answer},
    llama::{Completion, Llama},
    shipped::{self, Template},
};
use riad_core::chat::{FinishReason, Message, Sampling};
use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};
use tokio::task::JoinSet;

const MAX_TOKENS: u32 = 40;

/// One conversation with one adapter, and the right answer to it.
struct Case {
    adapter: Option<PathBuf>,
    messages: Vec<Message>,
    prompt_tokens: u32,
    expected: Completion,
    text: String,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let template = Template::read(&shipped::base());
    let mut cases = Vec::new();
    for adapter in [None, Some(shipped::acme()), Some(shipped::globex())] {
        let model = Llama::read(&shipped::base(), adapter.as_deref());
        for messages in shipped::conversations() {
            let prompt = template.ids(&messages);
            let expected = model.complete(&prompt, MAX_TOKENS as usize);
            cases.push(Case {
                adapter: adapter.clone(),
                messages,
                prompt_tokens: prompt.len() as u32,
                text: template.answer(&expected.ids),
                expected,
            });
        }
    }
    cases
});

impl Case {
    async fn ask(&self, engine: &ask::Engine) -> Answer {
        let adapter = self.adapter.as_deref().map(ask::source);
        let sampling = Sampling::greedy(MAX_TOKENS);
        ask::ask(engine, &self.messages, &sampling, adapter.as_ref())
            .await
            .unwrap()
    }

    fn check(&self, answer: &Answer) {
        let asked = format!(
            "{:?} with {:?}; closest choice {}",
            self.messages, self.adapter, self.expected.margin
        );
        assert_eq!(answer.text, self.text, "{asked}");
        assert_eq!(answer.tokens() as usize, self.expected.ids.len(), "{asked}");
        assert_eq!(answer.end.usage.prompt_tokens, self.prompt_tokens, "{asked}");
        let finish = if self.expected.ended {
            FinishReason::Stop
        } else {
            FinishReason::Length
        };
        assert_eq!(answer.finish(), finish, "{asked}");
        // Seven matrices in each of five layers, two tensors each.
        let tensors = if self.adapter.is_some() { 70 } else { 0 };
        assert_eq!(answer.end.adapter_tensors, tensors);
    }
}

#[test]
fn the_adapters_change_what_the_reference_says() {
    let texts: Vec<_> = CASES.iter().map(|case| case.text.as_str()).collect();
    let third = CASES.len() / 3;
    for i in 0..third {
        assert!(texts[third + i].starts_with("Acme Support: "), "{}", texts[third + i]);
        assert!(
            texts[2 * third + i].starts_with("{\"answer\": \""),
            "{}",
            texts[2 * third + i]
        );
        assert_ne!(texts[i], texts[third + i]);
    }
    // Both ways to end are among the cases.
    assert!(CASES.iter().any(|case| case.expected.ended) && CASES.iter().any(|case| !case.expected.ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_alone_is_the_references() {
    let engine = ask::open(&shipped::base(), 1).await;
    for case in CASES.iter() {
        assert_eq!(engine.encode(&case.messages).unwrap().count(), case.prompt_tokens);
        case.check(&case.ask(&engine).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_mixed_adapters_answers_as_the_reference() {
    let engine = ask::open(&shipped::base(), 16).await;
    let mut asked = JoinSet::new();
    // Neighbors in this order use different adapters.
    let third = CASES.len() / 3;
    for at in (0..2 * CASES.len()).map(|i| i % 3 * third + i / 3 % third) {
        let engine = Arc::clone(&engine);
        asked.spawn(async move { (at, CASES[at].ask(&engine).await) });
    }
    let mut answers = 0;
    while let Some(answered) = asked.join_next().await {
        let (at, answer) = answered.unwrap();
        CASES[at].check(&answer);
        answers += 1;
    }
    assert_eq!(answers, 2 * CASES.len());
    assert_eq!(engine.adapter_counts().loads, 2, "each adapter is read once");
}
