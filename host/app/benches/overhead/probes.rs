//! Ports that say how long each of their calls took: where a request's time goes. Not here: what stands behind them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use riad_core::{
    Account, Digest, DocumentId, KeyId, OperatorPass, PlanName, PluginName, Result, Secret, TenantId, TenantPass,
    audit::AuditEntry,
    document::{Document, DocumentWithText, NewChunk, NewDocument, Page, Passage, SearchQuery},
    ledger::{EngineTokens, Entry, Head, Hold, Record, Spent, Verification},
    pass::{KeyHash, Managed},
    plugin::{Ending, Pipeline, PluginVersion, Prompt, StageRequest},
    ports::{
        Capabilities, ComponentInfo, Documents, Embedder, EmbeddingSpace, FilterId, FoundKey, Keyring, LaneTicket,
        Ledger, PipelinePlan, PipelineRun, Plans, PluginShelf, QueueAsk, QueueState, Room, Rooms, Sandbox, Scheduler,
        SettingsStore, StoredBytes,
    },
    price::{Plan, PriceList},
    tenant::{Key, KeyChange, Tenant},
    usage::{EntryQuery, Rollup, UsageBucket, UsageQuery, Whose},
};
use serde_json::{Map, Value};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// A part of a request, and whether it lies within the part that stands before it in [`PARTS`].
pub type Part = usize;

pub const PARTS: [(&str, bool); 17] = [
    ("authorise: the key's hash", false),
    ("admit: the plan's prices", false),
    ("open room", false),
    ("pipeline of the room", false),
    ("index watermark", false),
    ("start guests", false),
    ("retrieve", false),
    ("settings", true),
    ("set the query's tokens aside, on the disk", true),
    ("embed the query", true),
    ("search the room", true),
    ("build prompt", false),
    ("open filter (while the disk writes)", false),
    ("set the request's tokens aside, on the disk", false),
    ("queue", false),
    ("push a piece through the filter", false),
    ("finish the filter", false),
];
const AUTHORISE: Part = 0;
const PRICES: Part = 1;
const OPEN_ROOM: Part = 2;
const PIPELINE: Part = 3;
const WATERMARK: Part = 4;
const START: Part = 5;
const RETRIEVE: Part = 6;
const SETTINGS: Part = 7;
const HOLD_QUERY: Part = 8;
const EMBED: Part = 9;
const SEARCH: Part = 10;
const BUILD: Part = 11;
const OPEN_FILTER: Part = 12;
const HOLD: Part = 13;
const QUEUE: Part = 14;
const PUSH: Part = 15;
const FINISH: Part = 16;

/// A call: the part it belongs to, when it began and how long it took.
#[derive(Clone, Copy)]
pub struct Lap {
    pub part: Part,
    pub begun: Instant,
    pub time: Duration,
}

/// Calls since it was last read. Clones are one.
#[derive(Clone, Default)]
pub struct Stopwatch(Arc<Mutex<Vec<Lap>>>);
