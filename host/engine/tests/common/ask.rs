//! Opening an engine and asking it. Not here: which answer is right.

use futures::StreamExt;
use riad_core::{
    Account, Result,
    adapter::{AdapterFiles, AdapterSource},
    chat::{FinishReason, Message, Sampling, TokenLogprobs, TokenUsage},
    ports::{
        ChatEngine, EnginePermit, Generation, GenerationEnd, GenerationEvent, GenerationStream, Progress, UsageReporter,
    },
    profile::ModelProfile,
};
use riad_engine::{Device, Dtype, EngineConfig, Quantization};
use safetensors::SafeTensors;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Against hanging only: nothing here takes a hundredth of it.
pub const HANGING: Duration = Duration::from_secs(600);

pub type Engine = Arc<dyn ChatEngine>;
pub type Stream = GenerationStream;

#[derive(Debug, Clone)]
pub struct Answer {
    pub reasoning: String,
    pub text: String,
    pub logprobs: Vec<TokenLogprobs>,
    /// Name and arguments of each call of a tool.
    pub calls: Vec<(String, String)>,
    pub end: GenerationEnd,
}

impl Answer {
    pub fn finish(&self) -> FinishReason {
        self.end.finish
    }

    pub fn tokens(&self) -> u32 {
        self.end.usage.completion_tokens
    }
}

/// What the prefix cache had depends on the requests before, and nothing else may.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        let without_hits = |answer: &Self| GenerationEnd {
            usage: TokenUsage {
                cached_tokens: 0,
                ..answer.end.usage
            },
            ..answer.end.clone()
        };
        (&self.reasoning, &self.text) == (&other.reasoning, &other.text) && without_hits(self) == without_hits(other)
    }
}

pub fn config(model: &Path, max_sequences: usize) -> EngineConfig {
    EngineConfig {
        model: model.to_str().unwrap().to_owned(),
        dtype: Dtype::F32,
        device: Device::Cpu,
        quantization: Quantization::None,
        max_sequences,
        rows_per_step: 64,
        prefill_slowdown: Some(2.5),
        kv_cache_tokens: 16_384,
        prefix_cache: true,
        profile: ModelProfile {
            id: "under-test".into(),
            context_tokens: 1024,
            prompt_tokens: 512,
            passages: 4,
            sentences: 3,
            completion_tokens: 128,
            temperature: 0.0,
        },
        resident_adapter_bytes: 64 << 20,
        idle_unload: None,
        remote: None,
    }
}

pub async fn open(model: &Path, max_sequences: usize) -> Engine {
    riad_engine::open(config(model, max_sequences)).await.unwrap()
}

pub fn files(folder: &Path) -> AdapterFiles {
    AdapterFiles {
        config: std::fs::read(folder.join("adapter_config.json")).unwrap().into(),
        weights: std::fs::read(folder.join("adapter_model.safetensors")).unwrap().into(),
    }
}

/// An adapter's folder as a room would hand it to the engine.
pub fn source(folder: &Path) -> AdapterSource {
    let files = files(folder);
    AdapterSource {
        generation: files.generation(),
        folder: folder.to_owned(),
        tensors: SafeTensors::deserialize(&files.weights).unwrap().len() as u32,
        pin: Arc::new(()),
    }
}

/// What a generation reports.
pub struct ReportedUsage {
    pub progress: Arc<Progress>,
    report: oneshot::Receiver<TokenUsage>,
}

impl ReportedUsage {
    pub fn reporter() -> (UsageReporter, Self) {
        let progress = Arc::new(Progress::default());
        let (sender, report) = oneshot::channel();
        let usage_reporter = UsageReporter::new(progress.clone(), move |usage| _ = sender.send(usage));
        (usage_reporter, Self { progress, report })
    }

    /// What has been reported by now.
    pub fn now(&mut self) -> Option<TokenUsage> {
        self.report.try_recv().ok()
    }

    pub async fn wait(self) -> TokenUsage {
        tokio::time::timeout(HANGING, self.report)
            .await
            .expect("a generation that never reports")
            .unwrap()
    }
}

pub fn generation(
    engine: &Engine,
    messages: &[Message],
    sampling: &Sampling,
    adapter: Option<&AdapterSource>,
) -> Generation {
    reporting_generation(engine, messages, sampling, adapter).0
}

pub fn reporting_generation(
    engine: &Engine,
    messages: &[Message],
    sampling: &Sampling,
    adapter: Option<&AdapterSource>,
) -> (Generation, ReportedUsage) {
    let (usage_reporter, reported) = ReportedUsage::reporter();
    let generation = Generation {
        prompt: engine.encode(messages).unwrap(),
        sampling: sampling.clone(),
        adapter: adapter.cloned(),
        account: Account::new(1),
        weight: 1,
        prefix_cache: true,
        usage_reporter,
    };
    (generation, reported)
}

/// Asks and waits for the whole answer, without a scheduler: the engine itself makes it wait for a place in the batch.
pub async fn ask(
    engine: &Engine,
    messages: &[Message],
    sampling: &Sampling,
    adapter: Option<&AdapterSource>,
) -> Result<Answer> {
    let (generation, mut reported) = reporting_generation(engine, messages, sampling, adapter);
    let stream = engine.generate(generation, EnginePermit::new(|| {})).await?;
    let answer = read(stream).await?;
    assert_eq!(
        reported.now(),
        Some(answer.end.usage),
        "usage is reported before the end"
    );
    Ok(answer)
}

/// Reads a stream until nothing more comes, and returns its end if it has one.
pub async fn read_any(mut stream: GenerationStream) -> Option<GenerationEnd> {
    while let Some(event) = stream.next().await {
        if let Ok(GenerationEvent::End(end)) = event {
            return Some(end);
        }
    }
    None
}

/// Reads a stream to its end, of which there must be exactly one, at the end.
pub async fn read(stream: GenerationStream) -> Result<Answer> {
    let events = tokio::time::timeout(HANGING, stream.collect::<Vec<_>>())
        .await
        .expect("a generation that hangs");
    let (mut reasoning, mut text) = (String::new(), String::new());
    let mut logprobs = Vec::new();
    let mut calls: Vec<(String, String)> = Vec::new();
    let mut end = None;
    for event in events {
        assert!(end.is_none(), "an event after the last one");
        match event? {
            GenerationEvent::Reasoning(piece) => {
                assert!(!piece.is_empty(), "an empty piece");
                assert!(text.is_empty(), "reasoning after the answer has begun");
                reasoning += &piece;
            }
            GenerationEvent::Piece(piece) => {
                assert!(!piece.text.is_empty() || !piece.logprobs.is_empty(), "an empty piece");
                text += &piece.text;
                logprobs.extend(piece.logprobs);
            }
            GenerationEvent::ToolCall(piece) => {
                calls.extend(piece.name.map(|name| (name, String::new())));
                calls[piece.call as usize].1 += &piece.arguments;
            }
            GenerationEvent::End(last) => end = Some(last),
        }
    }
    let end = end.expect("a stream without an end");
    Ok(Answer {
        reasoning,
        text,
        logprobs,
        calls,
        end,
    })
}
