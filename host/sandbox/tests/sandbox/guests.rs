//! Components: the committed ones, `puppet.wat`, and texts of a test's own. Not here: running them (`host`).

use bytes::Bytes;
use riad_core::{
    Account, Digest,
    manifest::Capability,
    plugin::{Stage, StageRequest},
    ports::{PipelinePlan, PlannedComponent},
};
use std::{fs, path::Path, sync::Arc};

/// A component as the server would keep it.
#[derive(Clone)]
pub struct Component {
    pub digest: Digest,
    pub bytes: Bytes,
}

impl Component {
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// As messages name it.
    pub fn name(&self) -> String {
        format!("plugin sha256:{}…", &self.digest.hex()[..12])
    }

    pub fn planned(&self) -> PlannedComponent {
        PlannedComponent {
            digest: self.digest,
            source: Arc::new(self.bytes.clone()),
        }
    }

    /// Without its bytes: it runs only if it is already compiled.
    pub fn planned_from_cache(&self) -> PlannedComponent {
        PlannedComponent {
            digest: self.digest,
            source: Arc::new(Bytes::new()),
        }
    }
}

/// One of `tests/guests`.
pub fn guest(name: &str) -> Component {
    committed(&format!("tests/guests/{name}.wasm"))
}

/// One of those that were built against 0.1.0 of the contracts.
pub fn released(name: &str) -> Component {
    committed(&format!("tests/guests/released-0.1/{name}.wasm"))
}

/// One of `plugins`.
pub fn plugin(name: &str) -> Component {
    committed(&format!("plugins/{name}/{name}.wasm"))
}

fn committed(path: &str) -> Component {
    let path = Path::new(env!("RIAD_SOURCE")).join(path);
    Component::of(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A component, or a module, in WebAssembly's text format.
pub fn text(wat: &str) -> Component {
    Component::of(wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}")))
}

/// Serves prompting and does what [`asked`] it.
pub fn puppet() -> Component {
    text(include_str!("puppet.wat"))
}

/// What `puppet.wat` can do.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Answers three digits: the calls so far, as counted in a global, in the first page of memory and in the last.
    Count = 0,
    /// Logs `times` lines of `size` bytes.
    Log = 1,
    /// Has `size` bytes of text counted, `times` times.
    CountTokens = 2,
    /// Takes memory until it gets no more; answers one byte for each page it has.
    GrowMemory = 3,
    /// Sleeps for `size` milliseconds.
    Sleep = 4,
    /// Answers bytes that are no text.
    AnswerNoText = 5,
    /// Answers `size` bytes.
    Answer = 6,
    /// Answers one byte for each environment variable and each argument.
    LookAround = 7,
    /// Ends itself with exit code 1.
    Exit = 8,
    /// Asks for `size` random bytes.
    Random = 9,
    /// Takes memory until it gets no more, and writes to each new page; answers one byte for each that was written to before.
    FillMemory = 10,
}

/// A request that tells the puppet what to do.
pub fn asked(act: Act, size: u32, times: u32) -> StageRequest {
    let mut request = crate::host::request("");
    request.profile.context_tokens = act as u32;
    request.profile.prompt_tokens = size;
    request.profile.passages = times;
    request
}

pub fn plan(retrieval: &Component, prompting: &Component, postprocessing: &Component) -> PipelinePlan {
    let stages = [
        (Stage::Retrieval, retrieval.planned()),
        (Stage::Prompting, prompting.planned()),
        (Stage::Postprocessing, postprocessing.planned()),
    ];
    PipelinePlan {
        account: Account::new(1),
        weight: 1,
        granted: Capability::ALL.into(),
        stages: stages.into(),
    }
}

/// The component for the tools, `echo` for the rest.
pub fn with_tools(component: &Component) -> PipelinePlan {
    let mut plan = plan_of(&guest("echo"));
    plan.stages.insert(Stage::Tools, component.planned());
    plan
}

/// The same plan for another account.
pub fn of(account: u64, plan: &PipelinePlan) -> PipelinePlan {
    PipelinePlan {
        account: Account::new(account),
        weight: plan.weight,
        granted: Capability::ALL.into(),
        stages: plan.stages.clone(),
    }
}

/// One component for all stages.
pub fn plan_of(component: &Component) -> PipelinePlan {
    plan(component, component, component)
}

/// The component for prompting, `echo` for the rest.
pub fn prompted_by(component: &Component) -> PipelinePlan {
    let echo = guest("echo");
    plan(&echo, component, &echo)
}
