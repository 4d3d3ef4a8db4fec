//! An engine and an embedder that do what a script says, and count what they did. Not here: guests (`guests`).

use crate::script::{Engine, Payer, Script, Truth};
use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, Error, ErrorKind, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{FinishReason, Grammar, Message, OutputFormat, TokenUsage, ToolCallPiece},
    ledger::EngineTokens,
    ports::{
        AdapterCounts, BatchState, ChatEngine, Embedder, EmbeddingSpace, EncodedPrompt, EnginePermit, Generation,
        GenerationEnd, GenerationEvent, GenerationStream, ResidentAdapter, TextRole,
    },
    price::Usage,
    profile::ModelProfile,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::sleep,
};

pub const MODEL: &str = "scripted";
pub const SEQUENCES: usize = 3;
/// So many tokens of each answer are reasoning, if it has as many.
pub const REASONING: u32 = 2;
const DIMENSIONS: usize = 4;
/// A text with this word in it breaks the embedder.
pub const POISON: &str = "poison";

#[derive(Clone)]
pub struct ScriptedEngine(Arc<State>);

struct State {
    profile: ModelProfile,
    truth: Truth,
    /// Of the prompts that were encoded.
    scripts: Mutex<Vec<Script>>,
    counted: Mutex<EngineTokens>,
    resident: Mutex<Vec<(Account, u64)>>,
    forgotten: Mutex<Vec<Account>>,
    slow_loads: Mutex<Option<Arc<SlowLoads>>>,
    slow_check: Mutex<Option<(oneshot::Sender<()>, std::sync::mpsc::Receiver<()>)>>,
}

/// Loads of adapters that end when the test lets them.
pub struct SlowLoads {
    pub begun: Semaphore,
    pub ends: Semaphore,
}

impl ScriptedEngine {
    pub fn new(truth: Truth) -> Self {
        Self(Arc::new(State {
            profile: ModelProfile {
                id: MODEL.into(),
                context_tokens: 400,
                prompt_tokens: 300,
                passages: 3,
                sentences: 3,
                completion_tokens: 30,
                temperature: 0.5,
            },
            truth,
            scripts: Mutex::default(),
            counted: Mutex::default(),
            resident: Mutex::default(),
            forgotten: Mutex::default(),
            slow_loads: Mutex::default(),
            slow_check: Mutex::default(),
        }))
    }

    /// The accounts that the engine was told to forget, in order.
    pub fn forgotten(&self) -> Vec<Account> {
        self.0.forgotten.lock().clone()
    }

    /// No adapter is in memory from now on.
    pub fn load_slowly(&self) -> Arc<SlowLoads> {
        let loads = Arc::new(SlowLoads {
            begun: Semaphore::new(0),
            ends: Semaphore::new(0),
        });
        *self.0.slow_loads.lock() = Some(Arc::clone(&loads));
        loads
    }

    /// The next check of an adapter says when it has begun, and ends when it is told to.
    pub fn check_slowly(&self) -> (oneshot::Receiver<()>, std::sync::mpsc::Sender<()>) {
        let ((begin, begun), (end, ends)) = (oneshot::channel(), std::sync::mpsc::channel());
        *self.0.slow_check.lock() = Some((begin, ends));
        (begun, end)
    }

    /// Has adapters of an account in memory from now on.
    pub fn hold(&self, account: Account, bytes: u64) {
        self.0.resident.lock().push((account, bytes));
    }
}

/// Behind the message that carries it may be calls, and what tools answered.
fn script(messages: &[Message]) -> Option<Script> {
    let mut latest = messages.iter().rev();
    latest.find_map(|message| Script::find(&message.content))
}

#[async_trait]
impl ChatEngine for ScriptedEngine {
    fn profile(&self) -> &ModelProfile {
        &self.0.profile
    }

    fn max_sequences(&self) -> usize {
        SEQUENCES
    }

    fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        // What stands beside the conversation, such as the tools, is counted alone.
        let Some(script) = script(messages) else {
            return Ok(EncodedPrompt::default());
        };
        let mut scripts = self.0.scripts.lock();
        scripts.push(script);
        // Each token is the number of the script.
        Ok(EncodedPrompt {
            tokens: vec![u32::try_from(scripts.len() - 1).unwrap(); script.prompt as usize],
            ..EncodedPrompt::default()
        })
    }

    fn encode_text(&self, text: &str) -> Result<EncodedPrompt> {
        self.encode(&[Message::user(text)])
    }

    fn text_of(&self, _: &[u32]) -> Option<String> {
        None
    }

    fn count_text(&self, text: &str) -> u32 {
        text.len() as u32
    }

    fn compile_grammar(&self, _: &OutputFormat) -> Result<Grammar> {
        Ok(Grammar::new(()))
    }

    fn longest_token(&self) -> usize {
        1 << 20
    }

    async fn generate(&self, generation: Generation, permit: EnginePermit) -> Result<GenerationStream> {
        let script = self.0.scripts.lock()[generation.prompt.tokens[0] as usize];
        if script.engine == Engine::Refuses {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is not there"));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let last = state.play(script, generation, &sender).await;
            drop(permit);
            let _ = sender.send(last);
        });
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|event| (event, receiver))
        });
        Ok(stream.boxed())
    }

    fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        let slow = self.0.slow_check.lock().take();
        if let Some((begin, ends)) = slow {
            begin.send(()).unwrap();
            ends.recv().unwrap();
        }
        Ok(AdapterInfo {
            rank: 1,
            bytes: files.weights.len() as u64,
            tensors: 2,
        })
    }

    fn forget_account(&self, account: Account) {
        self.0.forgotten.lock().push(account);
    }

    fn batch(&self) -> BatchState {
        BatchState::default()
    }

    fn resident_adapter(&self, _: &AdapterSource, _: Account) -> Option<ResidentAdapter> {
        self.0.slow_loads.lock().is_none().then(|| ResidentAdapter::new(()))
    }

    async fn load_adapter(&self, _: &AdapterSource, _: Account) -> Result<ResidentAdapter> {
        let slow = self.0.slow_loads.lock().clone();
        if let Some(slow) = slow {
            slow.begun.add_permits(1);
            slow.ends.acquire().await.unwrap().forget();
        }
        Ok(ResidentAdapter::new(()))
    }

    async fn preload_adapter(&self, _: &AdapterSource, _: Account) -> Result<()> {
        Ok(())
    }

    fn pin_adapters(&self, _: Account, _: Vec<Digest>) {}

    fn adapter_counts(&self) -> AdapterCounts {
        AdapterCounts::default()
    }

    fn resident_bytes(&self) -> Vec<(Account, u64)> {
        self.0.resident.lock().clone()
    }

    fn counted(&self) -> EngineTokens {
        *self.0.counted.lock()
    }
}

impl State {
    async fn play(
        &self,
        script: Script,
        mut generation: Generation,
        listener: &mpsc::UnboundedSender<Result<GenerationEvent>>,
    ) -> Result<GenerationEvent> {
        let most = generation.sampling.max_tokens;
        let mut usage = TokenUsage {
            prompt_tokens: script.prompt,
            cached_tokens: script.prompt / 3,
            completion_tokens: 0,
        };
        let mut heard = true;
        while usage.completion_tokens < script.tokens.min(most) && heard {
            if usage.completion_tokens % 4 == 3 {
                sleep(Duration::from_millis(1)).await;
            }
            // The token that is being made when the listener leaves is made.
            usage.completion_tokens += 1;
            generation
                .usage_reporter
                .progress
                .set(usage.prompt_tokens, usage.completion_tokens);
            let event = match usage.completion_tokens <= REASONING {
                true => GenerationEvent::Reasoning("thought ".into()),
                false => GenerationEvent::Piece("piece ".into()),
            };
            heard = listener.send(Ok(event)).is_ok();
        }
        let used = generation
            .sampling
            .tools
            .take()
            .filter(|_| script.engine == Engine::CallsTool);
        let call = used.map(|used| ToolCallPiece {
            call: 0,
            name: used.names.into_iter().next(),
            arguments: "{}".into(),
        });
        let calls = call.is_some();
        if let Some(call) = call {
            let _ = listener.send(Ok(GenerationEvent::ToolCall(call)));
        }
        if script.engine == Engine::Hangs && usage.completion_tokens < most && heard {
            listener.closed().await;
            usage.completion_tokens += 1;
        }
        self.truth.add(
            script.payer,
            Usage {
                prompt_tokens: u64::from(usage.prompt_tokens),
                cached_tokens: u64::from(usage.cached_tokens),
                completion_tokens: u64::from(usage.completion_tokens),
                ..Usage::default()
            },
        );
        {
            let mut counted = self.counted.lock();
            counted.prompt += u64::from(usage.prompt_tokens);
            counted.cached += u64::from(usage.cached_tokens);
            counted.completion += u64::from(usage.completion_tokens);
        }
        generation.usage_reporter.report(usage);
        if script.engine == Engine::Fails {
            return Err(Error::internal("the engine fell over"));
        }
        Ok(GenerationEvent::End(GenerationEnd {
            finish: match usage.completion_tokens < most {
                true if calls => FinishReason::ToolCalls,
                true => FinishReason::Stop,
                false => FinishReason::Length,
            },
            stop: None,
            usage,
            reasoning_tokens: Some(usage.completion_tokens.min(REASONING)),
            adapter_tensors: generation.adapter.map_or(0, |adapter| adapter.tensors),
        }))
    }
}

/// A token is a word; a text's first word says who pays (`script::text`).
pub struct WordEmbedder {
    space: EmbeddingSpace,
    truth: Truth,
    counted: Mutex<u64>,
}

impl WordEmbedder {
    pub fn new(truth: Truth) -> Self {
        Self {
            space: space(),
            truth,
            counted: Mutex::default(),
        }
    }
}

pub fn space() -> EmbeddingSpace {
    EmbeddingSpace {
        model: "words".into(),
        dimensions: DIMENSIONS,
    }
}

impl Embedder for WordEmbedder {
    fn space(&self) -> &EmbeddingSpace {
        &self.space
    }

    fn fusion_weight(&self) -> f32 {
        1.0
    }

    fn call_bytes(&self) -> usize {
        32 << 10
    }

    fn most_tokens(&self, bytes: usize) -> u64 {
        bytes as u64
    }

    fn embed(&self, texts: &[String], _role: TextRole) -> Result<(Vec<Vec<f32>>, u32)> {
        std::thread::sleep(Duration::from_millis(1));
        if texts.iter().any(|text| text.contains(POISON)) {
            return Err(Error::internal("the embedder fell over"));
        }
        let words = |text: &String| text.split_whitespace().count() as u32;
        let tokens = texts.iter().map(words).sum::<u32>();
        let (tenant, key) = texts[0].split_whitespace().next().unwrap().split_once(':').unwrap();
        let payer: Payer = (tenant.parse().unwrap(), key.parse().unwrap());
        let used = Usage {
            embedded_tokens: u64::from(tokens),
            ..Usage::default()
        };
        self.truth.add(payer, used);
        *self.counted.lock() += u64::from(tokens);
        let vector = vec![1.0, 0.0, 0.0, 0.0];
        Ok((vec![vector; texts.len()], tokens))
    }

    fn counted(&self) -> u64 {
        *self.counted.lock()
    }
}
