//! Sends a response, whole or as server-sent events: those of its beginning, of each item, and one for its end, with the response as it is
//! then. An error after the first byte is an event `error` and an event `response.failed`.

use super::{answer::AnswerWriter, kept::Keeper};
use crate::{
    error::ApiResult,
    sse::{self, Silence},
};
use axum::response::{Response, sse::Event};
use futures::{Stream, StreamExt, future::Either, stream};
use riad_api_types::responses::{NumberedResponseEvent, ResponseEvent, ResponseObject};
use riad_core::{Error, Result};
use riad_services::chat::{ChatEvent, SearchedFiles};
use std::{
    future::ready,
    pin::{Pin, pin},
};

/// As [`sse::respond`]. A request that fails later than that has the first events too, because clients expect them first.
pub(super) async fn respond<S>(
    starting: impl Future<Output = Result<(Option<SearchedFiles>, S)>> + Send + 'static,
    silence: Silence,
    writer: AnswerWriter,
    keeper: Option<Keeper>,
) -> ApiResult<Response>
where
    S: Stream<Item = Result<ChatEvent>> + Send + 'static,
{
    sse::respond_to_result(starting, silence, move |started| write(started, writer, keeper)).await
}

pub(super) async fn collect(
    (searched, events): (Option<SearchedFiles>, impl Stream<Item = Result<ChatEvent>>),
    mut writer: AnswerWriter,
    keeper: Option<Keeper>,
) -> Result<ResponseObject> {
    let mut events = pin!(events);
    if let Some(searched) = searched {
        writer.push_searched_files(&searched);
    }
    loop {
        match events.next().await {
            Some(Ok(ChatEvent::End {
                receipt,
                passages,
                usage,
            })) => {
                let response = keep(keeper, writer.finish(receipt, passages, usage)?).await;
                return Ok(writer.shown(response));
            }
            Some(Ok(event)) => {
                writer.push(event);
            }
            Some(Err(error)) => return Err(error),
            None => return Err(Error::internal("a chat ended without its receipt")),
        }
    }
}

/// What is left to write; `None` after the end.
struct Writing {
    events: Pin<Box<dyn Stream<Item = Result<ChatEvent>> + Send>>,
    rest: Option<(AnswerWriter, Option<Keeper>)>,
}

fn write<S>(
    started: Result<(Option<SearchedFiles>, S)>,
    mut writer: AnswerWriter,
    keeper: Option<Keeper>,
) -> impl Stream<Item = Event> + Send + 'static
where
    S: Stream<Item = Result<ChatEvent>> + Send + 'static,
{
    let mut opening = writer.opening();
    let events = match started {
        Ok((searched, events)) => {
            if let Some(searched) = searched {
                opening.extend(writer.push_searched_files(&searched));
            }
            Either::Left(events)
        }
        Err(error) => Either::Right(stream::once(ready(Err(error)))),
    };
    let writing = Writing {
        events: Box::pin(events),
        rest: Some((writer, keeper)),
    };
    let rest = stream::unfold(writing, |mut writing| async move {
        let (mut writer, keeper) = writing.rest.take()?;
        let missing = || Err(Error::internal("a chat ended without its receipt"));
        let event = writing.events.next().await.unwrap_or_else(missing);
        let written = match event {
            Ok(ChatEvent::End {
                receipt,
                passages,
                usage,
            }) => match writer.finish(receipt, passages, usage) {
                Ok(response) => vec![last(writer.shown(keep(keeper, response).await))],
                Err(error) => writer.fail(error).into(),
            },
            Ok(event) => {
                let written = writer.push(event);
                writing.rest = Some((writer, keeper));
                written
            }
            Err(error) => writer.fail(error).into(),
        };
        Some((stream::iter(written), writing))
    });
    let events = stream::iter(opening).chain(rest.flatten()).enumerate();
    events.map(|(number, event)| {
        let name = event.name();
        let event = NumberedResponseEvent {
            sequence_number: number as u64,
            event,
        };
        sse::named(name, &event)
    })
}

async fn keep(keeper: Option<Keeper>, response: ResponseObject) -> ResponseObject {
    match keeper {
        Some(keeper) => keeper.keep(response).await,
        None => response,
    }
}

fn last(response: ResponseObject) -> ResponseEvent {
    let response = Box::new(response);
    match response.incomplete_details {
        Some(_) => ResponseEvent::Incomplete { response },
        None => ResponseEvent::Completed { response },
    }
}
