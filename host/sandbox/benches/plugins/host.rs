//! A sandbox with the server's defaults, and requests whose parts are timed.

use crate::{COMPILE, room, samples::Samples};
use riad_core::{
    Account, Limits,
    chat::FinishReason,
    plugin::{Prompt, Stage},
    ports::{Capabilities, ComponentInfo, PipelinePlan, PipelineRun, Sandbox},
};
use riad_sandbox::{Compiler, ComponentLoads, Unconfined, WasmSandbox};
use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub struct Host {
    sandbox: WasmSandbox,
    capabilities: Capabilities,
    _folder: Option<TempDir>,
}

/// Where the time of requests went.
#[derive(Default)]
pub struct Parts {
    pub start: Samples,
    pub calls: Samples,
    /// Until the instance's memory can be used again.
    pub end: Samples,
    /// `start` and `calls`.
    pub answered: Samples,
    /// All three.
    pub whole: Samples,
}

impl Parts {
    pub fn add(&mut self, start: Duration, calls: Duration, end: Duration) {
        self.start.add(start);
        self.calls.add(calls);
        self.end.add(end);
        self.answered.add(start + calls);
        self.whole.add(start + calls + end);
    }
}

impl Host {
    /// In a folder of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut host = Self::at(folder.path());
        host._folder = Some(folder);
        host
    }

    /// With what was compiled into this folder. Compiles in a child, as a server does.
    pub fn at(folder: &Path) -> Self {
        let compiler = Compiler::Child {
            program: env::current_exe().unwrap(),
            arguments: vec![COMPILE.to_owned()],
            // A machine without seccomp measures too little by what the filter costs.
            unconfined: Unconfined::Any,
        };
        Self::with(folder, compiler)
    }

    /// Compiles in this process, for what is not timed.
    pub fn compiling_here(folder: &Path) -> Self {
        Self::with(folder, Compiler::InProcess)
    }

    fn with(folder: &Path, compiler: Compiler) -> Self {
        Self {
            sandbox: WasmSandbox::new(folder, &Limits::default(), compiler).unwrap(),
            capabilities: room::capabilities(),
            _folder: None,
        }
    }

    pub async fn compile(&self, account: u64, component: &crate::components::Component) -> ComponentInfo {
        let bytes = component.bytes.clone();
        self.sandbox.compile(Some(Account::new(account)), bytes).await.unwrap()
    }

    pub async fn start(&self, plan: &PipelinePlan) -> Box<dyn PipelineRun> {
        self.sandbox.start(plan, self.capabilities.clone()).await.unwrap()
    }

    pub fn loads(&self) -> ComponentLoads {
        self.sandbox.loads()
    }

    /// One request: starts it, makes the calls, ends it, and adds the times of each to `parts`.
    pub async fn time<T>(
        &self,
        plan: &PipelinePlan,
        parts: &mut Parts,
        calls: impl AsyncFnOnce(&dyn PipelineRun) -> T,
    ) -> T {
        let begun = Instant::now();
        let run = self.start(plan).await;
        let started = Instant::now();
        let result = calls(&*run).await;
        let called = Instant::now();
        drop(run);
        parts.add(started - begun, called - started, called.elapsed());
        result
    }
}

/// Each of the stages once, with one piece of an answer.
pub async fn call_once(run: &dyn PipelineRun, stages: &[Stage]) {
    let request = room::request(room::QUESTION);
    for stage in stages {
        match stage {
            Stage::Retrieval => drop(run.retrieve(&request).await.unwrap()),
            Stage::Prompting => drop(run.build_prompt(&request, &room::passages()).await.unwrap()),
            Stage::Postprocessing => {
                let prompt = Prompt {
                    messages: request.messages.clone(),
                    passages: room::passages(),
                };
                let filter = run.open_filter(&request, &prompt).await.unwrap();
                run.push(filter, "It has 37 months. [1]").await.unwrap();
                run.finish(filter, FinishReason::Stop).await.unwrap();
            }
            Stage::Tools => drop(run.offer_tools().await.unwrap()),
            // They serve documents, not requests: `sandbox/benches` has none of them in a pipeline.
            Stage::Extraction | Stage::Chunking => unreachable!("{stage:?} is no stage of a request"),
        }
    }
}
