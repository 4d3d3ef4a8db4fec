//! Configures wasmtime: pooled instances, fuel, epochs, and only the WebAssembly features that plugins need.

use crate::{
    bindings::Plugin,
    capabilities,
    limits::{CORE_INSTANCES, HOST_STACK_BYTES, KEPT_MEMORY_BYTES, KEPT_TABLE_BYTES, MEMORIES, TABLE_ELEMENTS, TABLES},
    state::GuestState,
    wasi,
};
use riad_core::{Error, Limits, Result};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures,
    component::{HasSelf, Linker},
};

/// Makes the engine. Reserves address space, not memory: about 4 GiB for each memory that may exist, so that the hardware
/// checks a guest's addresses.
pub(crate) fn engine(limits: &Limits) -> Result<Engine> {
    let mut config = config(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config).map_err(Error::internal)
}

/// An engine that compiles for [`engine`] and runs nothing, so that it reserves nothing.
pub(crate) fn compiling(limits: &Limits) -> Result<Engine> {
    Engine::new(&config(limits)).map_err(Error::internal)
}

fn config(limits: &Limits) -> Config {
    let stack = size(limits.guest_stack_bytes);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(stack)
        .async_stack_size(stack.saturating_add(HOST_STACK_BYTES))
        // Errors say why a plugin trapped, not where: its clients have no use for function names.
        .wasm_backtrace_max_frames(None)
        // An upload uses one core: the others serve requests.
        .parallel_compilation(false)
        // Not needed by any toolchain for plugins; relaxed SIMD may differ from one machine to the next. Several memories are: what
        // joins the parts of a component in JavaScript copies from one to the other.
        .wasm_features(WasmFeatures::MEMORY64 | WasmFeatures::RELAXED_SIMD, false);
    config
}

/// Links everything that a component may import.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).map_err(Error::internal)?;
    capabilities::link_older(&mut linker).map_err(Error::internal)?;
    wasi::link(&mut linker).map_err(Error::internal)?;
    Ok(linker)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let guests = limits.guest_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(guests)
        .total_core_instances(guests.saturating_mul(CORE_INSTANCES))
        .total_memories(guests.saturating_mul(MEMORIES))
        .total_tables(guests.saturating_mul(TABLES))
        .total_stacks(guests)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(size(limits.guest_memory_bytes.max(limits.ingestion_memory_bytes)))
        .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
        .table_keep_resident(KEPT_TABLE_BYTES)
        // Of a kernel that can say so, only the pages that a guest has written are reset; of others, the first ones.
        .pagemap_scan(Enabled::Auto);
    pool
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
