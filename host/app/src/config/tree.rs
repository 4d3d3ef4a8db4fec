//! Every configuration key with its type, default and documentation. The environment, the reference and
//! `riad.example.toml` follow from it.

use super::setting::{section, values};
use riad_api::AllowedOrigins;
use riad_core::{CellName, Limits, TenantId};
use riad_engine::{Device, Dtype, Quantization};
use riad_telemetry::LogFormat;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

section! {
    Config {
        /// Address, data folder, TLS.
        server: Server = Server::default();
        /// This server as one of several cells.
        cell: Cell = Cell::default();
        /// Tokens of an identity provider.
        auth: Auth = Auth::default();
        /// The order of waiting requests.
        scheduler: Scheduler = Scheduler::default();
        /// Currency and accrual.
        metering: Metering = Metering::default();
        /// Log, traces, metrics.
        telemetry: Telemetry = Telemetry::default();
        /// The chat model.
        engine: Engine = Engine::default();
        /// The embedding model.
        embeddings: Embeddings = Embeddings::default();
        /// Searches.
        search: Search = Search::default();
        /// What tenants upload.
        plugins: Plugins = Plugins::default();
        /// An object store for snapshots of rooms.
        objects: Objects = Objects::default();
        /// Sizes, times and counts.
        limits: Limits = Limits::default();
    }
}

section! {
    Server {
        /// Address and port, as in 127.0.0.1:8080; port 0 takes a free one.
        listen: String = "127.0.0.1:8080".into();
        /// Folder for all data. One server at a time can use it.
        data: PathBuf = "riad-data".into();
        /// PEM file with the certificate and its chain. With it and tls_key the server speaks TLS only; it reads both files
        /// again when they change.
        tls_certificate: Option<PathBuf> = None;
        /// PEM file with the certificate's private key.
        tls_key: Option<PathBuf> = None;
        /// Origins whose pages may call the API from a browser, as in https://chat.example; `*` is every one. Whoever opens such a page
        /// can read the key that it has.
        cors_origins: Vec<String> = Vec::new();
    }
}

impl Server {
    /// Certificate and key, if TLS is on.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }

    /// Whose pages may read answers.
    #[must_use]
    pub fn origins(&self) -> AllowedOrigins {
        AllowedOrigins::new(self.cors_origins.iter().cloned())
    }
}

section! {
    /// This server as one of several cells. Off without `map`.
    Cell {
        /// What the map calls this server. Needed with map.
        name: Option<CellName> = None;
        /// File with the routing map, which says which cell serves which tenants; riad cell plan makes it. What is another cell's is answered
        /// with 421. The server reads it again when it changes. Unset: this server serves every tenant.
        map: Option<PathBuf> = None;
    }
}

section! {
    /// Tokens of an identity provider. Off without `jwks`.
    Auth {
        /// Public keys of an identity provider (JWKS), a file or a URL. The server then accepts the provider's tokens as
        /// keys. Unset: it accepts no tokens.
        jwks: Option<String> = None;
        /// What a token's `iss` must be. Needed with jwks.
        issuer: Option<String> = None;
        /// What a token's `aud` must be or contain. Needed with jwks.
        audience: Option<String> = None;
        /// The claim that names the tenant.
        tenant_claim: String = "tenant".into();
        /// The claim that names the role: admin, user or read-only.
        role_claim: String = "role".into();
        /// The claim that lists the scopes; a token without it has all.
        scopes_claim: String = "scope".into();
        /// Tenants that the issuer's tokens may name; empty: all.
        tenants: Vec<TenantId> = Vec::new();
        /// Seconds by which the provider's clock may differ from this machine's, at most 300.
        leeway_seconds: u64 = 30;
    }
}

/// Which waiting request starts when the engine has a free place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerPolicy {
    /// That of the account that was served least for its weight.
    #[default]
    Fair,
    /// The oldest.
    Fifo,
}

values! {
    Text: SchedulerPolicy;
}

section! {
    Scheduler {
        /// Which request gets a free place: fair (of the account that was served least for its weight) or fifo (the oldest).
        policy: SchedulerPolicy = SchedulerPolicy::default();
        /// Milliseconds in which a request should have its first token. If the wait is longer, the server rejects
        /// requests of the account that has the most waiting, those of its lowest tier first.
        target_first_token_ms: u64 = 10_000;
    }
}

section! {
    Metering {
        /// Currency of all prices and costs: three small letters of ISO 4217.
        currency: String = "usd".into();
        /// Milliseconds between two charges for stored bytes and resident adapters.
        accrual_ms: u64 = 3_600_000;
    }
}

section! {
    Telemetry {
        /// text for people, json for machines: one object a line on stderr.
        log_format: LogFormat = LogFormat::default();
        /// Collector for traces, OTLP over HTTP, as in http://127.0.0.1:4318. Unset: no traces.
        otlp_endpoint: Option<String> = None;
        /// Share of the requests that are traced, 0 to 1.
        sample_ratio: f64 = 1.0;
        /// Whether a `traceparent` header decides whether its request is traced. For a server that only a gateway of one's own reaches.
        trust_traceparent: bool = false;
        /// Whether metrics have a label for the tenant.
        tenant_label: bool = false;
        /// Tenants with a label of their own; metrics count all others together.
        max_tenants: usize = 100;
        /// Whether everybody may read /metrics. If not, it needs the operator's key or RIAD_METRICS_KEY.
        open_metrics: bool = false;
    }
}

section! {
    Engine {
        /// A folder in Hugging Face's layout, or a hub id: owner/name, or owner/name@revision with a branch, tag or commit. A hub's
        /// model is downloaded into the Hugging Face cache at the first start (HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE).
        /// Unset: the small model that ships with riad.
        model: Option<String> = None;
        /// Number format in which the model computes: auto (f32 on a CPU, the model's own on a GPU), f32, f16 or bf16. On a CPU bf16 means
        /// the products of linear layers and the KV cache: nearly twice as fast as f32 where the processor has AVX512-BF16.
        dtype: Dtype = Dtype::default();
        /// auto, cpu, cuda or metal.
        device: Device = Device::default();
        /// Weights of the linear layers in memory: none keeps them as they are, q8_0 keeps 8 bits of each. Adapters go on top of either.
        quantization: Quantization = Quantization::default();
        /// Generations at the same time, in one batch. Further requests wait in the queue.
        max_sequences: usize = 16;
        /// Tokens that one step of the batch computes at the most. More: prompts are read quicker, clients that have gone are noticed later.
        rows_per_step: usize = 64;
        /// How many times as long a step may take, beside streams, because others' prompts are read in it, by the time that steps have
        /// taken: about the longest gap in a stream. Higher: prompts are read quicker. At least 8 tokens are read in any case. 0: no limit.
        prefill_slowdown: f64 = 2.5;
        /// Tokens of all generations whose keys and values fit into memory. 0: 2048 for each of max_sequences, and at least one
        /// whole context.
        kv_cache_tokens: usize = 0;
        /// Whether requests of a tenant share what was computed of a common beginning.
        prefix_cache: bool = true;
        /// Seconds without a generation after which the model leaves memory. The next one loads it again. 0: never.
        idle_unload_s: u64 = 0;
        /// Bases of OpenAI-compatible servers that generate instead of this process, as in ["http://gpu-1:8000/v1"], with the key
        /// RIAD_ENGINE_KEY. engine.model is then a folder or hub id with the tokenizer, template and configuration of their model. vLLM sends
        /// what every function needs. Others' adapters may be loaded in another way (SGLang), and texts may come without tokens
        /// (llama.cpp), so that adapters, logprobs or reasoning models are refused; nor does its /v1/completions follow response_format.
        endpoints: Vec<String> = Vec::new();
        /// What those servers call the model. Unset: engine.id.
        remote_model: Option<String> = None;
        /// A folder that those servers can read too, for adapters: riad puts them there and has them loaded with /v1/load_lora_adapter.
        /// Unset: no adapters.
        adapter_folder: Option<PathBuf> = None;
        /// The same folder, as those servers name it. Unset: as here.
        adapter_folder_there: Option<String> = None;
        /// Adapters that each of those servers may have at a time. More: the one that was used longest ago is unloaded.
        adapters_per_server: usize = 8;
        /// The model's name in the API. Unset: the last part of engine.model, without its revision.
        id: Option<String> = None;
        /// What differs from the model's own profile.
        profile: Profile = Profile::default();
    }
}

section! {
    Profile {
        /// Tokens of prompt and completion together. Unset: what the model's config.json says.
        context_tokens: Option<u32> = None;
        /// Tokens up to which the standard pipeline fills a prompt. Unset: half of the context, at most 8192.
        prompt_tokens: Option<u32> = None;
        /// Passages in a prompt. Unset: 8.
        passages: Option<u32> = None;
        /// Sentences that a passage keeps. Unset: 6.
        sentences: Option<u32> = None;
        /// max_tokens of a request that does not set it. Unset: 512.
        completion_tokens: Option<u32> = None;
        /// temperature of a request that does not set it, 0 to 2. Unset: what the model's generation_config.json says, else 1.
        temperature: Option<f32> = None;
    }
}

section! {
    Embeddings {
        /// A Model2Vec folder, or a sentence-transformers folder of a BERT. Unset: the Model2Vec that ships with riad. With another model than
        /// before, a tenant's documents are embedded again from its next search on, which is metered; until then they are found by words.
        model: Option<PathBuf> = None;
        /// The base of an OpenAI-compatible API whose model embeds instead of one in this process, as in https://api.openai.com/v1, with the key
        /// RIAD_EMBEDDINGS_KEY. The texts of all tenants are sent there; the tokens that it reports are metered.
        url: Option<String> = None;
        /// What the server of embeddings.url calls the model, as in text-embedding-3-small. Needed with url.
        remote_model: Option<String> = None;
        /// Numbers in a vector of remote_model, as in 1536. Needed with url.
        dimensions: Option<usize> = None;
        /// What remote_model wants before a query, as in "query: ".
        query_prefix: String = String::new();
        /// What remote_model wants before a text that queries search, as in "passage: ".
        passage_prefix: String = String::new();
    }
}

section! {
    Search {
        /// The folder of a cross-encoder (a BertForSequenceClassification with one label), which reads the best 50 passages of each search
        /// and orders them, for at most limits.rerank_ms. What it reads is metered as embedded tokens. Unset: no reranking.
        rerank_model: Option<PathBuf> = None;
    }
}

section! {
    Objects {
        /// Where snapshots of rooms are kept, encrypted with RIAD_SNAPSHOT_KEY: file:///folder, s3://bucket/prefix, gs://bucket/prefix or
        /// az://container/prefix. Credentials are environment variables of the store's tools: AWS_…, GOOGLE_…, AZURE_…. Unset: nowhere.
        url: Option<String> = None;
        /// Seconds after which a change of a room is saved; a room that is closed is saved at once. 0: only by `riad room snapshot`.
        snapshot_interval_s: u64 = 0;
        /// Snapshots of a room that are kept, at least 1. What a tenant deletes stays in those from before.
        keep: usize = 7;
    }
}

section! {
    Plugins {
        /// Whether uploads are compiled although the kernel cannot confine the compiler (seccomp): a component that exploits a
        /// bug of the compiler then has the rights of the server. For Linux; other systems cannot confine it, and the server warns.
        allow_unconfined_compiler: bool = false;
    }
}
