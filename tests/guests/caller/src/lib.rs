//! Prompting that calls what the setting `calls` lists and answers with each result as a passage: `[["kv.get", "key"], …]`. A call's
//! error is a result too. So tests say in JSON what a guest does with a capability.

use riad_sdk::{
    Message, Passage, Prompt, Prompting, Request, StageError, clock, documents, generation, http, kv, random, settings,
};
use serde_json::Value;
use std::fmt::Debug;

pub struct Caller;

impl Prompting for Caller {
    fn build_prompt(request: Request, _passages: Vec<Passage>) -> Result<Prompt, StageError> {
        let calls: Vec<Vec<Value>> = settings::get("calls")?.unwrap_or_default();
        let mut passages = Vec::new();
        for (chunk, call) in (0..).zip(&calls) {
            passages.push(Passage {
                document: "caller".to_string(),
                chunk,
                title: "caller".to_string(),
                text: result(call)?,
                score: 0.0,
                metadata: "{}".to_string(),
            });
        }
        Ok(Prompt {
            messages: request.messages,
            passages,
        })
    }
}

fn result(call: &[Value]) -> Result<String, StageError> {
    let text = |index: usize| call.get(index).and_then(Value::as_str).unwrap_or_default();
    let number = |index: usize| call.get(index).and_then(Value::as_i64).unwrap_or_default();
    let count = |index: usize| u32::try_from(number(index)).unwrap_or(u32::MAX);
    Ok(match text(0) {
        "kv.get" => show(kv::get_text(text(1))),
        "kv.set" => show(kv::set(text(1), text(2), count(3))),
        // A value of so many bytes.
        "kv.fill" => show(kv::set(text(1), vec![b'x'; count(2) as usize], count(3))),
        "kv.delete" => show(kv::delete(text(1))),
        "kv.increment" => show(kv::increment(text(1), number(2), count(3))),
        "clock.now" => clock::now().as_millis().to_string(),
        "random.bytes" => show(random::bytes(count(1))),
        "documents.list" => show(documents::list(call.get(1).and_then(Value::as_str), count(2))),
        "documents.search" => show(documents::search(text(1), count(2))),
        "documents.search_stores" => {
            let stores: Vec<String> = call
                .get(1)
                .cloned()
                .map(serde_json::from_value)
                .transpose()
                .ok()
                .flatten()
                .unwrap_or_default();
            show(documents::search_stores(&stores, text(2), count(3), text(4)))
        }
        "generate" => {
            let options = generation::Options {
                max_tokens: count(2),
                temperature: call.get(3).and_then(Value::as_f64).unwrap_or_default() as f32,
                ..generation::Options::default()
            };
            show(generation::generate(&[Message::user(text(1))], &options))
        }
        "http.get" => show(http::send(&http::Request::get(text(1)).header(text(2), text(3)))),
        "http.post" => show(http::Request::post_json(text(1), &text(2)).and_then(|request| http::send(&request))),
        other => return Err(StageError::Failed(format!("there is no call `{other}`"))),
    })
}

fn show<T: Debug, E: Debug>(result: Result<T, E>) -> String {
    format!("{result:?}")
}

riad_sdk::export!(Caller => prompting);
