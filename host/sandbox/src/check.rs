//! Checks what a component imports and exports. The errors are for whoever uploads it.

use crate::{
    bindings::{Ending, Passage, Prompt, Request, StageError, postprocessing, prompting, retrieval},
    limits::{MEMORIES, TABLES},
    state::GuestState,
    wasi,
};
use riad_core::{Digest, Error, Limits, Result, plugin::Stage};
use wasmtime::{
    Engine,
    component::{
        Component, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceAny,
        types::{self, ComponentItem},
    },
};

/// Version of every package in `wit/`.
const VERSION: &str = "0.1.0";
/// Interfaces that a component may import at [`VERSION`]. The last two only name types.
const GRANTED: [&str; 8] = [
    "riad:documents/documents",
    "riad:store/store",
    "riad:embeddings/embeddings",
    "riad:settings/settings",
    "riad:logging/logging",
    "riad:model/model",
    "riad:types/types",
    "riad:pipeline/types",
];
const STAGE_PREFIX: &str = "riad:pipeline/";

/// A component that has passed all checks and can be instantiated.
pub(crate) struct CheckedComponent {
    pub(crate) digest: Digest,
    pub(crate) stages: Vec<Stage>,
    pub(crate) instance: InstancePre<GuestState>,
    pub(crate) retrieval: Option<retrieval::GuestIndices>,
    pub(crate) prompting: Option<prompting::GuestIndices>,
    pub(crate) postprocessing: Option<postprocessing::GuestIndices>,
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
    for (name, _) in ty.imports(engine) {
        check_import(name)?;
    }
    check_resources(component, limits)?;
    let stages = exported_stages(&ty, engine)?;
    let instance = linker.instantiate_pre(component).map_err(|error| {
        invalid(format!(
            "an import does not have the type that this server gives it: {}",
            describe(&error)
        ))
    })?;
    let mut checked = CheckedComponent {
        digest,
        stages: stages.clone(),
        instance,
        retrieval: None,
        prompting: None,
        postprocessing: None,
    };
    for stage in stages {
        check_stage(&mut checked, &ty, engine, stage)?;
    }
    Ok(checked)
}

/// wasmtime's description of what is wrong with a component.
pub(crate) fn describe(error: &wasmtime::Error) -> String {
    crate::errors::truncate(&format!("{error:#}"))
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(message)
}

fn check_import(name: &str) -> Result<()> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let package = interface.split_once('/').map_or(interface, |(package, _)| package);
    if GRANTED.contains(&interface) {
        if version == VERSION {
            return Ok(());
        }
        return Err(invalid(format!(
            "the component imports `{name}`; this server has that interface at version {VERSION}"
        )));
    }
    // The linker knows the interfaces of these packages and names a missing one.
    if wasi::PACKAGES.contains(&package) && version.starts_with("0.2.") {
        return Ok(());
    }
    let why = match package {
        "wasi:filesystem" => ": a plugin has no files; its SQL store is `riad:store`",
        "wasi:sockets" | "wasi:http" => ": a plugin has no network",
        _ => "",
    };
    Err(invalid(format!(
        "the component imports `{name}`, which is not granted{why}. Granted are {} at version {VERSION}, and of WASI 0.2: {}",
        GRANTED.join(", "),
        wasi::PACKAGES.join(", ")
    )))
}

fn check_resources(component: &Component, limits: &Limits) -> Result<()> {
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
    match needed.max_initial_memory_size {
        Some(bytes) if bytes > limits.guest_memory_bytes => Err(invalid(format!(
            "the component begins with {bytes} bytes of memory, at most {} are granted",
            limits.guest_memory_bytes
        ))),
        Some(_) | None => Ok(()),
    }
}

fn exported_stages(ty: &types::Component, engine: &Engine) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for (name, _) in ty.exports(engine) {
        let Some((interface, version)) = name.strip_prefix(STAGE_PREFIX).and_then(|name| name.split_once('@')) else {
            continue;
        };
        let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.as_str() == interface) else {
            continue;
        };
        if version != VERSION {
            return Err(invalid(format!(
                "the component exports `{name}`; the versions of that stage that this server supports are: {VERSION}"
            )));
        }
        stages.push(stage);
    }
    stages.sort();
    if stages.is_empty() {
        return Err(invalid(format!(
            "the component exports no stage; it must export at least one of {}",
            Stage::ALL.map(interface_name).join(", ")
        )));
    }
    Ok(stages)
}

fn check_stage(checked: &mut CheckedComponent, ty: &types::Component, engine: &Engine, stage: Stage) -> Result<()> {
    let interface = interface_name(stage);
    let Some(ComponentItem::ComponentInstance(exports)) = ty.get_export(engine, &interface).map(|found| found.ty)
    else {
        return Err(invalid(format!(
            "the component exports `{interface}`, but not as an interface"
        )));
    };
    let exports = Exports {
        interface,
        exports,
        engine,
        instance: &checked.instance,
    };
    match stage {
        Stage::Retrieval => {
            exports.function::<(&Request,), (Result<Vec<Passage>, StageError>,)>("retrieve")?;
            checked.retrieval = Some(exports.indices(retrieval::GuestIndices::new)?);
        }
        Stage::Prompting => {
            exports.function::<(&Request, &[Passage]), (Result<Prompt, StageError>,)>("build-prompt")?;
            checked.prompting = Some(exports.indices(prompting::GuestIndices::new)?);
        }
        Stage::Postprocessing => {
            exports.function::<(&Request, &Prompt), (ResourceAny,)>("[constructor]filter")?;
            exports.function::<(ResourceAny, &str), (Result<String, StageError>,)>("[method]filter.push")?;
            exports.function::<(ResourceAny,), (Result<Ending, StageError>,)>("[method]filter.finish")?;
            checked.postprocessing = Some(exports.indices(postprocessing::GuestIndices::new)?);
        }
    }
    Ok(())
}

fn interface_name(stage: Stage) -> String {
    format!("{STAGE_PREFIX}{stage}@{VERSION}")
}

/// One exported interface of a component, in types.
struct Exports<'a> {
    interface: String,
    exports: types::ComponentInstance,
    engine: &'a Engine,
    instance: &'a InstancePre<GuestState>,
}

impl Exports<'_> {
    /// There is a function with this name and exactly these types.
    fn function<Params, Return>(&self, name: &str) -> Result<()>
    where
        Params: ComponentNamedList + Lower,
        Return: ComponentNamedList + Lift,
    {
        let interface = &self.interface;
        let Some(ComponentItem::ComponentFunc(function)) =
            self.exports.get_export(self.engine, name).map(|found| found.ty)
        else {
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
            })
    }

    fn indices<T>(&self, find: impl FnOnce(&InstancePre<GuestState>) -> wasmtime::Result<T>) -> Result<T> {
        find(self.instance).map_err(|error| invalid(format!("the component lacks an export: {}", describe(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_import_is_named_beside_those_granted() {
        let message = |name| check_import(name).unwrap_err().message().to_owned();
        assert!(
            message("wasi:sockets/tcp@0.2.3")
                .contains("`wasi:sockets/tcp@0.2.3`, which is not granted: a plugin has no network")
        );
        assert!(message("wasi:filesystem/types@0.2.0").contains("no files"));
        assert!(
            message("acme:tools/secrets")
                .contains("`acme:tools/secrets`, which is not granted. Granted are riad:documents")
        );
        assert!(message("riad:documents/documents@0.2.0").contains("at version 0.1.0"));
        assert!(message("wasi:cli/environment@0.3.0").contains("not granted"));
    }

    #[test]
    fn capabilities_and_the_empty_wasi_are_granted() {
        for name in [
            "riad:store/store@0.1.0",
            "riad:pipeline/types@0.1.0",
            "wasi:io/poll@0.2.6",
        ] {
            check_import(name).unwrap();
        }
    }

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
