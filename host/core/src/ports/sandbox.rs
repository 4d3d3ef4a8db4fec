//! The plugin host: compiles components and runs a request's stages.

use super::Capabilities;
use crate::{
    Account, Digest, Result,
    chat::{FinishReason, Tool},
    document::Passage,
    ingestion::{ChunkingOptions, Extracted, ExtractionOptions, Piece, Section, Upload},
    manifest::{Capability, Manifest},
    plugin::{Ending, Prompt, Stage, StageRequest, ToolOutcome},
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Result of checking a component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentInfo {
    pub digest: Digest,
    /// The stages that it exports, in order, at least one.
    pub stages: Vec<Stage>,
    /// What it imports.
    pub capabilities: BTreeSet<Capability>,
    /// What it says of itself, which is so.
    pub manifest: Option<Manifest>,
}

/// Reads a component's bytes. Called only when neither memory nor the compile cache has it compiled.
#[async_trait]
pub trait ComponentSource: Send + Sync {
    async fn read(&self) -> Result<Bytes>;
}

#[async_trait]
impl ComponentSource for Bytes {
    async fn read(&self) -> Result<Bytes> {
        Ok(self.clone())
    }
}

/// A component that serves stages of a request.
#[derive(Clone)]
pub struct PlannedComponent {
    pub digest: Digest,
    pub source: Arc<dyn ComponentSource>,
}

/// The component of each stage. Stages with the same digest share one instance.
#[derive(Clone)]
pub struct PipelinePlan {
    /// The account that the instances are counted against while they are scarce.
    pub account: Account,
    /// Its share of processor time while others compute too.
    pub weight: u32,
    pub stages: BTreeMap<Stage, PlannedComponent>,
    /// What the tenant's components may import. The server's own may import everything.
    pub granted: BTreeSet<Capability>,
}

impl PipelinePlan {
    /// The component that serves each stage.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<Stage, Digest> {
        let digest = |(stage, planned): (&Stage, &PlannedComponent)| (*stage, planned.digest);
        self.stages.iter().map(digest).collect()
    }
}

/// Index of a filter of a run, in the order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterId(pub usize);

#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Checks and compiles an uploaded component and puts it into the compile cache. Takes seconds of processor time, off
    /// the serving threads, and shares them by account; `None` is the server itself, which waits for nobody. `InvalidRequest` says what is
    /// wrong: not a component, no stage, an import that this server does not have, a manifest that does not say what it imports and exports. `Busy` when too many of the account's components wait. Dropping
    /// the future ends the compilation, unless another request waits for it too.
    async fn compile(&self, account: Option<Account>, component: Bytes) -> Result<ComponentInfo>;

    /// Makes the fresh instances of one request, one per component. `Busy` when too many exist, `Forbidden` for an import that is not granted.
    async fn start(&self, plan: &PipelinePlan, capabilities: Capabilities) -> Result<Box<dyn PipelineRun>>;

    /// The same for a plan with stages of [`Stage::INGESTION`], whose guests have limits of their own and share so much fuel.
    async fn start_ingestion(
        &self,
        plan: &PipelinePlan,
        capabilities: Capabilities,
        fuel: u64,
    ) -> Result<Box<dyn IngestionRun>>;
}

/// What the guests of a run use.
pub trait GuestUse: Send + Sync {
    /// Fuel used by the guests so far.
    fn fuel(&self) -> u64;

    /// Time spent in the guests so far, without host calls.
    fn time(&self) -> Duration;
}

/// The guests of one document. As of [`PipelineRun`].
#[async_trait]
pub trait IngestionRun: GuestUse {
    /// A file that cannot be read is `UnsupportedFile`, `UnreadableFile` or `TooLarge`.
    async fn extract(&self, upload: Upload, options: ExtractionOptions) -> Result<Extracted>;

    /// Pieces in the order of the sections, none of them only space. `TooLarge` for more than there may be.
    async fn chunk(&self, title: String, sections: Arc<[Section]>, options: ChunkingOptions) -> Result<Vec<Piece>>;
}

/// The guests of one request. Calls are served one at a time; a guest's fault is `PluginFailed` or `PluginLimit`, and names
/// the stage. Dropping a call's future, or the run, ends the guests.
#[async_trait]
pub trait PipelineRun: GuestUse {
    async fn retrieve(&self, request: &StageRequest) -> Result<Vec<Passage>>;

    async fn build_prompt(&self, request: &StageRequest, passages: &[Passage]) -> Result<Prompt>;

    /// A stream filter for one choice; `prompt` is what the model was given.
    async fn open_filter(&self, request: &StageRequest, prompt: &Prompt) -> Result<FilterId>;

    /// Takes a piece of the model's output and returns the text for the client, which may be empty.
    async fn push(&self, filter: FilterId, piece: &str) -> Result<String>;

    /// Tells the filter that the model's output has ended, and why.
    async fn finish(&self, filter: FilterId, reason: FinishReason) -> Result<Ending>;

    /// The tools that the model may be offered: at most [`crate::plugin::TOOLS_OFFERED`], with names as functions have them, all different, and a
    /// JSON object as the schema of their arguments. Only for a plan with [`Stage::Tools`].
    async fn offer_tools(&self) -> Result<Vec<Tool>>;

    /// Runs a tool of the plugin's. `arguments` is a JSON object. A guest that refuses the call is an outcome; one that fails is
    /// `PluginFailed`.
    async fn call_tool(&self, name: &str, arguments: &str) -> Result<ToolOutcome>;
}
