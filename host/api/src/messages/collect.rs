//! An answer as one JSON object, of the blocks that `stream` would write.

use super::{
    AnswerHeader,
    blocks::{self, BlockOptions, BlockStep, Blocks, Numbered},
};
use crate::chat::response::riad;
use futures::{Stream, StreamExt};
use riad_api_types::messages::{Message, MessageBlock, MessageBlockDelta};
use riad_core::{Error, Result};
use riad_services::chat::ChatEvent;
use std::pin::pin;

pub(super) async fn collect(events: impl Stream<Item = Result<ChatEvent>>, header: &AnswerHeader) -> Result<Message> {
    let mut events = pin!(events);
    let options = BlockOptions {
        // An object is read at once.
        pieces_of_input: false,
        ..header.blocks
    };
    let mut blocks = Blocks::new(&header.id, options);
    let mut content = Vec::new();
    let mut ended = None;
    loop {
        match events.next().await {
            Some(Ok(ChatEvent::Reasoning { text, .. })) => apply(&mut content, blocks.push_reasoning(text))?,
            Some(Ok(ChatEvent::Text { text, .. })) => apply(&mut content, blocks.push_text(text))?,
            Some(Ok(ChatEvent::ToolCall { piece, .. })) => apply(&mut content, blocks.push_call(piece))?,
            Some(Ok(ChatEvent::ChoiceEnd {
                finish,
                stop,
                citations,
                ..
            })) => {
                apply(&mut content, blocks.end())?;
                ended = Some((blocks::stop_reason(finish, stop), citations));
            }
            Some(Ok(ChatEvent::End {
                receipt,
                passages,
                usage,
            })) => {
                let ((reason, stop), citations) =
                    ended.ok_or_else(|| Error::internal("a chat ended before its choice"))?;
                return Ok(Message {
                    id: header.message_id(),
                    r#type: "message".into(),
                    role: "assistant".into(),
                    model: header.model.clone(),
                    content,
                    stop_reason: Some(reason.into()),
                    stop_sequence: stop,
                    usage: blocks::usage(usage),
                    riad: Some(riad(receipt, passages, Some(citations))),
                });
            }
            Some(Err(error)) => return Err(error),
            None => return Err(Error::internal("a chat ended without its receipt")),
        }
    }
}

fn apply(content: &mut Vec<MessageBlock>, steps: Vec<Numbered>) -> Result<()> {
    for (_, step) in steps {
        match (step, content.last_mut()) {
            (BlockStep::Start(block), _) => content.push(block),
            (BlockStep::Delta(delta), Some(block)) => add(block, delta)?,
            (BlockStep::Delta(_), None) | (BlockStep::Stop, _) => {}
        }
    }
    Ok(())
}

fn add(block: &mut MessageBlock, delta: MessageBlockDelta) -> Result<()> {
    match (block, delta) {
        (MessageBlock::Text { text }, MessageBlockDelta::TextDelta { text: more }) => text.push_str(&more),
        (MessageBlock::Thinking { thinking, .. }, MessageBlockDelta::ThinkingDelta { thinking: more }) => {
            thinking.push_str(&more);
        }
        (MessageBlock::Thinking { signature, .. }, MessageBlockDelta::SignatureDelta { signature: whole }) => {
            *signature = whole;
        }
        (MessageBlock::ToolUse { input, .. }, MessageBlockDelta::InputJsonDelta { partial_json }) => {
            *input = serde_json::from_str(&partial_json).map_err(Error::internal)?;
        }
        _ => return Err(Error::internal("a piece of an answer does not belong to its block")),
    }
    Ok(())
}
