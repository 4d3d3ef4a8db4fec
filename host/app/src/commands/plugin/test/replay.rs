//! A case from a receipt: what a real request said, and what of its room the tenant's key can read.

use super::case::{Case, Document, Request};
use crate::client::Client;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_api_types::{
    receipts::ReceiptList,
    responses::{ResponseContentPart, ResponseItem, ResponseItemList, ResponseItemParams, ResponseObject},
    search,
};
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, Message},
    document::{Passage, Position},
    manifest::{Capability, Manifest},
    plugin::Stage,
    receipt::Receipt,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Items of a response's input that the server sends at once.
const ITEMS: u32 = 100;

/// What stands for the model's output is what the client read: what the filter made of it is kept nowhere else.
pub async fn case(client: &Client, number: u64, stages: &BTreeSet<Stage>) -> Result<Case> {
    let receipt = receipt(client, number).await?;
    let Some(id) = receipt.served_by.response else {
        return Err(Error::invalid(format!(
            "what the request of receipt {number} said is not kept: the server keeps requests to /v1/responses, and no others; send \
             the question there, and replay that receipt"
        )));
    };
    let response: ResponseObject = kept(client, id.as_str()).await?;
    let passages = response
        .riad
        .as_ref()
        .map(|riad| riad.passages.clone())
        .unwrap_or_default();
    let request = Request {
        messages: messages(client, &response).await?,
        max_tokens: response.max_output_tokens.unwrap_or_else(super::case::max_tokens),
        profile: None,
    };
    let settings: Map<String, Value> = client.get("/v1/settings").await?.body;
    Ok(Case {
        name: format!("the request of receipt {number}"),
        request: Some(request),
        file: None,
        title: None,
        sections: None,
        settings,
        documents: documents(&passages)?,
        // Where the plugin retrieves, it searches the documents above; else the prompt is made of what the room found.
        passages: match stages.contains(&Stage::Retrieval) {
            true => None,
            false => Some(passages.into_iter().map(passage).collect::<Result<_>>()?),
        },
        output: response.output.iter().filter_map(text).collect(),
        finish: finish(&response),
        sql: Vec::new(),
        kv: Map::new(),
        generation: Vec::new(),
        http: Vec::new(),
        calls: Vec::new(),
        expect: None,
    })
}

async fn kept(client: &Client, id: &str) -> Result<ResponseObject> {
    let found = client.get(&format!("/v1/responses/{id}")).await;
    found.map(|response| response.body).map_err(|error| {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        Error::not_found(format!(
            "the response {id} is not kept: its request failed, it was deleted, or it has expired; replay another receipt"
        ))
    })
}

/// As the server sent it: whether the signature is valid makes no difference to a test.
async fn receipt(client: &Client, number: u64) -> Result<Receipt> {
    let after = number.saturating_sub(1);
    let list: ReceiptList = client.get(&format!("/v1/receipts?after={after}&limit=1")).await?.body;
    let found = list.data.into_iter().find(|receipt| receipt.number == number);
    let found = found.ok_or_else(|| Error::not_found(format!("this tenant has no receipt {number}")))?;
    let payload = found.jws.split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(Error::internal)?;
    serde_json::from_slice(&payload).map_err(Error::internal)
}

/// What the stages read: the conversation as a whole, which has as many messages as a request to the server may have.
async fn messages(client: &Client, response: &ResponseObject) -> Result<Vec<Message>> {
    let mut parts = vec![input(client, &response.id).await?];
    let mut previous = response.previous_response_id.clone();
    while let Some(id) = previous {
        let before = kept(client, &id).await?;
        parts.push(before.output);
        parts.push(input(client, &before.id).await?);
        previous = before.previous_response_id;
    }
    parts.reverse();
    riad_api::stage_messages(response.instructions.clone(), &parts)
}

async fn input(client: &Client, id: &str) -> Result<Vec<ResponseItem>> {
    let mut items: Vec<ResponseItem> = Vec::new();
    loop {
        let page = ResponseItemParams {
            limit: Some(ITEMS),
            order: Some("asc".into()),
            after: items.last().map(|item| item.id().to_owned()),
            ..ResponseItemParams::default()
        };
        let path = format!("/v1/responses/{id}/input_items");
        let page: ResponseItemList = client.get_with(&path, &page).await?.body;
        items.extend(page.data);
        if !page.has_more {
            return Ok(items);
        }
    }
}

/// What the model wrote, as the client read it: neither its reasoning nor its calls of tools, which no filter reads.
fn text(item: &ResponseItem) -> Option<String> {
    match item {
        ResponseItem::Message(message) => Some(message.content.iter().filter_map(ResponseContentPart::text).collect()),
        ResponseItem::FunctionCall(_)
        | ResponseItem::FunctionCallOutput(_)
        | ResponseItem::Reasoning(_)
        | ResponseItem::FileSearchCall(_) => None,
    }
}

/// As the filters were told.
fn finish(response: &ResponseObject) -> FinishReason {
    let is_call = |item: &ResponseItem| matches!(item, ResponseItem::FunctionCall(_));
    match response.status.as_ref() {
        "incomplete" => FinishReason::Length,
        _ if response.output.iter().any(is_call) => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// How what the replayed stages meet differs from what the request met, in lines for the author.
pub fn differences(manifest: &Manifest) -> Vec<String> {
    let missing = [
        (Capability::Store, "the SQL store is empty (`sql` of a case fills it)"),
        (Capability::Kv, "`kv` is empty"),
        (
            Capability::Generation,
            "the plugin's own prompts have no answers (`generation`)",
        ),
        (Capability::Http, "other hosts do not answer (`http`)"),
    ];
    let missing = missing
        .iter()
        .filter(|(capability, _)| manifest.capabilities.contains(capability));
    let mut missing: Vec<_> = missing.map(|(_, text)| *text).collect();
    if manifest.stages.contains(&Stage::Tools) {
        missing.push("no tool is called, because what the model called of the room's own tools is not kept (`calls`)");
    }
    let lines = missing.iter().map(|text| format!("Other than in the request, {text}."));
    lines.collect()
}

fn passage(found: search::Passage) -> Result<Passage> {
    Ok(Passage {
        document: found.document.parse()?,
        chunk: found.chunk,
        title: found.title,
        text: found.text,
        score: found.score,
        metadata: found.metadata,
        position: Position::default(),
        file: None,
        hit: None,
    })
}

/// Of each document, the chunks that were found.
fn documents(passages: &[search::Passage]) -> Result<Vec<Document>> {
    let mut chunks: Vec<_> = passages.iter().collect();
    chunks.sort_by(|a, b| (&a.document, a.chunk).cmp(&(&b.document, b.chunk)));
    let mut documents: Vec<Document> = Vec::new();
    for chunk in chunks {
        match documents.last_mut() {
            Some(last) if last.id.as_str() == chunk.document => last.text += &format!("\n\n{}", chunk.text),
            _ => documents.push(Document {
                id: chunk.document.parse()?,
                title: chunk.title.clone(),
                text: chunk.text.clone(),
                metadata: chunk.metadata.clone(),
                vector_store: None,
            }),
        }
    }
    Ok(documents)
}
