//! A sandbox in a folder of its own, requests, and whole runs of a pipeline. Not here: assertions of a suite; but every
//! test ends with the one that holds for all of them, that no instance is left.

use crate::room::Room;
use riad_core::{
    Limits, Result,
    chat::{FinishReason, Message},
    document::Passage,
    plugin::{Citation, Prompt, StageRequest},
    ports::{PipelinePlan, PipelineRun, Sandbox},
    profile::ModelProfile,
};
use riad_sandbox::{Compiler, WasmSandbox};
use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// More fuel than a test can burn, for those that are about time.
pub const PLENTY: u64 = 1 << 50;
/// Nothing here takes this long; a test that waits this long hangs.
const HANGS: Duration = Duration::from_secs(120);

pub struct Host {
    pub sandbox: Arc<WasmSandbox>,
    pub limits: Limits,
    path: PathBuf,
    _folder: Option<TempDir>,
}

impl Host {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Self::at(&folder.path().join("compiled"), change);
        host._folder = Some(folder);
        host
    }

    /// In a folder that somebody else owns.
    pub fn at(path: &Path, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits {
            guest_instances: 16,
            ..Limits::default()
        };
        change(&mut limits);
        Self {
            sandbox: Arc::new(WasmSandbox::new(path, &limits, Compiler::InProcess).unwrap()),
            limits,
            path: path.to_owned(),
            _folder: None,
        }
    }

    /// Where compiled components are kept.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    pub async fn start(&self, plan: &PipelinePlan, room: &Room) -> Box<dyn PipelineRun> {
        self.sandbox.start(plan, room.capabilities()).await.unwrap()
    }

    pub fn busy(&self) -> usize {
        self.limits.guest_instances as usize - self.sandbox.free_instances()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.busy(), 0, "instances are left");
        }
    }
}

/// What a client of a whole run would see.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub passages: Vec<Passage>,
    pub prompt: Prompt,
    /// What came out for each piece, and at the end.
    pub pieces: Vec<String>,
    pub citations: Vec<Citation>,
}

/// A chat of one question, for a model that takes two passages of one sentence.
pub fn request(question: &str) -> StageRequest {
    StageRequest {
        messages: vec![Message::user(question)],
        profile: ModelProfile {
            id: "tiny".into(),
            context_tokens: 1024,
            prompt_tokens: 300,
            passages: 2,
            sentences: 1,
            completion_tokens: 64,
            temperature: 0.0,
        },
        max_tokens: 64,
    }
}

/// All the stages of a run, in the order of a chat; `output` is what a model would have written.
pub async fn answer(run: &dyn PipelineRun, request: &StageRequest, output: &[&str]) -> Result<Answer> {
    let passages = run.retrieve(request).await?;
    let prompt = run.build_prompt(request, &passages).await?;
    let filter = run.open_filter(request, &prompt).await?;
    let mut pieces = Vec::new();
    for piece in output {
        pieces.push(run.push(filter, piece).await?);
    }
    let ending = run.finish(filter, FinishReason::Stop).await?;
    pieces.push(ending.text);
    Ok(Answer {
        passages: prompt.passages.clone(),
        prompt,
        pieces,
        citations: ending.citations,
    })
}

/// Waits for something that must come.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, what).await.expect("this hangs")
}

/// Waits until something is so.
pub async fn until(mut so: impl FnMut() -> bool) {
    soon(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
