//! The part of WASI that language runtimes need: standard streams, coarse clocks, random numbers, and nothing to find behind
//! them. Files, sockets and HTTP are not linked; `check.rs` rejects components that import them.

use crate::{
    coarse_clock::{CoarseClock, MonotonicClock},
    state::GuestState,
};
use wasmtime::component::Linker;
use wasmtime_wasi::{
    WasiView,
    cli::{WasiCli, WasiCliView},
    p2::{
        add_to_linker_proxy_interfaces_async,
        bindings::{cli, clocks::monotonic_clock, random},
    },
    random::WasiRandom,
};

/// WASI packages whose linked interfaces a component may import.
pub(crate) const PACKAGES: [&str; 4] = ["wasi:cli", "wasi:clocks", "wasi:io", "wasi:random"];

pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type T = GuestState;
    // io, clocks, random and the standard streams; then what some runtimes import as well.
    add_to_linker_proxy_interfaces_async(linker)?;
    // In its place one whose timers are as coarse as its time: the library's end after milliseconds.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<T, CoarseClock>(linker, |state| MonotonicClock {
        clock: state.time,
        table: &mut state.table,
    })?;
    linker.allow_shadowing(false);
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
