//! The server's own components, which serve the stages that a room has not replaced.

use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, Result,
    plugin::Stage,
    ports::{PlannedComponent, Sandbox},
};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// As they are embedded in the program.
pub struct StandardComponents {
    /// Serves every stage of [`Stage::STANDARD`].
    pub chat: Bytes,
    pub extraction: Bytes,
    pub chunking: Bytes,
}

/// The same, compiled.
pub(crate) struct Standard {
    chat: PlannedComponent,
    chunking: PlannedComponent,
    /// Compiled when the first file comes, or by [`Self::warm`]: its parsers take a core for as long as the rest of a start takes several times.
    extraction: PlannedComponent,
    is_compiled: OnceCell<()>,
}

impl Standard {
    /// # Errors
    /// A component that does not serve its stages.
    pub async fn compile(sandbox: &dyn Sandbox, components: StandardComponents) -> Result<Self> {
        Ok(Self {
            chat: compile(sandbox, components.chat, &Stage::STANDARD).await?,
            chunking: compile(sandbox, components.chunking, &[Stage::Chunking]).await?,
            extraction: PlannedComponent {
                digest: Digest::of(&components.extraction),
                source: Arc::new(components.extraction),
            },
            is_compiled: OnceCell::new(),
        })
    }

    pub async fn get(&self, sandbox: &Arc<dyn Sandbox>, stage: Stage) -> Result<PlannedComponent> {
        match stage {
            Stage::Extraction => {
                self.warm(sandbox).await?;
                Ok(self.extraction.clone())
            }
            Stage::Chunking => Ok(self.chunking.clone()),
            Stage::Retrieval | Stage::Prompting | Stage::Postprocessing => Ok(self.chat.clone()),
            Stage::Tools => Err(Error::internal("there is no standard for the stage tools")),
        }
    }

    /// Compiles what [`Self::compile`] has left for later. A caller that goes away does not end it.
    pub async fn warm(&self, sandbox: &Arc<dyn Sandbox>) -> Result<()> {
        let compiling = || async {
            let (sandbox, source) = (Arc::clone(sandbox), Arc::clone(&self.extraction.source));
            let compiled = tokio::spawn(async move {
                let component = source.read().await?;
                compile(sandbox.as_ref(), component, &[Stage::Extraction]).await
            });
            compiled.await.map_err(Error::internal)?.map(drop).map_err(own_fault)
        };
        self.is_compiled.get_or_try_init(compiling).await.copied()
    }

    /// Whether the component is the one of the server's chats.
    pub fn is_chat(&self, digest: &Digest) -> bool {
        self.chat.digest == *digest
    }
}

/// The server's own component exceeds the limits of compiling only where other programs take the processors: no fault of the document's.
fn own_fault(error: Error) -> Error {
    if error.kind() != ErrorKind::PluginLimit {
        return error;
    }
    let text = "the server has not compiled what reads files yet, because other work keeps its processors busy; send the file again";
    Error::new(ErrorKind::Unavailable, text).with_source(error)
}

async fn compile(sandbox: &dyn Sandbox, component: Bytes, stages: &[Stage]) -> Result<PlannedComponent> {
    let info = sandbox.compile(None, component.clone()).await?;
    match stages.iter().find(|stage| !info.stages.contains(stage)) {
        Some(stage) => Err(Error::internal(format!(
            "a component of the server's does not serve the stage {stage}"
        ))),
        None => Ok(PlannedComponent {
            digest: info.digest,
            source: Arc::new(component),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use riad_core::{
        Account,
        ports::{Capabilities, ComponentInfo, IngestionRun, PipelinePlan, PipelineRun},
    };
    use std::sync::atomic::{AtomicU32, Ordering};

    const EXTRACTION: &[u8] = b"extraction";

    /// Takes too long for the extraction once.
    #[derive(Default)]
    struct Slow(AtomicU32);

    #[async_trait]
    impl Sandbox for Slow {
        async fn compile(&self, _: Option<Account>, component: Bytes) -> Result<ComponentInfo> {
            if component == EXTRACTION && self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(Error::new(
                    ErrorKind::PluginLimit,
                    "compiling takes too long; make it smaller",
                ));
            }
            Ok(ComponentInfo {
                digest: Digest::of(&component),
                stages: [&Stage::STANDARD[..], &Stage::INGESTION].concat(),
                capabilities: [].into(),
                manifest: None,
            })
        }

        async fn start(&self, _: &PipelinePlan, _: Capabilities) -> Result<Box<dyn PipelineRun>> {
            Err(Error::internal("nothing starts here"))
        }

        async fn start_ingestion(&self, _: &PipelinePlan, _: Capabilities, _: u64) -> Result<Box<dyn IngestionRun>> {
            Err(Error::internal("nothing starts here"))
        }
    }

    #[tokio::test]
    async fn a_server_that_compiles_slowly_blames_no_file() {
        let sandbox: Arc<dyn Sandbox> = Arc::new(Slow::default());
        let components = StandardComponents {
            chat: Bytes::from_static(b"chat"),
            extraction: Bytes::from_static(EXTRACTION),
            chunking: Bytes::from_static(b"chunking"),
        };
        let standard = Standard::compile(sandbox.as_ref(), components).await.unwrap();
        let refused = standard.get(&sandbox, Stage::Extraction).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(!refused.message().contains("smaller"), "{refused}");
        let served = standard.get(&sandbox, Stage::Extraction).await.unwrap();
        assert_eq!(served.digest, Digest::of(EXTRACTION));
    }
}
