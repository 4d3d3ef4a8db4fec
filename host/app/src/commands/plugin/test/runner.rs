//! Runs cases in the server's sandbox. A stage that the plugin does not serve is served by the standard pipeline, as in a room.

use super::{case::Case, room::Room, to_json};
use crate::{commands::plugin::project::Project, wire::STANDARD};
use bytes::Bytes;
use riad_core::{
    Account, Digest, Error, ErrorKind, Limits, Result,
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
    sync::Arc,
    time::{Duration, Instant},
};

/// How messages name a component, by a digest that changes with every build.
const NAMED: &str = "plugin sha256:";
/// An author's machine may be slow, or busy with the build; the server's own limit is on its upload.
const COMPILE_MS: u64 = 600_000;

pub struct Runner {
    sandbox: WasmSandbox,
    limits: Limits,
    stages: BTreeSet<Stage>,
    schema: Option<SettingsSchema>,
    plan: PipelinePlan,
}

/// What the plugin's stages did.
#[derive(Default)]
pub struct Outcome {
    pub stages: BTreeMap<Stage, Measured>,
    pub log: Vec<String>,
    /// Bytes of linear memory that the guest had at the end.
    pub memory: u64,
}

pub struct Measured {
    /// What it returned, or its error.
    pub result: Value,
    pub fuel: u64,
    pub host_calls: u32,
    /// Without host calls.
    pub guest: Duration,
    /// With host calls.
    pub whole: Duration,
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
        plan.extend(stages.iter().map(|stage| (*stage, own.clone())));
        Ok(Self {
            sandbox,
            limits,
            stages,
            schema,
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
        let run = self.sandbox.start(&self.plan, room.capabilities()).await?;
        let mut stages = Stages {
            own: &self.stages,
            run: run.as_ref(),
            room: &room,
            outcome: Outcome::default(),
        };
        // An error of a stage ends a request, and has been written down.
        if stages.chat(case).await?.is_some() {
            stages.tools(case).await?;
        }
        let mut outcome = stages.outcome;
        outcome.memory = room.memory();
        outcome.log = room.log().iter().map(|line| without_digest(line)).collect();
        Ok(outcome)
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
        let (run, request) = (self.run, case.stage_request());
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
        let (fuel, calls) = (self.run.fuel(), self.room.calls());
        let (guest, begun) = (self.run.time(), Instant::now());
        let answer = call.await;
        let whole = begun.elapsed();
        let result = match &answer {
            Ok(found) => json(found)?,
            Err(error) => error_json(error),
        };
        if self.own.contains(&stage) {
            let measured = Measured {
                result,
                fuel: self.run.fuel() - fuel,
                host_calls: self.room.calls() - calls,
                guest: self.run.time().saturating_sub(guest),
                whole,
            };
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

fn error_json(error: &Error) -> Value {
    let kind = error.kind();
    let kind = if kind == ErrorKind::PluginFailed {
        "plugin_failed"
    } else if kind == ErrorKind::PluginLimit {
        "plugin_limit_exceeded"
    } else if kind == ErrorKind::InvalidRequest {
        "invalid_request"
    } else {
        "server_error"
    };
    json!({"error": kind, "message": without_digest(error.message())})
}

/// The text with `plugin` in place of `plugin sha256:0123456789ab…`.
fn without_digest(text: &str) -> String {
    let Some((before, rest)) = text.split_once(NAMED) else {
        return text.to_owned();
    };
    let after = rest.split_once('…').map_or("", |(_, after)| after);
    format!("{before}plugin{after}")
}
