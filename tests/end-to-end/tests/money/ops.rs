//! What tenants ask for, and how they leave. Not here: what comes of it (`checks`).

use crate::{
    engine::{MODEL, POISON},
    script::{Payer, Script, text},
    server::{ALIAS, Server},
};
use futures::StreamExt;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind,
    document::Metadata,
    ingestion::{DocumentRequest, DocumentSource, TextFormat},
    policy::Tier,
    receipt::SignedReceipt,
    search_scope::SearchScope,
};
use riad_services::{
    chat::{ChatEvent, ChatMessage, ChatRequest},
    embeddings::EmbeddingRequest,
    search::SearchRequest,
    text::Text,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Stays,
    /// Leaves after this many events of the stream.
    HangsUpAfter(u32),
    /// Leaves after this time, whatever has come by then.
    HangsUpAt(Duration),
}

#[derive(Debug, Clone, Copy)]
pub enum Ask {
    Chat {
        script: Script,
        choices: u32,
        max_tokens: Option<u32>,
        adapter: bool,
        flex: bool,
    },
    Embed {
        words: u32,
        poisoned: bool,
    },
    Document {
        words: u32,
    },
    Search,
}

#[derive(Debug, Clone, Copy)]
pub struct Op {
    pub payer: Payer,
    pub ask: Ask,
    pub client: Client,
    /// Before it begins.
    pub wait: Duration,
}

/// Receipts as clients got them, in their order.
pub type Receipts = Arc<Mutex<Vec<SignedReceipt>>>;

/// Plays an op; returns the client's result.
pub async fn play(server: &Server, op: Op, receipts: &Receipts) -> Result<(), Error> {
    sleep(op.wait).await;
    match op.client {
        Client::HangsUpAt(time) => match timeout(time, ask(server, op, receipts)).await {
            Ok(result) => result,
            Err(_) => Err(gone()),
        },
        Client::Stays | Client::HangsUpAfter(_) => ask(server, op, receipts).await,
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Cancelled, "the client of the test left")
}

async fn ask(server: &Server, op: Op, receipts: &Receipts) -> Result<(), Error> {
    let (services, pass) = (&server.services, server.pass(op.payer));
    match op.ask {
        Ask::Chat {
            script,
            choices,
            max_tokens,
            adapter,
            flex,
        } => {
            let request = ChatRequest {
                model: if adapter {
                    format!("{MODEL}:{ALIAS}")
                } else {
                    MODEL.to_owned()
                },
                messages: vec![ChatMessage {
                    role: "user".into(),
                    content: Some(script.write()),
                    ..ChatMessage::default()
                }],
                max_tokens,
                n: Some(choices),
                service_tier: flex.then_some(Tier::Flex),
                ..ChatRequest::default()
            };
            let mut stream = services.chat().start(pass, request).await?;
            let mut events = 0;
            loop {
                if op.client == Client::HangsUpAfter(events) {
                    return Err(gone());
                }
                events += 1;
                match stream.next().await.unwrap()? {
                    ChatEvent::Reasoning { .. }
                    | ChatEvent::Text { .. }
                    | ChatEvent::ToolCall { .. }
                    | ChatEvent::ChoiceEnd { .. } => {}
                    ChatEvent::End { receipt, .. } => {
                        receipts.lock().push(receipt);
                        return Ok(());
                    }
                }
            }
        }
        Ask::Embed { words, poisoned } => {
            let mut input = vec![text(op.payer, words), text(op.payer, 1)];
            if poisoned {
                input.push(POISON.into());
            }
            let request = EmbeddingRequest {
                model: "words".into(),
                input: input.into_iter().map(Text::Words).collect(),
            };
            let embeddings = services.embeddings().embed(pass, request).await?;
            assert_eq!(
                u64::from(embeddings.tokens),
                embeddings.receipt.receipt.used.embedded_tokens
            );
            receipts.lock().push(embeddings.receipt);
            Ok(())
        }
        Ask::Document { words } => {
            let request = DocumentRequest {
                title: Some(format!("{}:{}", op.payer.0, op.payer.1)),
                source: DocumentSource::Text {
                    text: "word ".repeat(words as usize),
                    format: TextFormat::Text,
                },
                metadata: Metadata::new(),
            };
            services
                .documents()
                .create(pass, request, Arc::new(()), None)
                .await
                .map(|_| ())
        }
        Ask::Search => {
            let request = SearchRequest::new(text(op.payer, 4), 3, SearchScope::Documents);
            services.search().search(pass, request).await.map(|_| ())
        }
    }
}
