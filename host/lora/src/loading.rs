//! The layers of the model that is being built. Models are built one after another, so one process-wide place is enough, and it
//! also reaches the worker threads that mistral.rs builds layers on. Not here: the layers themselves.

use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

static LOAD_LOCK: Mutex<()> = Mutex::new(());
static CURRENT: Mutex<Option<Arc<ModelLayers>>> = Mutex::new(None);

/// How the weights of linear layers are kept on a CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WeightFormat {
    /// The narrowest of f32, f16 and bf16 that changes no number.
    #[default]
    Exact,
    /// Rounded to bf16, and the layers' inputs too.
    Bf16,
    /// 8 bits and a scale for 32 numbers; exact where a layer's inputs are not whole blocks.
    Q8_0,
}

/// The linear layers of one model.
#[derive(Debug, Default)]
pub struct ModelLayers {
    /// Those that an adapter may change.
    adaptable: Mutex<BTreeMap<String, Arc<LayerRecord>>>,
    weight_bytes: AtomicUsize,
    weights: WeightFormat,
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
    in_dim: usize,
    out_dim: usize,
    called: AtomicBool,
}

impl LayerRecord {
    pub(crate) fn mark_called(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }
}

impl ModelLayers {
    #[must_use]
    pub fn new(weights: WeightFormat) -> Self {
        Self {
            weights,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn weight_format(&self) -> WeightFormat {
        self.weights
    }

    /// The layers built so far, by name. Complete, with `called` set, after the model has run once.
    #[must_use]
    pub fn adaptable(&self) -> Vec<AdaptableLayer> {
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

    /// Memory of the weights that the kernels compute with.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_weights(&self, bytes: usize) {
        self.weight_bytes.fetch_add(bytes, Ordering::Relaxed);
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

/// The layers of the model that is being built; `None` for a model that is built outside of a [`LoadGuard`], which then gets the real
/// layers unchanged.
pub(crate) fn current() -> Option<Arc<ModelLayers>> {
    CURRENT.lock().clone()
}

/// While it lives, every layer that is built belongs to this model. Entering a second one waits for the first: build a model
/// on a thread that may block.
pub struct LoadGuard {
    _lock: MutexGuard<'static, ()>,
}

impl LoadGuard {
    #[must_use]
    pub fn enter(layers: Arc<ModelLayers>) -> Self {
        let lock = LOAD_LOCK.lock();
        *CURRENT.lock() = Some(layers);
        Self { _lock: lock }
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        *CURRENT.lock() = None;
    }
}
