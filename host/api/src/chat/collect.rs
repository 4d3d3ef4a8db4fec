//! An answer as a whole: the same events as a stream has, gathered. Not here: server-sent events (`stream`).

use super::response::{AssistantMessage, ChatCompletion, Choice, ChoiceRiad, Head, Riad, Usage, finish_reason};
use futures::{Stream, StreamExt};
use riad_core::{Error, Result, chat::FinishReason, plugin::Citation};
use riad_services::chat::ChatEvent;
use std::pin::pin;

#[derive(Default)]
struct Gathered {
    text: String,
    end: Option<(FinishReason, Vec<Citation>)>,
}

pub(super) async fn collect(
    events: impl Stream<Item = Result<ChatEvent>>,
    head: Head,
    choices: u32,
) -> Result<ChatCompletion> {
    let mut events = pin!(events);
    let mut gathered: Vec<Gathered> = (0..choices).map(|_| Gathered::default()).collect();
    let at = |index: u32| index as usize;
    let (receipt, passages) = loop {
        match events.next().await {
            Some(Ok(ChatEvent::Text { choice, text })) => {
                if let Some(choice) = gathered.get_mut(at(choice)) {
                    choice.text.push_str(&text);
                }
            }
            Some(Ok(ChatEvent::ChoiceEnd {
                choice,
                finish,
                citations,
            })) => {
                if let Some(choice) = gathered.get_mut(at(choice)) {
                    choice.end = Some((finish, citations));
                }
            }
            Some(Ok(ChatEvent::End { receipt, passages })) => break (receipt, passages),
            Some(Err(error)) => return Err(error),
            None => return Err(Error::internal("a chat ended without its receipt")),
        }
    };
    let mut only_citations = None;
    let mut out = Vec::new();
    for (index, choice) in (0..).zip(gathered) {
        let (finish, citations) = choice
            .end
            .ok_or_else(|| Error::internal("a chat ended before one of its choices"))?;
        let riad = if choices == 1 {
            only_citations = Some(citations);
            None
        } else {
            Some(ChoiceRiad::new(citations))
        };
        out.push(Choice {
            index,
            message: AssistantMessage {
                role: "assistant",
                content: choice.text,
                refusal: None,
            },
            logprobs: None,
            finish_reason: finish_reason(finish),
            riad,
        });
    }
    Ok(ChatCompletion {
        id: head.id,
        object: "chat.completion",
        created: head.created,
        model: head.model,
        choices: out,
        usage: Usage::of(&receipt),
        riad: Riad::new(receipt, passages, only_citations),
    })
}
