//! Checks what a component imports and exports. The errors are for whoever uploads it.

use crate::{
    bindings::{Ending, FinishReason, Passage, Prompt, Request},
    ingestion_types as wit,
    limits::{MEMORIES, TABLES},
    stages::{FilterIndices, StageIndices, StageResult, Tool, ToolIndices},
    state::GuestState,
    versions::{self, StageVersion},
};
use riad_core::{
    Digest, Error, Limits, Result,
    manifest::{Capability, FILE, Manifest},
    plugin::Stage,
};
use std::collections::{BTreeMap, BTreeSet};
use wasmtime::{
    Engine,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceAny,
        types::{self, ComponentItem},
    },
};

/// Of linear memory: without custom page sizes, which are not enabled, always the same.
const PAGE_BYTES: u64 = 64 << 10;

/// A component that has passed all checks and can be instantiated.
pub(crate) struct CheckedComponent {
    pub(crate) digest: Digest,
    pub(crate) stages: Vec<Stage>,
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) instance: InstancePre<GuestState>,
    pub(crate) indices: StageIndices,
}

/// Checks the first bytes only, before anything is compiled.
pub(crate) fn check_header(bytes: &[u8]) -> Result<()> {
    let Some((header, _)) = bytes.split_first_chunk::<8>() else {
        return Err(invalid(
            "this is not a WebAssembly component: it has fewer than 8 bytes",
        ));
    };
    match header {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0] => Err(invalid(
            "this is a core WebAssembly module, not a component; link it with wasm-component-ld, or run `wasm-tools component \
             new` on it",
        )),
        [0, b'a', b's', b'm', ..] => Err(invalid(
            "this is WebAssembly of a version that is not supported; a component begins with the bytes 00 61 73 6d 0d 00 01 00",
        )),
        _ => Err(invalid(
            "this is not a WebAssembly component: it does not begin with the bytes 00 61 73 6d",
        )),
    }
}

/// Checks a compiled component against what is granted, the limits and the types in `wit/`.
pub(crate) fn check(
    digest: Digest,
    component: &Component,
    linker: &Linker<GuestState>,
    limits: &Limits,
) -> Result<CheckedComponent> {
    let engine = linker.engine();
    let ty = component.component_type();
    let mut capabilities = BTreeSet::new();
    for (name, import) in ty.imports(engine) {
        versions::check_import(name)?;
        // One without functions is imported for its types: those of a stage name some of `riad:model`.
        if let ComponentItem::ComponentInstance(instance) = import.ty
            && instance
                .exports(engine)
                .any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
        {
            capabilities.extend(Capability::of_interface(name));
        }
    }
    let stages = exported_stages(&ty, engine)?;
    check_ingestion(&stages, &capabilities)?;
    check_resources(component, &stages, limits)?;
    let instance = linker.instantiate_pre(component).map_err(|error| {
        invalid(format!(
            "an import does not have the type that this server gives it: {}",
            describe(&error)
        ))
    })?;
    let mut indices = StageIndices::default();
    for (stage, version) in &stages {
        find_stage(&mut indices, &instance, &ty, *stage, *version)?;
    }
    Ok(CheckedComponent {
        digest,
        stages: stages.into_keys().collect(),
        capabilities,
        instance,
        indices,
    })
}

/// Checks that a component imports and exports what its manifest says, so that whoever reads the manifest knows.
pub(crate) fn check_manifest(manifest: &Manifest, checked: &CheckedComponent) -> Result<()> {
    // The types of a request name some of `riad:model`, and compilers of other languages import the whole of an interface.
    let is_own = |capability: &&Capability| **capability != Capability::Model;
    if let Some(capability) = checked.capabilities.difference(&manifest.capabilities).find(is_own) {
        return Err(invalid(format!(
            "the component imports the capability `{capability}`, which its manifest does not name; add \"{capability}\" to `capabilities` in \
             {FILE}, and build it again"
        )));
    }
    let words = |stages: Vec<Stage>| {
        stages
            .into_iter()
            .map(|stage| stage.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (named, exported): (Vec<_>, _) = (manifest.stages.iter().copied().collect(), checked.stages.clone());
    match named == exported {
        true => Ok(()),
        false => Err(invalid(format!(
            "the component exports the stages {}, and its manifest names {}; make `stages` in {FILE} say what the plugin exports, and build \
             it again",
            words(exported),
            words(named)
        ))),
    }
}

/// wasmtime's description of what is wrong with a component.
pub(crate) fn describe(error: &wasmtime::Error) -> String {
    crate::errors::truncate(&format!("{error:#}"))
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(message)
}

/// What parses untrusted bytes reaches nothing that could carry them off.
fn check_ingestion(stages: &BTreeMap<Stage, StageVersion>, capabilities: &BTreeSet<Capability>) -> Result<()> {
    let stage = Stage::INGESTION.into_iter().find(|stage| stages.contains_key(stage));
    let granted = [Capability::Settings, Capability::Logging];
    let denied = capabilities.iter().find(|capability| !granted.contains(capability));
    match stage.zip(denied) {
        Some((stage, capability)) => Err(invalid(format!(
            "the component exports the stage {stage} and imports the capability `{capability}`; a component that reads files may import              `settings` and `logging` only: put its other stages into a plugin of their own"
        ))),
        None => Ok(()),
    }
}

fn check_resources(component: &Component, stages: &BTreeMap<Stage, StageVersion>, limits: &Limits) -> Result<()> {
    let Some(needed) = component.resources_required() else {
        return Err(invalid(
            "the component imports core modules or components, which are not granted",
        ));
    };
    if needed.num_memories > MEMORIES {
        return Err(invalid(format!(
            "the component has {} linear memories, at most {MEMORIES} are granted",
            needed.num_memories
        )));
    }
    if needed.num_tables > TABLES {
        return Err(invalid(format!(
            "the component has {} tables, at most {TABLES} are granted",
            needed.num_tables
        )));
    }
    let most = match stages.keys().all(|stage| Stage::INGESTION.contains(stage)) {
        true => limits.ingestion_memory_bytes,
        false => limits.guest_memory_bytes,
    };
    // wasmtime counts pages.
    match needed
        .max_initial_memory_size
        .map(|pages| pages.saturating_mul(PAGE_BYTES))
    {
        Some(bytes) if bytes > most => Err(invalid(format!(
            "the component begins with {bytes} bytes of memory, at most {most} are granted"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn exported_stages(ty: &types::Component, engine: &Engine) -> Result<BTreeMap<Stage, StageVersion>> {
    let mut stages = BTreeMap::new();
    for (name, _) in ty.exports(engine) {
        if let Some((stage, version)) = versions::exported_stage(name)? {
            let found = stages.entry(stage).or_insert(version);
            *found = versions::newest(*found, version);
        }
    }
    if stages.is_empty() {
        return Err(invalid(format!(
            "the component exports no stage; it must export at least one of {}",
            versions::newest_interfaces()
        )));
    }
    Ok(stages)
}

fn find_stage(
    indices: &mut StageIndices,
    instance: &InstancePre<GuestState>,
    ty: &types::Component,
    stage: Stage,
    version: StageVersion,
) -> Result<()> {
    let interface = versions::interface_name(stage, version);
    let engine = instance.engine();
    let found = ty.get_export(engine, &interface).map(|found| found.ty);
    let index = instance.component().get_export_index(None, &interface);
    let (Some(ComponentItem::ComponentInstance(exports)), Some(index)) = (found, index) else {
        return Err(invalid(format!(
            "the component exports `{interface}`, but not as an interface"
        )));
    };
    let exports = Exports {
        interface,
        index,
        exports,
        engine,
        instance,
    };
    match stage {
        Stage::Extraction => {
            let extract = exports
                .function::<(wit::Upload, wit::ExtractionOptions), StageResult<wit::Extracted, wit::ExtractionError>>(
                    "extract",
                )?;
            indices.extract = Some(extract);
        }
        Stage::Chunking => {
            let chunk = exports.function::<(String, Vec<wit::Section>, wit::ChunkingOptions), StageResult<Vec<wit::Piece>, wit::ChunkingError>>("chunk")?;
            indices.chunk = Some(chunk);
        }
        Stage::Retrieval => {
            indices.retrieve = Some(exports.function::<(Request,), StageResult<Vec<Passage>>>("retrieve")?);
        }
        Stage::Prompting => {
            let build_prompt = exports.function::<(Request, Vec<Passage>), StageResult<Prompt>>("build-prompt")?;
            indices.build_prompt = Some(build_prompt);
        }
        Stage::Postprocessing => {
            let takes_reason = version != StageVersion::V0_1;
            let finish = "[method]filter.finish";
            indices.filter = Some(FilterIndices {
                open: exports.function::<(Request, Prompt), (ResourceAny,)>("[constructor]filter")?,
                push: exports.function::<(ResourceAny, String), StageResult<String>>("[method]filter.push")?,
                finish: match takes_reason {
                    true => exports.function::<(ResourceAny, FinishReason), StageResult<Ending>>(finish)?,
                    false => exports.function::<(ResourceAny,), StageResult<Ending>>(finish)?,
                },
                takes_reason,
            });
        }
        Stage::Tools => {
            indices.tools = Some(ToolIndices {
                offer: exports.function::<(), StageResult<Vec<Tool>>>("offer")?,
                call: exports.function::<(String, String), StageResult<String>>("call")?,
            });
        }
    }
    Ok(())
}

/// One exported interface of a component, in types.
struct Exports<'a> {
    interface: String,
    index: ComponentExportIndex,
    exports: types::ComponentInstance,
    engine: &'a Engine,
    instance: &'a InstancePre<GuestState>,
}

impl Exports<'_> {
    /// Where the function with this name is, which must have exactly these types.
    fn function<Params, Return>(&self, name: &str) -> Result<ComponentExportIndex>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let interface = &self.interface;
        let found = self.exports.get_export(self.engine, name).map(|found| found.ty);
        let index = self.instance.component().get_export_index(Some(&self.index), name);
        let (Some(ComponentItem::ComponentFunc(function)), Some(index)) = (found, index) else {
            return Err(invalid(format!(
                "the component exports `{interface}` without the function `{name}`"
            )));
        };
        function
            .typecheck::<Params, Return>(&self.instance.instance_type())
            .map_err(|error| {
                invalid(format!(
                    "the component exports `{interface}`, but its function `{name}` has another type: {}",
                    describe(&error)
                ))
            })?;
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_modules_and_other_files_are_named() {
        let message = |bytes: &[u8]| check_header(bytes).unwrap_err().message().to_owned();
        assert!(message(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert!(message(b"(component)").contains("not a WebAssembly component"));
        assert!(message(b"\0asm").contains("fewer than 8 bytes"));
        assert!(message(b"\0asm\x0e\0\x01\0").contains("version"));
        check_header(b"\0asm\x0d\0\x01\0").unwrap();
    }
}
