//! The part of WASI that language runtimes need: standard streams, coarse clocks, random numbers, and nothing to find behind
//! them. Files, sockets and HTTP are not linked; `check.rs` rejects components that import them.

use crate::limits::{CLOCK_STEP_MS, RANDOM_BYTES};
use riad_core::Timestamp;
use std::time::{Duration, Instant};
use wasmtime::component::Linker;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiView,
    cli::{WasiCli, WasiCliView},
    p2::{add_to_linker_proxy_interfaces_async, bindings::cli, bindings::random},
    random::WasiRandom,
};

/// WASI packages whose linked interfaces a component may import.
pub(crate) const PACKAGES: [&str; 4] = ["wasi:cli", "wasi:clocks", "wasi:io", "wasi:random"];

/// As `riad:clock`.
const RESOLUTION: Duration = Duration::from_millis(CLOCK_STEP_MS);

pub(crate) fn link<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // io, clocks, random and the standard streams; then what some runtimes import as well.
    add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    Ok(())
}

/// No files, no environment, no arguments, no network. Output to the standard streams is discarded.
pub(crate) fn empty_context() -> WasiCtx {
    WasiCtx::builder()
        .wall_clock(CoarseClock(Instant::now()))
        .monotonic_clock(CoarseClock(Instant::now()))
        .max_random_size(RANDOM_BYTES)
        .build()
}

struct CoarseClock(Instant);

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        let now = Timestamp::now().as_millis();
        Duration::from_millis(now - now % CLOCK_STEP_MS)
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        u64::try_from(RESOLUTION.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        let step = HostMonotonicClock::resolution(self).max(1);
        let now = u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX);
        now / step * step
    }
}
