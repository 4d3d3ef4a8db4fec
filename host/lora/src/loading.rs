//! What is in force while a lane's model is being built: the weights it shares and the slot its layers read. Lanes load one
//! after another, so one process-wide place is enough, and it also reaches the worker threads that mistral.rs builds
//! layers on. Not here: the layers themselves.

use crate::LaneSlot;
use candle_core::{DType, Result, Tensor};
use mistralrs_quant::QuantMethod;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

static LOAD_LOCK: Mutex<()> = Mutex::new(());
static CURRENT: Mutex<Option<Loading>> = Mutex::new(None);

/// The weights of one model, shared by all its lanes and freed with the last holder.
#[derive(Debug, Default)]
pub struct SharedWeights {
    layers: Mutex<HashMap<String, Vec<Arc<dyn QuantMethod>>>>,
    tensors: Mutex<HashMap<String, Tensor>>,
    adaptable: Mutex<BTreeMap<String, Arc<LayerRecord>>>,
}

/// A layer that an adapter may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdaptableLayer {
    pub name: String,
    pub in_dim: usize,
    pub out_dim: usize,
    /// Whether the model has called the layer's `forward`. One that it never calls would silently ignore an adapter.
    pub called: bool,
}

#[derive(Debug)]
pub(crate) struct LayerRecord {
    pub in_dim: usize,
    pub out_dim: usize,
    called: AtomicBool,
}

impl LayerRecord {
    pub(crate) fn mark_called(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }
}

impl SharedWeights {
    /// The layers built so far, by name. Complete, with `called` set, after the model has run once.
    #[must_use]
    pub fn adaptable_layers(&self) -> Vec<AdaptableLayer> {
        self.adaptable
            .lock()
            .iter()
            .map(|(name, record)| AdaptableLayer {
                name: name.clone(),
                in_dim: record.in_dim,
                out_dim: record.out_dim,
                called: record.called.load(Ordering::Relaxed),
            })
            .collect()
    }

    pub(crate) fn layers(
        &self,
        key: String,
        make: impl FnOnce() -> Result<Vec<Arc<dyn QuantMethod>>>,
    ) -> Result<Vec<Arc<dyn QuantMethod>>> {
        if let Some(found) = self.layers.lock().get(&key) {
            return Ok(found.clone());
        }
        let made = make()?;
        self.layers.lock().insert(key, made.clone());
        Ok(made)
    }

    pub(crate) fn tensor(&self, key: String, load: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        if let Some(found) = self.tensors.lock().get(&key) {
            return Ok(found.clone());
        }
        let loaded = load()?;
        self.tensors.lock().insert(key, loaded.clone());
        Ok(loaded)
    }

    pub(crate) fn record(&self, name: &str, in_dim: usize, out_dim: usize) -> Arc<LayerRecord> {
        self.adaptable
            .lock()
            .entry(name.to_owned())
            .or_insert_with(|| {
                Arc::new(LayerRecord {
                    in_dim,
                    out_dim,
                    called: AtomicBool::new(false),
                })
            })
            .clone()
    }
}

#[derive(Clone)]
pub(crate) struct Loading {
    pub weights: Arc<SharedWeights>,
    pub slot: LaneSlot,
}

impl Loading {
    /// What is being loaded now; `None` for a model that is built outside of a [`LoadGuard`], which then gets the real
    /// layers unchanged.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.lock().clone()
    }
}

/// While it lives, every layer that is built belongs to this lane. Entering a second one waits for the first: build a lane
/// on a thread that may block.
pub struct LoadGuard {
    _lock: MutexGuard<'static, ()>,
}

impl LoadGuard {
    #[must_use]
    pub fn enter(weights: Arc<SharedWeights>, slot: LaneSlot) -> Self {
        let lock = LOAD_LOCK.lock();
        *CURRENT.lock() = Some(Loading { weights, slot });
        Self { _lock: lock }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        *CURRENT.lock() = None;
    }
}

pub(crate) fn dtype_key(dtype: DType, device: &candle_core::Device) -> String {
    format!("{dtype:?}@{:?}", device.location())
}
