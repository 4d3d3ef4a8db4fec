//! The WASI that language runtimes want: a world that is empty, with coarse clocks and random numbers. Files, sockets and
//! HTTP are not linked at all; `check.rs` refuses components that import them.

use crate::{limits::RANDOM_BYTES, state::GuestState};
use std::time::{Duration, Instant, SystemTime};
use wasmtime::component::Linker;
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView,
    cli::{WasiCli, WasiCliView},
    p2::{add_to_linker_proxy_interfaces_async, bindings::cli, bindings::random},
    random::WasiRandom,
};

/// WASI packages of which a component may import the interfaces that are linked here.
pub(crate) const PACKAGES: [&str; 4] = ["wasi:cli", "wasi:clocks", "wasi:io", "wasi:random"];

/// Fine clocks let a guest measure what others do on the same core.
const RESOLUTION: Duration = Duration::from_millis(1);

pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    // io, clocks, random and the standard streams; then what runtimes import beside them.
    add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<GuestState, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<GuestState, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    cli::exit::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::environment::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<GuestState, WasiCli>(linker, GuestState::cli)?;
    Ok(())
}

/// No files, no environment, no arguments, no network; what is written to the standard streams is thrown away.
pub(crate) fn empty_context() -> WasiCtx {
    WasiCtx::builder()
        .wall_clock(CoarseClock(Instant::now()))
        .monotonic_clock(CoarseClock(Instant::now()))
        .max_random_size(RANDOM_BYTES)
        .build()
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

struct CoarseClock(Instant);

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
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
