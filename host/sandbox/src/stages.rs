//! The functions of each stage, in every version of it: found once in a component, and again in each instance. Versions differ in what a
//! function is given, never in what the other side of it sees. Not here: which versions there are (`versions.rs`), calls (`run.rs`).

use crate::{
    bindings::{Ending, FinishReason, Passage, Prompt, Request, StageError},
    ingestion_types as wit,
    state::GuestState,
};
use wasmtime::{
    Store,
    component::{ComponentExportIndex, ComponentType, Instance, Lift, ResourceAny, TypedFunc},
};

pub(crate) type StageResult<T, E = StageError> = (Result<T, E>,);
pub(crate) type Extract =
    TypedFunc<(wit::Upload, wit::ExtractionOptions), StageResult<wit::Extracted, wit::ExtractionError>>;
pub(crate) type Chunk =
    TypedFunc<(String, Vec<wit::Section>, wit::ChunkingOptions), StageResult<Vec<wit::Piece>, wit::ChunkingError>>;
pub(crate) type Retrieve = TypedFunc<(Request,), StageResult<Vec<Passage>>>;
pub(crate) type BuildPrompt = TypedFunc<(Request, Vec<Passage>), StageResult<Prompt>>;
pub(crate) type OpenFilter = TypedFunc<(Request, Prompt), (ResourceAny,)>;
pub(crate) type OfferTools = TypedFunc<(), StageResult<Vec<Tool>>>;
pub(crate) type CallTool = TypedFunc<(String, String), StageResult<String>>;
pub(crate) type Push = TypedFunc<(ResourceAny, String), StageResult<String>>;

/// `tool` of `riad:pipeline/tools`, the only type that a stage's own interface has.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) parameters: String,
}

/// Where a component has its stages.
#[derive(Default)]
pub(crate) struct StageIndices {
    pub(crate) extract: Option<ComponentExportIndex>,
    pub(crate) chunk: Option<ComponentExportIndex>,
    pub(crate) retrieve: Option<ComponentExportIndex>,
    pub(crate) build_prompt: Option<ComponentExportIndex>,
    pub(crate) filter: Option<FilterIndices>,
    pub(crate) tools: Option<ToolIndices>,
}

pub(crate) struct FilterIndices {
    pub(crate) open: ComponentExportIndex,
    pub(crate) push: ComponentExportIndex,
    pub(crate) finish: ComponentExportIndex,
    /// Since 0.2.
    pub(crate) takes_reason: bool,
}

pub(crate) struct ToolIndices {
    pub(crate) offer: ComponentExportIndex,
    pub(crate) call: ComponentExportIndex,
}

/// The stages of an instance.
#[derive(Default)]
pub(crate) struct StageFunctions {
    pub(crate) extract: Option<Extract>,
    pub(crate) chunk: Option<Chunk>,
    pub(crate) retrieve: Option<Retrieve>,
    pub(crate) build_prompt: Option<BuildPrompt>,
    pub(crate) filter: Option<FilterFunctions>,
    pub(crate) tools: Option<ToolFunctions>,
}

#[derive(Clone)]
pub(crate) struct FilterFunctions {
    pub(crate) open: OpenFilter,
    pub(crate) push: Push,
    finish: Finish,
}

#[derive(Clone)]
pub(crate) struct ToolFunctions {
    pub(crate) offer: OfferTools,
    pub(crate) call: CallTool,
}

#[derive(Clone)]
enum Finish {
    WithReason(TypedFunc<(ResourceAny, FinishReason), StageResult<Ending>>),
    /// 0.1.
    Alone(TypedFunc<(ResourceAny,), StageResult<Ending>>),
}

impl StageIndices {
    pub(crate) fn load(&self, store: &mut Store<GuestState>, instance: &Instance) -> wasmtime::Result<StageFunctions> {
        let mut functions = StageFunctions::default();
        if let Some(index) = &self.extract {
            functions.extract = Some(instance.get_typed_func(&mut *store, index)?);
        }
        if let Some(index) = &self.chunk {
            functions.chunk = Some(instance.get_typed_func(&mut *store, index)?);
        }
        if let Some(index) = &self.retrieve {
            functions.retrieve = Some(instance.get_typed_func(&mut *store, index)?);
        }
        if let Some(index) = &self.build_prompt {
            functions.build_prompt = Some(instance.get_typed_func(&mut *store, index)?);
        }
        if let Some(filter) = &self.filter {
            functions.filter = Some(filter.load(store, instance)?);
        }
        if let Some(tools) = &self.tools {
            functions.tools = Some(ToolFunctions {
                offer: instance.get_typed_func(&mut *store, tools.offer)?,
                call: instance.get_typed_func(&mut *store, tools.call)?,
            });
        }
        Ok(functions)
    }
}

impl FilterIndices {
    fn load(&self, store: &mut Store<GuestState>, instance: &Instance) -> wasmtime::Result<FilterFunctions> {
        Ok(FilterFunctions {
            open: instance.get_typed_func(&mut *store, self.open)?,
            push: instance.get_typed_func(&mut *store, self.push)?,
            finish: match self.takes_reason {
                true => Finish::WithReason(instance.get_typed_func(store, self.finish)?),
                false => Finish::Alone(instance.get_typed_func(store, self.finish)?),
            },
        })
    }
}

impl FilterFunctions {
    pub(crate) async fn finish(
        &self,
        store: &mut Store<GuestState>,
        filter: ResourceAny,
        reason: FinishReason,
    ) -> wasmtime::Result<StageResult<Ending>> {
        match &self.finish {
            Finish::WithReason(finish) => finish.call_async(store, (filter, reason)).await,
            Finish::Alone(finish) => finish.call_async(store, (filter,)).await,
        }
    }
}
