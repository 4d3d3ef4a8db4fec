//! The thread that increments the engine's epoch, so that busy guests yield (`guest.rs`).

use crate::limits::EPOCH_TICK;
use riad_core::{Error, Result};
use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{Builder, JoinHandle},
};
use wasmtime::Engine;

pub(crate) struct EpochTicker {
    /// Nothing is ever sent: dropping it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EpochTicker {
    pub(crate) fn start(engine: &Engine) -> Result<Self> {
        let engine = engine.clone();
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = Builder::new()
            .name("riad-epoch".into())
            .spawn(move || {
                while matches!(stopped.recv_timeout(EPOCH_TICK), Err(RecvTimeoutError::Timeout)) {
                    engine.increment_epoch();
                }
            })
            .map_err(Error::internal)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread would have no effect that could be undone here.
            drop(thread.join());
        }
    }
}
