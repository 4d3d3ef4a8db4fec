//! Runs cases in the server's sandbox. A stage that the plugin does not serve is served by the standard pipeline, as in a room.

use super::{
    case::Case,
    ingestion::{Ingestion, lacks},
    measured::{Measured, measure, without_digest},
    room::Room,
    to_json,
};
use crate::{commands::plugin::project::Project, wire::STANDARD};
use bytes::Bytes;
use riad_core::{
    Account, Digest, Error, Limits, Result,
    document::Passage,
    manifest::{Capability, SettingsSchema},
    plugin::{Prompt, Stage, ToolOutcome},
    ports::{PipelinePlan, PipelineRun, PlannedComponent, Sandbox},
};
use riad_sandbox::{Compiler, WasmSandbox};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// An author's machine may be slow, or busy with the build; the server's own limit is on its upload.
const COMPILE_MS: u64 = 600_000;

pub struct Runner {
    sandbox: WasmSandbox,
    limits: Limits,
    stages: BTreeSet<Stage>,
    schema: Option<SettingsSchema>,
    /// Of a chat.
    plan: PipelinePlan,
    /// Those of a document that are the plugin's.
    ingestion: BTreeMap<Stage, PlannedComponent>,
    folder: PathBuf,
}

/// What the plugin's stages did.
#[derive(Default)]
pub struct Outcome {
    pub stages: BTreeMap<Stage, Measured>,
    pub log: Vec<String>,
    /// Bytes of linear memory that the guest had at the end.
    pub memory: u64,
}

impl Outcome {
    /// As a case expects them.
    pub fn results(&self) -> Value {
        let stages = self
            .stages
            .iter()
            .map(|(stage, measured)| (stage.to_string(), measured.result.clone()));
        let mut results: Map<String, Value> = stages.collect();
        results.insert("log".to_owned(), json!(self.log));
        Value::Object(results)
    }

    pub fn fuel(&self) -> u64 {
        self.stages.values().map(|measured| measured.fuel).sum()
    }

    pub fn host_calls(&self) -> u32 {
        self.stages.values().map(|measured| measured.host_calls).sum()
    }

    pub fn guest_time(&self) -> Duration {
        self.stages.values().map(|measured| measured.guest).sum()
    }
}

impl Runner {
    /// Compiles what is not yet compiled; the code is kept in `.riad`.
    ///
    /// # Errors
    /// What a server would say of the component at its upload.
    pub async fn new(project: &Project, component: &[u8]) -> Result<Self> {
        let limits = Limits {
            compile_ms: COMPILE_MS,
            ..Limits::default()
        };
        // In this process: it is the author's own machine, and the author's own component.
        let sandbox = WasmSandbox::new(&project.support().join("compiled"), &limits, Compiler::InProcess)?;
        let component = Bytes::copy_from_slice(component);
        sandbox.compile(None, component.clone()).await?;
        let schema = project.manifest.configuration.as_ref();
        let schema = schema.map(SettingsSchema::compile).transpose()?;
        let stages = project.manifest.stages.clone();
        let (own, standard) = (planned(component), planned(Bytes::from_static(STANDARD)));
        let mut plan: BTreeMap<Stage, PlannedComponent> = Stage::STANDARD
            .into_iter()
            .map(|stage| (stage, standard.clone()))
            .collect();
        let is_of_document = |stage: &Stage| Stage::INGESTION.contains(stage);
        let (of_document, of_chat): (Vec<Stage>, Vec<Stage>) = stages.iter().copied().partition(is_of_document);
        plan.extend(of_chat.into_iter().map(|stage| (stage, own.clone())));
        Ok(Self {
            sandbox,
            limits,
            schema,
            ingestion: of_document.into_iter().map(|stage| (stage, own.clone())).collect(),
            folder: project.folder.clone(),
            stages: stages.clone(),
            plan: PipelinePlan {
                account: Account::new(1),
                weight: 1,
                stages: plan,
                // What the plugin may import, its manifest says. The standard pipeline beside it uses more.
                granted: Capability::ALL.into(),
            },
        })
    }

    /// # Errors
    /// When the case itself cannot be run. What a stage answers, errors too, is the outcome.
    pub async fn run(&self, case: &Case) -> Result<Outcome> {
        let follows = self
            .schema
            .as_ref()
            .map_or(Ok(()), |schema| schema.check(&case.settings));
        follows.map_err(|error| {
            let text = format!(
                "the settings of the case {:?} do not follow riad.toml: {}",
                case.name,
                error.message()
            );
            Error::invalid(text)
        })?;
        let room = Room::of(case, &self.limits).await?;
        let mut outcome = Outcome::default();
        let mut ingestion = Ingestion {
            sandbox: &self.sandbox,
            limits: &self.limits,
            plan: &self.plan,
            own: &self.ingestion,
            room: &room,
            folder: &self.folder,
            measured: &mut outcome.stages,
        };
        ingestion.run(case).await?;
        let serves_chats = Stage::CHAT.iter().any(|stage| self.stages.contains(stage));
        let outcome = match serves_chats {
            true => self.chat(case, &room, outcome).await?,
            false => outcome,
        };
        Ok(Outcome {
            memory: room.memory(),
            log: room.log().iter().map(|line| without_digest(line)).collect(),
            ..outcome
        })
    }

    async fn chat(&self, case: &Case, room: &Arc<Room>, outcome: Outcome) -> Result<Outcome> {
        let run = self.sandbox.start(&self.plan, room.capabilities()).await?;
        let mut stages = Stages {
            own: &self.stages,
            run: run.as_ref(),
            room,
            outcome,
        };
        // An error of a stage ends a request, and has been written down.
        if stages.chat(case).await?.is_some() {
            stages.tools(case).await?;
        }
        Ok(stages.outcome)
    }
}

fn planned(component: Bytes) -> PlannedComponent {
    PlannedComponent {
        digest: Digest::of(&component),
        source: Arc::new(component),
    }
}

/// The stages of one request.
struct Stages<'a> {
    own: &'a BTreeSet<Stage>,
    run: &'a dyn PipelineRun,
    room: &'a Room,
    outcome: Outcome,
}

impl Stages<'_> {
    /// `None` if a stage failed.
    async fn chat(&mut self, case: &Case) -> Result<Option<()>> {
        if !Stage::STANDARD.iter().any(|stage| self.own.contains(stage)) {
            return Ok(Some(()));
        }
        let run = self.run;
        let request = case.stage_request();
        let request = request.ok_or_else(|| lacks(case, "request", "a stage of a chat"))?;
        let passages = match &case.passages {
            Some(given) if !self.own.contains(&Stage::Retrieval) => given.clone(),
            given => {
                let found = self
                    .measure(Stage::Retrieval, run.retrieve(&request), |found| passages_json(found))
                    .await?;
                let Some(found) = found else { return Ok(None) };
                given.clone().unwrap_or(found)
            }
        };
        let built = run.build_prompt(&request, &passages);
        let Some(prompt) = self.measure(Stage::Prompting, built, prompt_json).await? else {
            return Ok(None);
        };
        if !self.own.contains(&Stage::Postprocessing) {
            return Ok(Some(()));
        }
        let filtered = async {
            let filter = run.open_filter(&request, &prompt).await?;
            let mut pieces = Vec::new();
            for piece in &case.output {
                pieces.push(run.push(filter, piece).await?);
            }
            let ending = run.finish(filter, case.finish).await?;
            pieces.push(ending.text);
            Ok::<Value, Error>(json!({"pieces": pieces, "citations": to_json(&ending.citations)?}))
        };
        let filtered = self
            .measure(Stage::Postprocessing, filtered, |found| Ok(found.clone()))
            .await?;
        Ok(filtered.map(|_| ()))
    }

    async fn tools(&mut self, case: &Case) -> Result<()> {
        if !self.own.contains(&Stage::Tools) {
            return Ok(());
        }
        let run = self.run;
        let called = async {
            let tools = run.offer_tools().await?;
            let offered = tools
                .iter()
                .map(|tool| json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters}));
            let offered: Vec<Value> = offered.collect();
            let mut calls = Vec::new();
            for call in &case.calls {
                if !tools.iter().any(|tool| tool.name == call.name) {
                    return Err(Error::invalid(format!(
                        "the case calls {}, which the plugin does not offer",
                        call.name
                    )));
                }
                let arguments = Value::Object(call.arguments.clone()).to_string();
                calls.push(match run.call_tool(&call.name, &arguments).await? {
                    ToolOutcome::Result(text) => json!({"result": text}),
                    ToolOutcome::Refused(text) => json!({"refused": text}),
                });
            }
            Ok::<Value, Error>(json!({"offered": offered, "calls": calls}))
        };
        self.measure(Stage::Tools, called, |found| Ok(found.clone())).await?;
        Ok(())
    }

    /// Runs a stage, and writes down what it did if it is the plugin's. `None` if it failed.
    async fn measure<T>(
        &mut self,
        stage: Stage,
        call: impl Future<Output = Result<T>>,
        json: impl FnOnce(&T) -> Result<Value>,
    ) -> Result<Option<T>> {
        let (measured, answer) = measure(self.run, self.room, call, json).await?;
        if self.own.contains(&stage) {
            self.outcome.stages.insert(stage, measured);
        } else if let Err(error) = answer {
            // The standard pipeline refuses the case.
            return Err(error);
        }
        Ok(answer.ok())
    }
}

fn passages_json(passages: &[Passage]) -> Result<Value> {
    Ok(json!({"passages": to_json(passages)?}))
}

fn prompt_json(prompt: &Prompt) -> Result<Value> {
    Ok(json!({"messages": to_json(&prompt.messages)?, "passages": to_json(&prompt.passages)?}))
}
