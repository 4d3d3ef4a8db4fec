//! Generated bindings of the capabilities and types in `wit/`, at their newest versions. A stage's functions are found by name
//! (`stages.rs`), so that one code serves every version of it. Not here: conversions (`convert.rs`, `capabilities/`), older versions of a
//! capability (`capabilities/`).

wasmtime::component::bindgen!({
    // In the order of their dependencies.
    path: [
        "../../wit/riad-types",
        "../../wit/riad-model",
        "../../wit/riad-documents",
        "../../wit/riad-store",
        "../../wit/riad-kv",
        "../../wit/riad-embeddings",
        "../../wit/riad-generation",
        "../../wit/riad-http",
        "../../wit/riad-settings",
        "../../wit/riad-logging",
        "../../wit/riad-clock",
        "../../wit/riad-random",
        "../../wit/riad-pipeline",
    ],
    inline: "
        package riad:host;
        world plugin {
            import riad:documents/documents@0.2.0;
            import riad:store/store@0.1.0;
            import riad:kv/kv@0.1.0;
            import riad:embeddings/embeddings@0.1.0;
            import riad:generation/generation@0.1.0;
            import riad:http/http@0.1.0;
            import riad:settings/settings@0.1.0;
            import riad:logging/logging@0.1.0;
            import riad:model/model@0.1.0;
            import riad:clock/clock@0.1.0;
            import riad:random/random@0.1.0;
            import riad:pipeline/types@0.2.0;
        }
    ",
    imports: { default: async | trappable },
});

pub(crate) use riad::pipeline::types::{Ending, FinishReason, Message, Prompt, Request, Role, StageError};
pub(crate) use riad::types::types::Error as WitError;
// `pub` for the fuzz targets, which get it from `fuzzing`.
pub use riad::types::types::Passage;
pub(crate) use riad::{
    clock, documents, embeddings, generation, http, kv, logging, model, pipeline, random, settings, store, types,
};
