//! What `wit-bindgen` makes of `wit/`: the capabilities once, and one world per stage that shares their types. A stage's
//! component type is linked only where `export!` names the stage, so that a plugin exports any of them.
//! Not here: the names authors use (the crate's root).
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub mod capabilities {
    wit_bindgen::generate!({
        inline: "
            package riad:sdk-rust;
            world everything {
                include riad:plugin/capabilities@0.2.0;
                import riad:pipeline/types@0.2.0;
            }
        ",
        path: [
            "../../wit/riad-types",
            "../../wit/riad-documents",
            "../../wit/riad-store",
            "../../wit/riad-kv",
            "../../wit/riad-embeddings",
            "../../wit/riad-generation",
            "../../wit/riad-http",
            "../../wit/riad-settings",
            "../../wit/riad-logging",
            "../../wit/riad-model",
            "../../wit/riad-clock",
            "../../wit/riad-random",
            "../../wit/riad-pipeline",
            "../../wit/riad-ingestion",
            "../../wit/riad-plugin",
        ],
        additional_derives: [PartialEq],
        generate_unused_types: true,
        generate_all,
    });
}

macro_rules! stage {
    ($module:ident, $world:literal, $bindings:literal, $export:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: [
                    "../../wit/riad-types",
                    "../../wit/riad-documents",
                    "../../wit/riad-store",
                    "../../wit/riad-kv",
                    "../../wit/riad-embeddings",
                    "../../wit/riad-generation",
                    "../../wit/riad-http",
                    "../../wit/riad-settings",
                    "../../wit/riad-logging",
                    "../../wit/riad-model",
                    "../../wit/riad-clock",
                    "../../wit/riad-random",
                    "../../wit/riad-pipeline",
                    "../../wit/riad-ingestion",
                    "../../wit/riad-plugin",
                ],
                with: {
                    "riad:types/types@0.1.0": crate::bindings::capabilities::riad::types::types,
                    "riad:documents/documents@0.2.0": crate::bindings::capabilities::riad::documents::documents,
                    "riad:store/store@0.1.0": crate::bindings::capabilities::riad::store::store,
                    "riad:kv/kv@0.1.0": crate::bindings::capabilities::riad::kv::kv,
                    "riad:embeddings/embeddings@0.1.0": crate::bindings::capabilities::riad::embeddings::embeddings,
                    "riad:generation/generation@0.1.0": crate::bindings::capabilities::riad::generation::generation,
                    "riad:http/http@0.1.0": crate::bindings::capabilities::riad::http::http,
                    "riad:settings/settings@0.1.0": crate::bindings::capabilities::riad::settings::settings,
                    "riad:logging/logging@0.1.0": crate::bindings::capabilities::riad::logging::logging,
                    "riad:model/model@0.1.0": crate::bindings::capabilities::riad::model::model,
                    "riad:clock/clock@0.1.0": crate::bindings::capabilities::riad::clock::clock,
                    "riad:random/random@0.1.0": crate::bindings::capabilities::riad::random::random,
                    "riad:pipeline/types@0.2.0": crate::bindings::capabilities::riad::pipeline::types,
                },
                additional_derives: [PartialEq],
                pub_export_macro: true,
                default_bindings_module: $bindings,
                export_macro_name: $export,
                generate_all,
            });
        }
    };
}

stage!(
    retrieval,
    "riad:plugin/retrieval-plugin@0.2.0",
    "riad_sdk::bindings::retrieval",
    "export_retrieval"
);
stage!(
    prompting,
    "riad:plugin/prompting-plugin@0.2.0",
    "riad_sdk::bindings::prompting",
    "export_prompting"
);
stage!(
    postprocessing,
    "riad:plugin/postprocessing-plugin@0.2.0",
    "riad_sdk::bindings::postprocessing",
    "export_postprocessing"
);
stage!(
    tools,
    "riad:plugin/tools-plugin@0.2.0",
    "riad_sdk::bindings::tools",
    "export_tools"
);

/// Types that extraction and chunking share. Apart from `capabilities`, so that a plugin of a chat's stages does not name them.
pub mod ingestion {
    wit_bindgen::generate!({
        inline: "
            package riad:sdk-rust-ingestion;
            world types {
                import riad:ingestion/types@0.1.0;
            }
        ",
        path: ["../../wit/riad-ingestion"],
        additional_derives: [PartialEq],
        generate_unused_types: true,
        generate_all,
    });
}

/// A stage that runs when a file is added: its world has two capabilities.
macro_rules! ingestion_stage {
    ($module:ident, $world:literal, $bindings:literal, $export:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: [
                    "../../wit/riad-types",
                    "../../wit/riad-documents",
                    "../../wit/riad-store",
                    "../../wit/riad-kv",
                    "../../wit/riad-embeddings",
                    "../../wit/riad-generation",
                    "../../wit/riad-http",
                    "../../wit/riad-settings",
                    "../../wit/riad-logging",
                    "../../wit/riad-model",
                    "../../wit/riad-clock",
                    "../../wit/riad-random",
                    "../../wit/riad-pipeline",
                    "../../wit/riad-ingestion",
                    "../../wit/riad-plugin",
                ],
                with: {
                    "riad:settings/settings@0.1.0": crate::bindings::capabilities::riad::settings::settings,
                    "riad:logging/logging@0.1.0": crate::bindings::capabilities::riad::logging::logging,
                    "riad:ingestion/types@0.1.0": crate::bindings::ingestion::riad::ingestion::types,
                },
                additional_derives: [PartialEq],
                pub_export_macro: true,
                default_bindings_module: $bindings,
                export_macro_name: $export,
                generate_all,
            });
        }
    };
}

ingestion_stage!(
    extraction,
    "riad:plugin/extraction-plugin@0.2.0",
    "riad_sdk::bindings::extraction",
    "export_extraction"
);
ingestion_stage!(
    chunking,
    "riad:plugin/chunking-plugin@0.2.0",
    "riad_sdk::bindings::chunking",
    "export_chunking"
);
