//! Generated bindings of `wit/`. One world has every capability and every stage, so that shared types exist once; `check.rs`
//! finds which stages a component exports. Not here: conversions (`convert.rs`, `capabilities/`).

wasmtime::component::bindgen!({
    // In the order of their dependencies.
    path: [
        "../../wit/riad-types",
        "../../wit/riad-model",
        "../../wit/riad-documents",
        "../../wit/riad-store",
        "../../wit/riad-embeddings",
        "../../wit/riad-settings",
        "../../wit/riad-logging",
        "../../wit/riad-pipeline",
        "../../wit/riad-plugin",
    ],
    inline: "
        package riad:host;
        world plugin {
            include riad:plugin/capabilities@0.1.0;
            export riad:pipeline/retrieval@0.1.0;
            export riad:pipeline/prompting@0.1.0;
            export riad:pipeline/postprocessing@0.1.0;
        }
    ",
    imports: { default: async | trappable },
    exports: { default: async },
});

pub(crate) use exports::riad::pipeline::{postprocessing, prompting, retrieval};
pub(crate) use riad::pipeline::types::{Ending, Message, Prompt, Request, Role, StageError};
pub(crate) use riad::types::types::Error as WitError;
// `pub` for the fuzz targets, which get it from `fuzzing`.
pub use riad::types::types::Passage;
pub(crate) use riad::{documents, embeddings, logging, model, pipeline, settings, store, types};
