//! `export!`: makes a type's stages the exports of the component. Not here: the stages (`stages`, `ingestion`).

/// Exports the named stages of a type: `riad_sdk::export!(MyPlugin => retrieval, prompting, postprocessing, tools);`, or of what
/// runs when a file is added: `riad_sdk::export!(MyPlugin => extraction, chunking);`. A component
/// exports what is named and nothing else; call it once per component. Elsewhere than on WebAssembly it only checks the
/// types, so that a plugin's unit tests link.
#[macro_export]
macro_rules! export {
    ($plugin:ident => $($stage:ident),+ $(,)?) => {
        $($crate::__export_stage!($stage $plugin);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_stage {
    (retrieval $plugin:ident) => {
        impl $crate::bindings::retrieval::exports::riad::pipeline::retrieval::Guest for $plugin {
            fn retrieve(request: $crate::Request) -> Result<Vec<$crate::Passage>, $crate::StageError> {
                <$plugin as $crate::Retrieval>::retrieve(request)
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::retrieval::export_retrieval!($plugin with_types_in $crate::bindings::retrieval);
    };
    (prompting $plugin:ident) => {
        impl $crate::bindings::prompting::exports::riad::pipeline::prompting::Guest for $plugin {
            fn build_prompt(
                request: $crate::Request,
                passages: Vec<$crate::Passage>,
            ) -> Result<$crate::Prompt, $crate::StageError> {
                <$plugin as $crate::Prompting>::build_prompt(request, passages)
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::prompting::export_prompting!($plugin with_types_in $crate::bindings::prompting);
    };
    (postprocessing $plugin:ident) => {
        impl $crate::bindings::postprocessing::exports::riad::pipeline::postprocessing::Guest for $plugin {
            type Filter = $crate::FilterCell<<$plugin as $crate::Postprocessing>::Filter>;
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::postprocessing::export_postprocessing!(
            $plugin with_types_in $crate::bindings::postprocessing
        );
    };
    (tools $plugin:ident) => {
        impl $crate::bindings::tools::exports::riad::pipeline::tools::Guest for $plugin {
            fn offer() -> Result<Vec<$crate::Tool>, $crate::StageError> {
                <$plugin as $crate::Tools>::offer()
            }

            fn call(name: String, arguments: String) -> Result<String, $crate::StageError> {
                <$plugin as $crate::Tools>::call(&name, &arguments)
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::tools::export_tools!($plugin with_types_in $crate::bindings::tools);
    };
    (extraction $plugin:ident) => {
        impl $crate::bindings::extraction::exports::riad::ingestion::extraction::Guest for $plugin {
            fn extract(
                upload: $crate::Upload,
                options: $crate::ExtractionOptions,
            ) -> Result<$crate::Extracted, $crate::ExtractionError> {
                <$plugin as $crate::Extraction>::extract(upload, options)
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::extraction::export_extraction!($plugin with_types_in $crate::bindings::extraction);
    };
    (chunking $plugin:ident) => {
        impl $crate::bindings::chunking::exports::riad::ingestion::chunking::Guest for $plugin {
            fn chunk(
                title: String,
                sections: Vec<$crate::Section>,
                options: $crate::ChunkingOptions,
            ) -> Result<Vec<$crate::Piece>, $crate::ChunkingError> {
                <$plugin as $crate::Chunking>::chunk(title, sections, options)
            }
        }
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::chunking::export_chunking!($plugin with_types_in $crate::bindings::chunking);
    };
}
