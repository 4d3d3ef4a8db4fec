//! A sandbox whose guests do what a script says. Not here: the engine (`engine`).

use crate::script::{Guest, Payer, Script, Truth, text};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, Error, ErrorKind, Result,
    chat::{FinishReason, Tool},
    document::{Metadata, Passage},
    ingestion::{ChunkingOptions, Extracted, ExtractionOptions, Piece, Section, Upload},
    plugin::{Ending, Prompt, Stage, StageRequest, ToolOutcome},
    ports::{Capabilities, ComponentInfo, FilterId, GuestUse, IngestionRun, PipelinePlan, PipelineRun, Sandbox},
    price::Usage,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Of each call.
const FUEL: u64 = 100;
/// A component that traps, whatever the script says.
pub const TRAPS: &[u8] = b"a component that traps";
/// A component that lacks a grant.
pub const DENIED: &[u8] = b"a component that is denied a capability";
/// A component that offers [`TOOL`].
pub const HAS_TOOL: &[u8] = b"a component that has a tool";
pub const TOOL: &str = "look_up";

pub struct ScriptedSandbox(pub Truth);

struct Run {
    truth: Truth,
    capabilities: Capabilities,
    traps: bool,
    has_tool: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    payer: Option<Payer>,
    guest: Option<Guest>,
    fuel: u64,
    pieces: u32,
    filters: usize,
}

#[async_trait]
impl Sandbox for ScriptedSandbox {
    async fn compile(&self, _: Option<Account>, component: Bytes) -> Result<ComponentInfo> {
        Ok(ComponentInfo {
            digest: Digest::of(&component),
            stages: Stage::ALL.to_vec(),
            capabilities: BTreeSet::new(),
            manifest: None,
        })
    }

    async fn start(&self, plan: &PipelinePlan, capabilities: Capabilities) -> Result<Box<dyn PipelineRun>> {
        let has = |component| plan.digests().values().any(|digest| *digest == Digest::of(component));
        if has(DENIED) {
            return Err(Error::new(ErrorKind::Forbidden, "the operator has not granted http"));
        }
        Ok(Box::new(Run {
            truth: self.0.clone(),
            capabilities,
            traps: has(TRAPS),
            has_tool: has(HAS_TOOL),
            state: Mutex::default(),
        }))
    }

    async fn start_ingestion(&self, _: &PipelinePlan, _: Capabilities, _: u64) -> Result<Box<dyn IngestionRun>> {
        Ok(Box::new(Chunker {
            truth: self.0.clone(),
            fuel: AtomicU64::new(0),
        }))
    }
}

/// Cuts every text into pieces of the same length. The title names the payer.
struct Chunker {
    truth: Truth,
    fuel: AtomicU64,
}

impl GuestUse for Chunker {
    fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::SeqCst)
    }

    fn time(&self) -> Duration {
        Duration::from_micros(self.fuel())
    }
}

#[async_trait]
impl IngestionRun for Chunker {
    async fn extract(&self, _: Upload, _: ExtractionOptions) -> Result<Extracted> {
        Err(Error::internal("no test sends a file"))
    }

    async fn chunk(&self, title: String, sections: Arc<[Section]>, options: ChunkingOptions) -> Result<Vec<Piece>> {
        let (tenant, key) = title.split_once(':').unwrap();
        let used = Usage {
            fuel: FUEL,
            ..Usage::default()
        };
        self.truth.add((tenant.parse().unwrap(), key.parse().unwrap()), used);
        self.fuel.store(FUEL, Ordering::SeqCst);
        let mut pieces = Vec::new();
        for (number, section) in (0..).zip(sections.iter()) {
            let characters: Vec<_> = section.text.char_indices().collect();
            for piece in characters.chunks(options.max_characters as usize) {
                pieces.push(Piece {
                    section: number,
                    start: piece[0].0,
                    text: piece.iter().map(|(_, character)| character).collect(),
                });
            }
        }
        Ok(pieces)
    }
}

impl Run {
    fn call(&self) -> Option<Guest> {
        let mut state = self.state.lock();
        state.fuel += FUEL;
        state.guest
    }
}

fn trap() -> Error {
    Error::new(ErrorKind::PluginFailed, "the plugin trapped")
}

#[async_trait]
impl PipelineRun for Run {
    async fn retrieve(&self, request: &StageRequest) -> Result<Vec<Passage>> {
        let script = Script::read(&request.messages.last().unwrap().content);
        {
            let mut state = self.state.lock();
            (state.payer, state.guest) = (Some(script.payer), Some(script.guest));
        }
        self.call();
        if self.traps {
            return Err(trap());
        }
        match script.guest {
            Guest::TrapsInRetrieve => return Err(trap()),
            Guest::Embeds(words) => {
                // A guest that is refused goes on without.
                let _ = self
                    .capabilities
                    .embeddings
                    .embed(vec![text(script.payer, words)])
                    .await;
            }
            Guest::Searches => {
                let documents = &self.capabilities.documents;
                return documents.search(&text(script.payer, 3), 3, Metadata::new()).await;
            }
            Guest::Works | Guest::TrapsInPrompt | Guest::TrapsInPush(_) | Guest::TrapsInFinish => {}
        }
        Ok(Vec::new())
    }

    async fn build_prompt(&self, request: &StageRequest, passages: &[Passage]) -> Result<Prompt> {
        if self.call() == Some(Guest::TrapsInPrompt) {
            return Err(trap());
        }
        Ok(Prompt {
            messages: request.messages.clone(),
            passages: passages.to_vec(),
        })
    }

    async fn open_filter(&self, _: &StageRequest, _: &Prompt) -> Result<FilterId> {
        self.call();
        let mut state = self.state.lock();
        state.filters += 1;
        Ok(FilterId(state.filters - 1))
    }

    async fn push(&self, _: FilterId, piece: &str) -> Result<String> {
        let guest = self.call();
        let mut state = self.state.lock();
        state.pieces += 1;
        if guest == Some(Guest::TrapsInPush(state.pieces)) {
            return Err(trap());
        }
        Ok(piece.to_owned())
    }

    async fn finish(&self, _: FilterId, _: FinishReason) -> Result<Ending> {
        if self.call() == Some(Guest::TrapsInFinish) {
            return Err(trap());
        }
        Ok(Ending::default())
    }

    async fn offer_tools(&self) -> Result<Vec<Tool>> {
        self.call();
        let tool = self.has_tool.then(|| Tool {
            name: TOOL.to_owned(),
            description: None,
            parameters: json!({"type": "object"}),
        });
        Ok(tool.into_iter().collect())
    }

    async fn call_tool(&self, name: &str, _: &str) -> Result<ToolOutcome> {
        self.call();
        Ok(match self.has_tool && name == TOOL {
            true => ToolOutcome::Result("it is there".into()),
            false => ToolOutcome::Refused(format!("there is no tool {name}")),
        })
    }
}

impl GuestUse for Run {
    fn fuel(&self) -> u64 {
        self.state.lock().fuel
    }

    fn time(&self) -> Duration {
        Duration::from_micros(self.fuel())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(payer) = state.payer {
            let used = Usage {
                fuel: state.fuel,
                ..Usage::default()
            };
            self.truth.add(payer, used);
        }
    }
}
