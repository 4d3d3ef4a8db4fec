//! Calls of a plugin in Extism, each in a fresh instance or all in one. The world has the plugin's path and the text to mask.
//!
//! Its wasmtime is set up as Riad's: pooled instances, fuel (epochs are always on). It is the one that Extism brings, another version than
//! Riad's, and its instances run on the caller's stack, not on one of their own.

use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use peer_protocol::{Question, Result, serve, time};
use serde::Deserialize;
use std::fs;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Of one call: more than it needs.
const FUEL: u64 = 2_000_000_000;
/// As in Riad's pool.
const MEMORY_BYTES: usize = 64 << 20;
const KEPT_BYTES: usize = 64 << 10;
const INSTANCES: u32 = 64;

#[derive(Deserialize)]
struct World {
    plugin: String,
    text: String,
}

struct Peer {
    compiled: CompiledPlugin,
    /// Keeps its memory from one call to the next.
    reused: Plugin,
    text: String,
}

fn main() -> Result<()> {
    serve(prepare, answer)
}

fn prepare(world: World) -> Result<Peer> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(INSTANCES * 4)
        .total_memories(INSTANCES * 4)
        .total_tables(INSTANCES * 4)
        .max_memory_size(MEMORY_BYTES)
        .linear_memory_keep_resident(KEPT_BYTES);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let builder = PluginBuilder::new(Manifest::new([Wasm::data(fs::read(&world.plugin)?)]))
        .with_wasi(false)
        .with_cache_disabled()
        .with_fuel_limit(FUEL)
        .with_wasmtime_config(config);
    let compiled = CompiledPlugin::new(builder)?;
    Ok(Peer {
        reused: Plugin::new_from_compiled(&compiled)?,
        compiled,
        text: world.text,
    })
}

fn answer(peer: &mut Peer, question: &Question) -> Result<peer_protocol::Answer> {
    let Peer { compiled, reused, text } = peer;
    let fresh = |function: &str, input: &str| -> Result<String> {
        let mut plugin = Plugin::new_from_compiled(compiled)?;
        Ok(plugin.call::<&str, String>(function, input)?)
    };
    match question.task.as_str() {
        "empty in a fresh instance" => time(question.times, || fresh("empty", "What is this?")),
        "mask in a fresh instance" => time(question.times, || fresh("mask", text)),
        "empty again" => time(question.times, || {
            Ok(reused.call::<&str, String>("empty", "What is this?")?)
        }),
        "mask again" => time(question.times, || Ok(reused.call::<&str, String>("mask", text)?)),
        other => Err(format!("there is no task `{other}`").into()),
    }
}
