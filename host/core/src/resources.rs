//! Every resource that tenants share: who shares it, what bounds it, and what is said to whoever gets none of it. `host/RESOURCES.md` is
//! this table as a document; `tests/resources.rs` compares them, and finds queues, permits and caches that have no entry.
//! Not here: the bounds themselves, which are in `limits` or beside what they bound.

use crate::{Error, ErrorKind};
use std::time::Duration;

/// One row of the table. Whoever makes a limiter, a queue or a cache needs one.
#[derive(Debug)]
pub struct Resource {
    /// The constant's.
    id: &'static str,
    name: &'static str,
    shared_by: &'static str,
    bound: &'static str,
    refusal: Refusal,
}

/// What happens to a request for which there is nothing left.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// It gets an error with these words.
    Error(ErrorKind, &'static str),
    /// It waits, or something else happens, and nobody is told.
    Silent(&'static str),
}

impl Resource {
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    #[must_use]
    pub const fn shared_by(&self) -> &'static str {
        self.shared_by
    }

    #[must_use]
    pub const fn bound(&self) -> &'static str {
        self.bound
    }

    /// The kind of the error that a refused request gets, if it gets one, and its words, or what happens instead.
    #[must_use]
    pub const fn refusal(&self) -> (Option<ErrorKind>, &'static str) {
        match self.refusal {
            Refusal::Error(kind, words) => (Some(kind), words),
            Refusal::Silent(words) => (None, words),
        }
    }

    /// The error for a request that is refused.
    #[must_use]
    pub fn refuse(&self) -> Error {
        match self.refusal {
            Refusal::Error(kind, words) => Error::new(kind, words),
            Refusal::Silent(_) => Error::internal(format!("{} refuses nobody", self.name)),
        }
    }

    /// The same, for a resource of which there may be some again after this time.
    #[must_use]
    pub fn refuse_for(&self, retry_after: Duration) -> Error {
        self.refuse().with_retry_after(retry_after)
    }
}

macro_rules! resources {
    ($($(#[doc = $doc:literal])* $id:ident = $name:literal, $shared_by:literal, $bound:literal, $refusal:expr;)+) => {
        $($(#[doc = $doc])*
        pub static $id: Resource = Resource {
            id: stringify!($id),
            name: $name,
            shared_by: $shared_by,
            bound: $bound,
            refusal: $refusal,
        };)+

        /// All of them, in the order of the table.
        pub static ALL: &[&Resource] = &[$(&$id),+];
    };
}

use ErrorKind::{Busy, Unavailable};
use Refusal::{Error as Told, Silent};

resources! {
    CONNECTIONS = "connections",
        "addresses, of IPv6 a /64 network each; one that is idle makes room, without an authenticated request first",
        "`limits.connections`, `limits.connections_per_address`",
        Silent("waits to be accepted, or is closed if its address has too many");
    BATCH = "places in the engine's batch",
        "accounts; the one that had the fewest tokens for its weight is next",
        "`engine.max_sequences`; `limits.queue` requests wait, each for `limits.queue_ms`",
        Told(Busy, "too many requests are waiting for the model");
    STEP_ROWS = "rows of a step, which are the engine's time",
        "accounts; the one whose rows cost the least for its weight is next",
        "`engine.rows_per_step`; beside streams, so many that a step takes at most `engine.prefill_slowdown` times as long",
        Silent("waits for the next step");
    KV_BLOCKS = "blocks of the KV cache",
        "sequences in the batch; the prefixes that were used longest ago make room",
        "`engine.kv_cache_tokens`",
        Silent("waits, or is computed again when there is room");
    ADAPTERS_KEPT = "adapters in memory whose request waits for its place",
        "accounts; the one that holds the fewest is next, and none holds more than half",
        "`engine.max_sequences`; `limits.queue` requests wait, each for `limits.queue_ms`",
        Told(Busy, "too many requests are waiting for the model");
    ADAPTER_READS = "adapters that are read at the same time",
        "accounts, one each; the one that holds the fewest is next",
        "2; `limits.queue` requests wait, each for `limits.queue_ms`",
        Told(Busy, "too many requests are waiting for the model");
    RESIDENT_ADAPTERS = "adapters in memory",
        "accounts; of the one that keeps the most, what was used longest ago and is not pinned makes room",
        "`limits.resident_adapter_bytes`, `limits.pinned_adapter_bytes`",
        Silent("is read again when a request needs it");
    GUEST_INSTANCES = "instances of guests, each with its memory",
        "accounts; the one that holds the fewest is next, and a quarter is for those that hold none",
        "`limits.guest_instances` of `limits.guest_memory_bytes`, where one that reads a document counts by `limits.ingestion_memory_bytes`; `limits.queue` requests wait, each for `limits.queue_ms`",
        Told(Busy, "all plugin instances of this server are in use; try again in a moment");
    GUEST_THREADS = "threads for guests that compute for longer than a slice",
        "accounts; the one that had the least processor time for its weight is next, and one thread is for others than the one with the rest",
        "a thread per processor, slices of 1,000,000 fuel; as much waits as there are guests",
        Silent("waits for its turn, which is not guest time");
    LOADED_COMPONENTS = "compiled components in memory",
        "accounts; what was used longest ago makes room",
        "64",
        Silent("is read again from the disk");
    COMPILED_FILES = "compiled components on disk",
        "accounts, a quarter each, then its own make room; else what was used longest ago",
        "`limits.compiled_bytes`",
        Silent("is compiled again at its next use");
    COMPILER = "components that are compiled at the same time",
        "accounts, one each; the one that holds the fewest is next",
        "2 of `limits.compile_bytes` for `limits.compile_ms`; 64 wait, 4 of an account, each for `limits.queue_ms`",
        Told(Busy, "other plugins are being compiled; send the request again in a moment");
    WORKERS = "threads for work on texts, large bodies and adapters",
        "accounts; the one that had the least processor time for its weight is next, and one thread is for others than the one with the rest",
        "a thread per processor, slices of 32 KiB; 256 requests of an account wait, or `limits.queue` if that is more, for 60 s",
        Told(
            Busy,
            "too much of this tenant's work is waiting for a processor; send the request again when other requests have ended"
        );
    EMBEDDING_CALLS = "requests to the server of `embeddings.url`",
        "accounts; the one that had the least of their time for its weight is next, and one request is for others than the one with the rest",
        "16 at a time, each 128 KiB of texts for about a minute; 256 requests of an account wait, or `limits.queue` if that is more, for 60 s",
        Told(
            Busy,
            "too much of this tenant's work is waiting for the embedding server; send the request again when other requests have ended"
        );
    UPLOADS = "uploads that are held in memory, and files while they are written",
        "accounts: 4 documents or files each, and 1 adapter or plugin; the one that holds the fewest is next",
        "`limits.uploads` adapters and plugins, eight times as many documents and files; 8 of an account wait for 60 s",
        Told(Busy, "too many uploads are waiting; send this one again when others have ended");
    INDEXING = "files of vector stores, and documents that nobody waits for, that are held in memory while they are indexed",
        "accounts, one each; the one that holds the fewest is next",
        "`limits.uploads`; what else waits is on the disk, 10,000 documents of an account",
        Silent("it waits");
    ATTACHED_FILES = "files of chats, that are held in memory while their text is read",
        "accounts, one each; the one that holds the fewest is next",
        "`limits.uploads`; 32 of an account wait until the request's own deadline",
        Told(Busy, "too many files are being read for chats; send this one again when others have ended");
    BODY_BYTES = "bytes of JSON bodies, until they are parsed",
        "accounts, a quarter each; the one that holds the fewest is next, and a quarter is for those that hold none",
        "`limits.body_bytes`; 8 of an account wait for 60 s",
        Told(
            Busy,
            "this tenant sends too many bytes at the same time; send this request again when others have been read"
        );
    UNREAD_BYTES = "bytes of answers over 64 KiB, until they are read",
        "accounts, a quarter each; the one that holds the fewest is next, and a quarter is for those that hold none",
        "`limits.unread_bytes`; 8 of an account wait for 60 s",
        Told(
            Busy,
            "this tenant has too many answers that it has not read; read or close them, and send this request again"
        );
    PLUGIN_SQL = "statements of a plugin's SQL store",
        "the room's own plugins, first come, first served",
        "one at a time, each for `limits.sql_ms` in `limits.sql_memory_bytes`; `limits.sql_request_ms` of a request",
        Silent("waits; the guest's own deadline ends it");
    GUEST_HTTP = "requests of plugins to other hosts",
        "nobody: each account has its own",
        "`limits.http_concurrent` at the same time, `limits.http_per_minute` in a minute, each for `limits.http_ms`",
        Silent("the plugin is told at once, and may go on without");
    STORED_BYTES = "bytes of rooms on the disk",
        "nobody: each tenant has its own",
        "`limits.room_bytes`, or the tenant's `stored_bytes`",
        Silent("507 with the bytes that are stored and that may be, before anything is changed");
    ANSWERS = "tokens that the engine has computed and the client has not read",
        "nobody: each request has its own",
        "`max_tokens` of each of its choices; `limits.choices`",
        Silent("a client that reads nothing for a minute is cut off");
    ROOM_THREADS = "threads that open, read and write one room",
        "the room's own requests, first come, first served",
        "2 that open it, 2 that read, 2 that write, 2 for files",
        Silent("waits; the request's own deadline ends it");
    OPEN_ROOMS = "rooms that are open",
        "tenants; the one that was used longest ago is closed",
        "`limits.open_rooms`, `limits.open_room_bytes` of memory, `limits.idle_room_s` without a request",
        Silent("is opened again by its next request");
    CONSOLE_STREAMS = "pages of the console that follow the server",
        "accounts, 32 each and 8 of a key, and the operator is one of them",
        "256, each for a minute, after which the browser asks again",
        Told(Busy, "too many pages of the console are open; close some, and load this one again");
    CONSOLE_SESSIONS = "sessions of the console",
        "keys, of which the one that was used longest ago ends; in all, whoever has the most loses one",
        "8 of a key, 10,000 in all; one hour without a request, 12 hours in all",
        Silent("signs in again");
    PREFETCHED_ROOMS = "rooms of tenants that will come from another cell",
        "the operator's moves",
        "4, each of `limits.room_bytes` at most; until the tenant comes, its move is aborted, or the server ends",
        Told(Busy, "the rooms of four tenants that move to this cell have been fetched; end their moves or abort them, then send the request again");
    QUESTIONS = "questions about usage, receipts, keys and the audit log",
        "accounts, one each; the one that holds the fewest is next, and the operator is one of them",
        "2, each for `limits.query_ms`; 8 of an account wait for 60 s",
        Told(
            Busy,
            "too many questions about usage, receipts, keys or the audit log are waiting; ask again when others have been answered"
        );
    CHANGES = "writes to `control.db`: keys, tenants, plans and the audit log",
        "accounts, one each; the one that holds the fewest is next, and the operator is one of them",
        "2; `limits.changes_per_minute` of an account, revoking excepted",
        Silent("waits; what is over the rate gets 429 before it changes anything");
    CONTROL_THREADS = "threads that read and write `control.db`",
        "what the two rows above let pass, and requests that begin or end, first come, first served",
        "2 that read, 2 that write, 2 for questions, 2 for the ledger",
        Silent("waits; the request's own deadline ends it");
    KEY_LOOKUPS = "look-ups of keys that are not in memory",
        "whoever sends a key, first come, first served; each takes microseconds",
        "1024 wait",
        Told(Unavailable, "too many keys are being looked up; send the request again in a second");
    KEYS_IN_MEMORY = "keys and tenants in memory",
        "tenants; what was used longest ago makes room",
        "16,384 of each",
        Silent("is looked up in `control.db`");
    LEDGER_WRITES = "entries that wait to be written",
        "requests that run, first come, first served, many in one commit",
        "one each of the requests that run",
        Silent("waits for the commit; a ledger that cannot be written refuses new requests");
    WEBHOOKS = "notices that wait for their receiver",
        "tenants, in turn",
        "1024, 64 of a tenant; 8 are sent at the same time, 2 of a tenant",
        Silent("the notice is dropped and logged");
    TENANT_RATES = "requests, tokens and searches per minute",
        "nobody: each tenant has its own",
        "the tenant's limits",
        Silent("429 with the time to wait, worded for the rate that was reached");
}
