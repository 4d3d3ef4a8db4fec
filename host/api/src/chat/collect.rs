//! An answer as one JSON object, collected from the events that `stream` would write.

use super::response::{AnswerHeader, call_id, citation_list, finish_reason, riad, usage};
use futures::{Stream, StreamExt};
use riad_api_types::chat::{AssistantMessage, CalledFunction, ChatCompletion, Choice, ChoiceRiad, ToolCall};
use riad_core::{
    Error, Result,
    chat::{FinishReason, TokenLogprobs},
    plugin::Citation,
};
use riad_services::chat::ChatEvent;
use std::pin::pin;

#[derive(Default)]
struct CollectedChoice {
    text: String,
    reasoning: String,
    logprobs: Vec<TokenLogprobs>,
    calls: Vec<CalledFunction>,
    end: Option<(FinishReason, Vec<Citation>)>,
}

pub(super) async fn collect(
    events: impl Stream<Item = Result<ChatEvent>>,
    header: AnswerHeader,
    choices: u32,
    logprobs: bool,
) -> Result<ChatCompletion> {
    let mut events = pin!(events);
    let mut collected: Vec<CollectedChoice> = (0..choices).map(|_| CollectedChoice::default()).collect();
    let at = |index: u32| index as usize;
    let (receipt, passages, counted) = loop {
        match events.next().await {
            Some(Ok(ChatEvent::Reasoning { choice, text })) => {
                if let Some(choice) = collected.get_mut(at(choice)) {
                    choice.reasoning.push_str(&text);
                }
            }
            Some(Ok(ChatEvent::Text {
                choice,
                text,
                logprobs: of_text,
            })) => {
                if let Some(choice) = collected.get_mut(at(choice)) {
                    choice.text.push_str(&text);
                    choice.logprobs.extend(of_text);
                }
            }
            Some(Ok(ChatEvent::ToolCall { choice, piece })) => {
                let calls = collected.get_mut(at(choice)).map(|choice| &mut choice.calls);
                if let Some(calls) = calls {
                    if let Some(name) = piece.name {
                        calls.push(CalledFunction {
                            name: Some(name),
                            ..CalledFunction::default()
                        });
                    }
                    if let Some(call) = calls.get_mut(at(piece.call)) {
                        call.arguments.push_str(&piece.arguments);
                    }
                }
            }
            Some(Ok(ChatEvent::ChoiceEnd {
                choice,
                finish,
                citations,
                ..
            })) => {
                if let Some(choice) = collected.get_mut(at(choice)) {
                    choice.end = Some((finish, citations));
                }
            }
            Some(Ok(ChatEvent::End {
                receipt,
                passages,
                usage,
            })) => break (receipt, passages, usage),
            Some(Err(error)) => return Err(error),
            None => return Err(Error::internal("a chat ended without its receipt")),
        }
    };
    let mut only_citations = None;
    let mut out = Vec::new();
    for (index, choice) in (0..).zip(collected) {
        let (finish, citations) = choice
            .end
            .ok_or_else(|| Error::internal("a chat ended before one of its choices"))?;
        let choice_riad = if choices == 1 {
            only_citations = Some(citations);
            None
        } else {
            Some(ChoiceRiad {
                citations: citation_list(citations),
            })
        };
        out.push(Choice {
            index,
            message: AssistantMessage {
                role: "assistant".into(),
                content: (choice.calls.is_empty() || !choice.text.is_empty()).then_some(choice.text),
                reasoning_content: (!choice.reasoning.is_empty()).then_some(choice.reasoning),
                tool_calls: tool_calls(&header, index, choice.calls),
                refusal: None,
            },
            logprobs: logprobs.then(|| choice.logprobs.into()),
            finish_reason: finish_reason(finish).into(),
            riad: choice_riad,
        });
    }
    Ok(ChatCompletion {
        id: header.id,
        object: "chat.completion".into(),
        created: header.created,
        model: header.model,
        system_fingerprint: header.fingerprint,
        choices: out,
        usage: usage(counted),
        riad: riad(receipt, passages, only_citations),
    })
}

fn tool_calls(header: &AnswerHeader, choice: u32, calls: Vec<CalledFunction>) -> Option<Vec<ToolCall>> {
    let called = |(call, function)| ToolCall {
        id: call_id(header, choice, call),
        r#type: "function".into(),
        function,
    };
    (!calls.is_empty()).then(|| (0..).zip(calls).map(called).collect())
}
