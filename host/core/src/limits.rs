//! Every limit: name, default, unit and why. A wrong value fails at start. Not here: where each is enforced.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $min:expr;)+) => {
        /// The limits of one server. Keys of `[limits]` in the configuration.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, default and meaning of each, for the configuration reference.
            pub const TABLE: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($name), stringify!($default), concat!($($doc),+)),)+];

            /// # Errors
            /// Names the first limit that is below the least value that works.
            #[expect(
                unused_comparisons,
                reason = "the least value of some limits is 0, which switches something off"
            )]
            pub fn check(&self) -> Result<()> {
                $(if self.$name < $min {
                    return Err(Error::invalid(format!(
                        "limits.{} is {}, the least value that works is {}", stringify!($name), self.$name, $min
                    )).with_param(concat!("limits.", stringify!($name))));
                })+
                Ok(())
            }
        }
    };
}

limits! {
    /// Connections that are open at the same time. For more, the one that is idle for the longest is closed; if none is, more wait.
    connections: u32 = 4096, 1;
    /// Connections from one address, of IPv6 from one /64 network. For more, its idle ones are closed (without a key, those that are idle for
    /// a second); if none is, more are refused. A proxy in front of this server is one address: raise it to limits.connections then.
    connections_per_address: u32 = 1024, 1;
    /// Bytes of a request's head.
    header_bytes: u64 = 64 << 10, 8192;
    /// Milliseconds within which a request's head must arrive.
    header_ms: u64 = 15_000, 10;
    /// Milliseconds within which a request's body must arrive.
    body_ms: u64 = 300_000, 10;
    /// Milliseconds that requests in flight get to end when the server stops. What is left is cut off and settled.
    drain_ms: u64 = 60_000, 1;
    /// Uploads of adapters and plugins that are held in memory at the same time; of documents eight times as many.
    uploads: u32 = 4, 1;
    /// Hours for which an answer with an idempotency key is kept.
    idempotency_hours: u32 = 24, 1;
    /// Bytes of an answer that is kept for its idempotency key. Of a longer one is only known that there was one: a repetition gets 409.
    idempotency_bytes: u64 = 1 << 20, 1024;
    /// Days for which a response (`/v1/responses`) is kept after it was made, or after the last one that goes on from it was.
    response_days: u32 = 30, 1;
    /// Responses that a tenant's room keeps. For more, those that were used the longest ago are deleted.
    responses: u32 = 10_000, 1;
    /// Bytes of the responses that a room keeps, but at most a quarter of what the tenant may store. For more, those that were used the
    /// longest ago are deleted.
    response_bytes: u64 = 256 << 20, 64 << 10;
    /// Bytes of the disk that are kept for when it is full: deletions and the ledger are written with them then, until the disk has room again,
    /// and requests begin until half of them are used. Deleting a document takes up to ten times its text for a moment. 0 keeps none.
    reserve_bytes: u64 = 128 << 20, 0;
    /// Bytes of a JSON body, such as a chat with a long history. Documents have a limit of their own.
    request_bytes: u64 = 4 << 20, 1024;
    /// Bytes of JSON bodies that are in memory at the same time, over all tenants; one tenant has up to a quarter. Uploads are not among them.
    body_bytes: u64 = 512 << 20, 1 << 20;
    /// Bytes of answers that are in memory until their clients read them, over all tenants; one tenant has up to a quarter.
    unread_bytes: u64 = 256 << 20, 1 << 20;
    /// Bytes of a document's text. Split larger texts along their structure.
    document_bytes: u64 = 8 << 20, 1024;
    /// Bytes of a file that a tenant keeps (`/v1/files`). It is written to the disk as it comes.
    kept_file_bytes: u64 = 512 << 20, 1024;
    /// Bytes of a document's file, of which the stage `extraction` makes the text.
    file_bytes: u64 = 32 << 20, 1024;
    /// Bytes of a document's metadata as JSON. It comes with each of its passages, to clients and to plugins.
    metadata_bytes: u64 = 16 << 10, 64;
    /// Bytes of a component. A Python component has 18 MB, the standard pipeline 215 kB.
    plugin_bytes: u64 = 32 << 20, 256 << 10;
    /// Bytes of an adapter's weights. Rank 64 on a 7B model has about 650 MB in bf16.
    adapter_bytes: u64 = 1 << 30, 65536;
    /// Rank of an adapter's layers, at most. Each of its rows takes work in proportion, and the neighbors in the batch wait for it.
    adapter_rank: u32 = 256, 1;
    /// Messages in a chat request.
    messages: u32 = 256, 1;
    /// Choices of one request (`n`), each a generation of its own.
    choices: u32 = 8, 1;
    /// Texts in one embedding request.
    embedding_inputs: u32 = 2048, 1;
    /// Passages of one search.
    search_results: u32 = 100, 1;
    /// Milliseconds for which a reranker (`search.rerank_model`) reads the best passages of a search. Those that it has not read by then
    /// keep their order behind the others.
    rerank_ms: u64 = 2_000, 1;
    /// Characters of a chunk. 1000 are about 250 tokens, a passage that a small model can still use.
    chunk_characters: u32 = 1000, 64;
    /// Requests that may wait for a place in the engine's batch, and as many for guest instances. A request beyond it is answered with 429.
    queue: u32 = 256, 1;
    /// Milliseconds a request may wait for the place of its first choice, as long for guest instances, and as long to load its adapter.
    queue_ms: u64 = 60_000, 1;
    /// Milliseconds for which a streamed answer says nothing before it has a comment, which keeps proxies from closing the connection. A
    /// request that waits for so long gets the head of its answer then.
    stream_silence_ms: u64 = 10_000, 1;
    /// Milliseconds a request may take from its admission to its last byte.
    request_ms: u64 = 600_000, 1;
    /// Bytes of linear memory of a guest that extracts or chunks a document. As many times as this is `guest_memory_bytes`, it counts as a
    /// guest instance.
    ingestion_memory_bytes: u64 = 256 << 20, 2 << 20;
    /// Milliseconds of guest time that one of them may take.
    ingestion_ms: u64 = 60_000, 10;
    /// Fuel of a document, about one per WebAssembly instruction, for extraction and chunking together. A small document has a part of it:
    /// two thousand million, and fifty thousand for each byte.
    ingestion_fuel: u64 = 100_000_000_000, 1_000_000;
    /// Bytes that one of these stages may return.
    ingestion_output_bytes: u64 = 64 << 20, 4096;
    /// Bytes of linear memory of one guest instance. A Python guest needs about 30 MB.
    guest_memory_bytes: u64 = 64 << 20, 2 << 20;
    /// Guest instances that exist at the same time, over all tenants.
    guest_instances: u32 = 64, 1;
    /// Milliseconds of guest time in one call of a stage. Time in host calls is not counted.
    guest_ms: u64 = 2_000, 10;
    /// Milliseconds of guest time of a whole request, over all its stages, choices and pieces of the answer.
    guest_request_ms: u64 = 60_000, 10;
    /// Fuel of a whole request, about one per WebAssembly instruction.
    guest_fuel: u64 = 2_000_000_000, 1_000_000;
    /// Bytes that a stage may return: passages, a prompt, or one choice of the answer with its citations.
    guest_output_bytes: u64 = 1 << 20, 4096;
    /// Host calls of a whole request.
    guest_host_calls: u32 = 10_000, 10;
    /// Generations that the guests of a request may ask for (`riad:generation`).
    guest_generations: u32 = 8, 0;
    /// Tokens of the answer of one of them.
    guest_generation_tokens: u32 = 1024, 1;
    /// Times that the model may go on from what a room's own tools answered. A call in the answer after the last ends it, as `length`.
    tool_rounds: u32 = 8, 1;
    /// Bytes that a request's guests may log.
    guest_log_bytes: u64 = 64 << 10, 256;
    /// Bytes of stack of a guest.
    guest_stack_bytes: u64 = 512 << 10, 64 << 10;
    /// Milliseconds that compiling an uploaded component may take. A Python component takes half a minute of one processor.
    compile_ms: u64 = 180_000, 100;
    /// Bytes of address space of the process that compiles an uploaded component.
    compile_bytes: u64 = 3 << 30, 256 << 20;
    /// Bytes of compiled components on disk. One tenant's take up to a quarter; those least recently used are compiled again.
    compiled_bytes: u64 = 4 << 30, 64 << 20;
    /// Milliseconds of one SQL call of a plugin.
    sql_ms: u64 = 500, 1;
    /// Milliseconds of a plugin's SQL calls in one request together.
    sql_request_ms: u64 = 5_000, 1;
    /// Bytes of memory that SQLite may take for one SQL call of a plugin.
    sql_memory_bytes: u64 = 64 << 20, 8 << 20;
    /// Bytes of a plugin's SQL store on disk.
    sql_bytes: u64 = 64 << 20, 1 << 20;
    /// Rows that one SQL call may return.
    sql_rows: u32 = 1_000, 1;
    /// Bytes that the rows of one SQL call may have together.
    sql_result_bytes: u64 = 1 << 20, 1024;
    /// Values that a room's plugins may keep (`riad:kv`). Each has up to 64 KiB and counts as stored bytes.
    kv_values: u32 = 10_000, 1;
    /// Milliseconds that a plugin's calls of `riad:kv` in one request may take together.
    kv_request_ms: u64 = 5_000, 1;
    /// Requests of plugins to other hosts (`riad:http`) in one request.
    guest_http_requests: u32 = 16, 0;
    /// Milliseconds that one of them may take, from looking its host up to the last byte of its answer.
    http_ms: u64 = 10_000, 10;
    /// Bytes of an answer to one of them.
    http_response_bytes: u64 = 1 << 20, 1024;
    /// Such requests of one tenant in a minute.
    http_per_minute: u32 = 300, 1;
    /// Such requests of one tenant at the same time.
    http_concurrent: u32 = 8, 1;
    /// Keys that a tenant may have.
    keys: u32 = 1_000, 1;
    /// Changes per minute of one tenant that are not billed: of settings, pipeline, keys, plugins and adapters, and deleted documents.
    changes_per_minute: u32 = 600, 1;
    /// Milliseconds that a question about usage, receipts, keys, tenants or the audit log may take.
    query_ms: u64 = 10_000, 10;
    /// Bytes of a tenant's settings as JSON.
    settings_bytes: u64 = 64 << 10, 256;
    /// Bytes that a tenant may store: files, documents, index, SQL store, adapters, plugins, responses, and answers that are kept for idempotency
    /// keys. A tenant's own `stored_bytes` goes before it.
    room_bytes: u64 = 20 << 30, 1 << 20;
    /// Rooms that are open at the same time; the rest cost disk only.
    open_rooms: u32 = 64, 1;
    /// Bytes of memory that open rooms may take together for vectors and SQLite; the one that was used longest ago is closed. Those in use stay
    /// beyond it.
    open_room_bytes: u64 = 2 << 30, 1 << 20;
    /// Seconds after which a room is closed that nobody has used.
    idle_room_s: u64 = 900, 1;
    /// Bytes of adapters in the engine's memory. Those in use stay beyond it.
    resident_adapter_bytes: u64 = 256 << 20, 1 << 20;
    /// Bytes of adapters (their files) that a tenant may pin, so that they stay in the engine's memory; together, tenants' pins hold up to half
    /// of resident_adapter_bytes. 0: no pins. A tenant's own limit goes before it.
    pinned_adapter_bytes: u64 = 0, 0;
    /// Generations of an adapter's alias that are kept for a rollback, the current one among them. They count as stored bytes.
    adapter_generations: u32 = 3, 1;
}

/// Fuel of any document, and of each byte of it: for a byte, small and compressed files take the most.
const INGESTION_FUEL_BASE: u64 = 2_000_000_000;
const INGESTION_FUEL_PER_BYTE: u64 = 50_000;

impl Limits {
    /// Fuel that a document of so many bytes may use.
    #[must_use]
    pub fn ingestion_fuel_of(&self, bytes: u64) -> u64 {
        bytes
            .saturating_mul(INGESTION_FUEL_PER_BYTE)
            .saturating_add(INGESTION_FUEL_BASE)
            .min(self.ingestion_fuel)
    }

    /// The limits of guests that extract or chunk a document with so much fuel.
    #[must_use]
    pub fn of_ingestion(&self, fuel: u64) -> Self {
        Self {
            guest_memory_bytes: self.ingestion_memory_bytes,
            guest_ms: self.ingestion_ms,
            guest_request_ms: self.ingestion_ms,
            guest_fuel: fuel,
            guest_output_bytes: self.ingestion_output_bytes,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        Limits::default().check().unwrap();
    }

    #[test]
    fn a_limit_that_cannot_work_is_named() {
        let limits = Limits {
            queue: 0,
            ..Limits::default()
        };
        let error = limits.check().unwrap_err();
        assert_eq!(error.param(), Some("limits.queue"));
    }
}
