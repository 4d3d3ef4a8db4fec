//! Makes a response and its events out of those of a chat. A whole response is the last event's, so that it is the same in a stream.

use super::input::COMPLETED;
use crate::{chat::response::riad, error::ApiError};
use riad_api_types::{
    chat::TokenLogprobs,
    responses::{
        ResponseAnnotation, ResponseContentPart, ResponseError, ResponseEvent, ResponseFileSearchCall,
        ResponseFileSearchResult, ResponseFunctionCall, ResponseIncompleteDetails, ResponseInputDetails, ResponseItem,
        ResponseMessage, ResponseObject, ResponseOutputDetails, ResponseReasoning, ResponseUsage,
    },
};
use riad_core::{Error, Result, Timestamp, chat::FinishReason, document::Passage, plugin, receipt::SignedReceipt};
use riad_services::{
    chat::{AnswerUsage, ChatEvent, SearchedFiles},
    vector_stores::FoundPassage,
};

const IN_PROGRESS: &str = "in_progress";
const INCOMPLETE: &str = "incomplete";

pub(super) struct AnswerWriter {
    response: ResponseObject,
    /// Of the ids in it.
    suffix: String,
    open: Option<OpenItem>,
    shows_results: bool,
    /// Ids and names of the files of the passages, by the passages' numbers less 1.
    sources: Vec<Option<(String, String)>>,
    /// The passages that the answer cites, once it has ended.
    cited: Vec<u32>,
    ended: Option<(FinishReason, Vec<plugin::Citation>)>,
}

/// Leaves out what was found in vector stores.
pub(super) fn hide_results(items: &mut [ResponseItem]) {
    for item in items {
        match item {
            ResponseItem::FileSearchCall(call) => call.results = None,
            ResponseItem::Message(_)
            | ResponseItem::FunctionCall(_)
            | ResponseItem::FunctionCallOutput(_)
            | ResponseItem::Reasoning(_) => {}
        }
    }
}

/// The item that is being made; its number is that of the items before it.
enum OpenItem {
    Reasoning { text: String },
    Message { text: String, logprobs: Vec<TokenLogprobs> },
    Call { name: String, arguments: String },
}

impl AnswerWriter {
    /// `shows_results` tells whether the client is to have what was found in vector stores.
    pub fn new(response: ResponseObject, shows_results: bool) -> Self {
        Self {
            shows_results,
            sources: Vec::new(),
            cited: Vec::new(),
            suffix: response.id.trim_start_matches("resp_").to_owned(),
            response,
            open: None,
            ended: None,
        }
    }

    /// The first events.
    pub fn opening(&self) -> Vec<ResponseEvent> {
        let response = || Box::new(self.response.clone());
        vec![
            ResponseEvent::Created { response: response() },
            ResponseEvent::InProgress { response: response() },
        ]
    }

    /// What an event of the chat adds. Not for its last one.
    pub fn push(&mut self, event: ChatEvent) -> Vec<ResponseEvent> {
        let mut events = Vec::new();
        match event {
            ChatEvent::Reasoning { text, .. } => self.push_reasoning(text, &mut events),
            ChatEvent::Text { text, logprobs, .. } => {
                let logprobs = logprobs.into_iter().map(Into::into).collect();
                self.push_text(text, logprobs, &mut events);
            }
            ChatEvent::ToolCall { piece, .. } => {
                if let Some(name) = piece.name {
                    self.close(COMPLETED, &mut events);
                    let arguments = String::new();
                    self.begin(OpenItem::Call { name, arguments }, &mut events);
                }
                self.push_arguments(piece.arguments, &mut events);
            }
            ChatEvent::ChoiceEnd { finish, citations, .. } => {
                let is_cut = finish == FinishReason::Length;
                self.cited = citations.iter().map(|citation| citation.passage).collect();
                self.close(if is_cut { INCOMPLETE } else { COMPLETED }, &mut events);
                let says_something = self
                    .response
                    .output
                    .iter()
                    .any(|item| !matches!(item, ResponseItem::Reasoning(_) | ResponseItem::FileSearchCall(_)));
                // An answer without words is a message all the same, unless it ended before it began.
                let thinks = self
                    .response
                    .output
                    .iter()
                    .any(|item| matches!(item, ResponseItem::Reasoning(_)));
                if !says_something && (!is_cut || !thinks) {
                    self.push_text(String::new(), Vec::new(), &mut events);
                    self.close(if is_cut { INCOMPLETE } else { COMPLETED }, &mut events);
                }
                self.ended = Some((finish, citations));
            }
            ChatEvent::End { .. } => {}
        }
        events
    }

    /// The response as it is to be kept.
    ///
    /// # Errors
    /// `Internal` if the chat ended before its answer.
    pub fn finish(
        &mut self,
        receipt: SignedReceipt,
        passages: Vec<Passage>,
        counted: AnswerUsage,
    ) -> Result<ResponseObject> {
        let ended = self.ended.take();
        let (finish, citations) = ended.ok_or_else(|| Error::internal("a chat ended before its choice"))?;
        let mut response = self.response.clone();
        match finish {
            FinishReason::Stop | FinishReason::ToolCalls => {
                response.status = COMPLETED.into();
                response.completed_at = Some(Timestamp::now().as_seconds());
            }
            FinishReason::Length => {
                response.status = INCOMPLETE.into();
                response.incomplete_details = Some(ResponseIncompleteDetails {
                    reason: "max_output_tokens".into(),
                });
            }
        }
        let output_tokens = counted.completion_tokens;
        response.usage = Some(ResponseUsage {
            input_tokens: counted.prompt_tokens,
            input_tokens_details: ResponseInputDetails {
                cached_tokens: counted.cached_tokens,
            },
            output_tokens,
            output_tokens_details: ResponseOutputDetails {
                reasoning_tokens: counted.reasoning_tokens.unwrap_or(0),
            },
            total_tokens: counted.prompt_tokens.saturating_add(output_tokens),
        });
        response.riad = Some(riad(receipt, passages, Some(citations)));
        Ok(response)
    }

    /// The last events of a response that goes no further.
    pub fn fail(self, error: Error) -> [ResponseEvent; 2] {
        let detail = ApiError::from(error).into_body().error;
        let code = detail.code.unwrap_or(detail.r#type);
        let mut response = self.shown(self.response.clone());
        response.status = "failed".into();
        response.store = false;
        response.error = Some(ResponseError {
            code: code.clone(),
            message: detail.message.clone(),
        });
        [
            ResponseEvent::Error {
                code: Some(code.into_owned()),
                message: detail.message,
                param: detail.param,
            },
            ResponseEvent::Failed {
                response: Box::new(response),
            },
        ]
    }

    /// An item that is made at once, before all others.
    pub fn push_searched_files(&mut self, search: &SearchedFiles) -> Vec<ResponseEvent> {
        let (item_id, output_index) = (self.id("fs"), self.index());
        let call = |status: &'static str, results| {
            ResponseItem::FileSearchCall(ResponseFileSearchCall {
                id: item_id.clone(),
                queries: search.queries.clone(),
                results,
                status: status.into(),
            })
        };
        self.sources = search
            .found
            .iter()
            .map(|found| Some((found.as_ref()?.file.to_string(), found.as_ref()?.name.clone())))
            .collect();
        let result = |found: FoundPassage| ResponseFileSearchResult {
            file_id: found.file.into(),
            filename: found.name,
            score: found.passage.score,
            attributes: found.passage.metadata,
            text: found.passage.text,
        };
        let results: Vec<_> = search.found.iter().flatten().cloned().map(result).collect();
        // What is kept has them in any case.
        let kept = call(COMPLETED, Some(results.clone()));
        let item = call(COMPLETED, self.shows_results.then_some(results));
        let events = vec![
            ResponseEvent::ItemAdded {
                output_index,
                item: call(IN_PROGRESS, None),
            },
            ResponseEvent::FileSearchInProgress {
                item_id: item_id.clone(),
                output_index,
            },
            ResponseEvent::FileSearchSearching {
                item_id: item_id.clone(),
                output_index,
            },
            ResponseEvent::FileSearchCompleted {
                item_id: item_id.clone(),
                output_index,
            },
            ResponseEvent::ItemDone { output_index, item },
        ];
        self.response.output.push(kept);
        events
    }

    /// The response as the client is to have it.
    pub fn shown(&self, mut response: ResponseObject) -> ResponseObject {
        if !self.shows_results {
            hide_results(&mut response.output);
        }
        response
    }

    /// Where a text cites files: `[n]`, as the prompt asks the model to write it.
    fn annotations(&self, text: &str) -> Vec<ResponseAnnotation> {
        let mut annotations: Vec<_> = self
            .cited
            .iter()
            .filter_map(|&number| {
                let (file_id, filename) = self.sources.get(number.checked_sub(1)? as usize)?.clone()?;
                let (before, _) = text.split_once(&format!("[{number}]"))?;
                Some(ResponseAnnotation::FileCitation {
                    index: before.chars().count(),
                    file_id,
                    filename,
                })
            })
            .collect();
        annotations.sort_by_key(|ResponseAnnotation::FileCitation { index, .. }| *index);
        annotations
    }

    fn push_reasoning(&mut self, delta: String, events: &mut Vec<ResponseEvent>) {
        if !matches!(self.open, Some(OpenItem::Reasoning { .. })) {
            self.close(COMPLETED, events);
            self.begin(OpenItem::Reasoning { text: String::new() }, events);
        }
        if let Some(OpenItem::Reasoning { text }) = &mut self.open {
            text.push_str(&delta);
        }
        events.push(ResponseEvent::ReasoningDelta {
            item_id: self.id("rs"),
            output_index: self.index(),
            content_index: 0,
            delta,
        });
    }

    /// No event for no text, but its place is made.
    fn push_text(&mut self, delta: String, scored: Vec<TokenLogprobs>, events: &mut Vec<ResponseEvent>) {
        if !matches!(self.open, Some(OpenItem::Message { .. })) {
            self.close(COMPLETED, events);
            let (text, logprobs) = (String::new(), Vec::new());
            self.begin(OpenItem::Message { text, logprobs }, events);
        }
        if delta.is_empty() && scored.is_empty() {
            return;
        }
        if let Some(OpenItem::Message { text, logprobs }) = &mut self.open {
            text.push_str(&delta);
            logprobs.extend(scored.iter().cloned());
        }
        events.push(ResponseEvent::TextDelta {
            item_id: self.id("msg"),
            output_index: self.index(),
            content_index: 0,
            delta,
            logprobs: scored,
        });
    }

    fn push_arguments(&mut self, delta: String, events: &mut Vec<ResponseEvent>) {
        let Some(OpenItem::Call { arguments, .. }) = &mut self.open else {
            return;
        };
        if delta.is_empty() {
            return;
        }
        arguments.push_str(&delta);
        events.push(ResponseEvent::ArgumentsDelta {
            item_id: self.id("fc"),
            output_index: self.index(),
            delta,
        });
    }

    fn begin(&mut self, open: OpenItem, events: &mut Vec<ResponseEvent>) {
        let part = match &open {
            OpenItem::Reasoning { .. } => Some(("rs", ResponseContentPart::ReasoningText { text: String::new() })),
            OpenItem::Message { .. } => Some(("msg", ResponseContentPart::output(String::new(), Vec::new()))),
            OpenItem::Call { .. } => None,
        };
        events.push(ResponseEvent::ItemAdded {
            output_index: self.index(),
            item: self.item(&open, Vec::new(), IN_PROGRESS),
        });
        if let Some((kind, part)) = part {
            events.push(ResponseEvent::PartAdded {
                item_id: self.id(kind),
                output_index: self.index(),
                content_index: 0,
                part,
            });
        }
        self.open = Some(open);
    }

    /// Ends the open item, if there is one.
    fn close(&mut self, status: &'static str, events: &mut Vec<ResponseEvent>) {
        let Some(open) = self.open.take() else { return };
        let output_index = self.index();
        let content = match &open {
            OpenItem::Reasoning { text } => {
                events.push(ResponseEvent::ReasoningDone {
                    item_id: self.id("rs"),
                    output_index,
                    content_index: 0,
                    text: text.clone(),
                });
                Some(("rs", ResponseContentPart::ReasoningText { text: text.clone() }))
            }
            OpenItem::Message { text, logprobs } => {
                let annotations = self.annotations(text);
                for (annotation_index, annotation) in annotations.iter().enumerate() {
                    events.push(ResponseEvent::AnnotationAdded {
                        item_id: self.id("msg"),
                        output_index,
                        content_index: 0,
                        annotation_index,
                        annotation: annotation.clone(),
                    });
                }
                events.push(ResponseEvent::TextDone {
                    item_id: self.id("msg"),
                    output_index,
                    content_index: 0,
                    text: text.clone(),
                    logprobs: logprobs.clone(),
                });
                let part = ResponseContentPart::OutputText {
                    text: text.clone(),
                    annotations,
                    logprobs: logprobs.clone(),
                };
                Some(("msg", part))
            }
            OpenItem::Call { name, arguments } => {
                events.push(ResponseEvent::ArgumentsDone {
                    item_id: self.id("fc"),
                    output_index,
                    name: name.clone(),
                    arguments: arguments.clone(),
                });
                None
            }
        };
        if let Some((kind, part)) = &content {
            events.push(ResponseEvent::PartDone {
                item_id: self.id(kind),
                output_index,
                content_index: 0,
                part: part.clone(),
            });
        }
        let content = content.into_iter().map(|(_, part)| part).collect();
        let item = self.item(&open, content, status);
        events.push(ResponseEvent::ItemDone {
            output_index,
            item: item.clone(),
        });
        self.response.output.push(item);
    }

    fn item(&self, open: &OpenItem, content: Vec<ResponseContentPart>, status: &'static str) -> ResponseItem {
        match open {
            OpenItem::Reasoning { .. } => ResponseItem::Reasoning(ResponseReasoning {
                id: self.id("rs"),
                summary: Vec::new(),
                content,
                status: status.into(),
            }),
            OpenItem::Message { .. } => ResponseItem::Message(ResponseMessage {
                id: self.id("msg"),
                role: "assistant".into(),
                status: status.into(),
                content,
            }),
            OpenItem::Call { name, arguments } => ResponseItem::FunctionCall(ResponseFunctionCall {
                id: self.id("fc"),
                call_id: self.id("call"),
                name: name.clone(),
                arguments: arguments.clone(),
                status: status.into(),
            }),
        }
    }

    fn index(&self) -> usize {
        self.response.output.len()
    }

    /// Of the item that is open, or the next one.
    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}_{}", self.suffix, self.index())
    }
}
