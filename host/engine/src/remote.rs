//! Other servers that generate: the `ChatEngine` over OpenAI's `POST /completions`, as vLLM, SGLang and llama.cpp have it.
//!
//! Prompts are made here, by the model's own tokenizer and template, and sent as tokens; what comes back is read as the answers of the
//! local engine are. So a prompt is counted before it is sent, and no server's template reads what a tenant wrote.
//! Not here: when a generation may begin (`admission`), what a token becomes (`tokens`).

mod adapters;
mod connection;
mod endpoint;
mod fleet;
mod model;
mod request;
mod sse;
mod stream;

use crate::{
    EngineConfig, RemoteConfig,
    tokens::{self, Counted, answer::Answer, engine_error, logprobs},
};
use adapters::AdapterFolder;
use async_trait::async_trait;
use connection::Connection;
use fleet::Fleet;
use futures::StreamExt;
use model::RemoteModel;
use riad_core::{
    Account, Digest, Error, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource},
    chat::{Grammar, Message, OutputFormat},
    ledger::EngineTokens,
    ports::{
        AdapterCounts, BatchState, ChatEngine, EncodedPrompt, EnginePermit, Generation, GenerationStream,
        ResidentAdapter,
    },
    profile::ModelProfile,
};
use std::sync::Arc;

pub(crate) struct RemoteEngine {
    profile: ModelProfile,
    max_sequences: usize,
    model: Arc<RemoteModel>,
    fleet: Arc<Fleet>,
    instance: String,
    counted: Arc<Counted>,
}

impl RemoteEngine {
    /// Reads the model's tokenizer and template, and asks the servers in the background how they are.
    pub async fn open(config: EngineConfig, remote: RemoteConfig) -> Result<Self> {
        let folder = config.model.clone();
        let model = tokens::blocking(move || RemoteModel::open(folder.as_ref())).await?;
        let connection = Connection::open(remote.key.clone())?;
        let folder = remote.adapter_folder.clone();
        let adapters = folder
            .map(|folder| AdapterFolder::open(folder, &remote.instance))
            .transpose()?;
        let fleet = Arc::new(Fleet::new(
            &remote,
            (config.max_sequences, config.profile.context_tokens),
            connection,
            adapters,
        )?);
        fleet::watch(&fleet);
        Ok(Self {
            profile: config.profile,
            max_sequences: config.max_sequences,
            model: Arc::new(model),
            fleet,
            instance: remote.instance,
            counted: Arc::default(),
        })
    }
}

#[async_trait]
impl ChatEngine for RemoteEngine {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    fn max_sequences(&self) -> usize {
        self.max_sequences
    }

    fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        self.model.encoder.encode(messages)
    }

    fn encode_text(&self, text: &str) -> Result<EncodedPrompt> {
        self.model.encoder.encode_text(text)
    }

    fn text_of(&self, tokens: &[u32]) -> Option<String> {
        self.model.encoder.text_of(tokens)
    }

    fn count_text(&self, text: &str) -> u32 {
        u32::try_from(self.model.encoder.count_text(text)).unwrap_or(u32::MAX)
    }

    fn compile_grammar(&self, format: &OutputFormat) -> Result<Grammar> {
        self.model.compile_grammar(format)
    }

    fn longest_token(&self) -> usize {
        self.model.encoder.longest_token()
    }

    async fn generate(&self, generation: Generation, permit: EnginePermit) -> Result<GenerationStream> {
        // Dropped in the reverse order when this ends early: the usage is reported before the permit goes back.
        let (permit, mut generation) = (permit, generation);
        let vocabulary = self.model.vocabulary_size;
        logprobs::check_bias(&generation.sampling, vocabulary)?;
        let prompt = std::mem::take(&mut generation.prompt);
        let parser = self.model.encoder.answer_parser(&prompt);
        let most = generation.sampling.max_tokens;
        let max_tokens = tokens::most_tokens(&prompt.tokens, most, self.profile.context_tokens as usize, vocabulary)?;
        let of_engine = (self.instance.as_str(), self.model.encoder.reasons());
        let asked = request::Asked::new(&generation, &prompt.tokens, max_tokens, of_engine)?;
        let (adapter, account) = (generation.adapter.clone(), generation.account);
        // In the server that is asked first. Without waiting: those who wait for a permit may have the places.
        let hold = match &adapter {
            Some(source) => Some(self.fleet.lease(source, account).await?),
            None => None,
        };
        let adapter_tensors = generation.adapter.as_ref().map_or(0, |adapter| adapter.tensors);
        // resources::ANSWERS
        let (events, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let answer = Answer::new(
            generation,
            parser,
            prompt.tokens.len(),
            max_tokens,
            adapter_tensors,
            events,
            permit,
        );
        let reading = stream::Reading::new(Arc::clone(&self.model), asked, answer);
        tokio::spawn(reading.run(
            Arc::clone(&self.fleet),
            adapter,
            account,
            hold,
            Arc::clone(&self.counted),
        ));
        Ok(futures::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
    }

    fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        self.fleet.check_adapters()?;
        self.model.inspect_adapter(files)
    }

    /// What servers keep of prompts is theirs: with prefix caches they have a salt for each account.
    fn forget_account(&self, _account: Account) {}

    fn batch(&self) -> BatchState {
        self.fleet.batch()
    }

    fn resident_adapter(&self, source: &AdapterSource, account: Account) -> Option<ResidentAdapter> {
        self.fleet.resident(source, account).map(ResidentAdapter::new)
    }

    async fn load_adapter(&self, source: &AdapterSource, account: Account) -> Result<ResidentAdapter> {
        let lease = self.fleet.lease_in_time(source, account).await?;
        Ok(ResidentAdapter::new(lease))
    }

    async fn preload_adapter(&self, source: &AdapterSource, account: Account) -> Result<()> {
        self.fleet.preload(source, account).await
    }

    fn pin_adapters(&self, account: Account, generations: Vec<Digest>) {
        self.fleet.pin(account, generations);
    }

    fn adapter_counts(&self) -> AdapterCounts {
        self.fleet.adapter_counts()
    }

    fn resident_bytes(&self) -> Vec<(Account, u64)> {
        self.fleet.resident_bytes()
    }

    fn counted(&self) -> EngineTokens {
        self.counted.all()
    }
}

/// What the client is told of a server that answers wrongly. The log says more.
fn wrong_answer(what: &str) -> Error {
    engine_error("got an answer that it cannot use", what.to_owned())
}
