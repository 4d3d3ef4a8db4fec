//! Adapters from PEFT files to memory: checked against the layers that the model has and calls, loaded on demand or ahead, kept in a
//! pinned LRU cache. Not here: the file format's rules (`peft`), who may use which adapter.

use crate::{
    adapter_files, checkpoint,
    peft::{self, LayerShape, Pair},
    pinned_lru::PinnedLru,
    tokens::blocking,
};
use candle_core::{DType, Device, Tensor, safetensors::Load};
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, Result,
    adapter::{AdapterFiles, AdapterInfo, AdapterSource, WEIGHTS},
    ports::AdapterCounts,
};
use riad_lora::{Adapter, LoraPair, ModelLayers, WeightFormat};
use safetensors::SafeTensors;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

pub(super) struct LoadedAdapter {
    pub adapter: Arc<Adapter>,
    /// Tensors that were applied: two for each layer.
    pub tensors: u32,
    /// What it adds to a row's work, in rows without an adapter.
    pub row_cost: f32,
}

/// What is known of an adapter whose tensors have been read.
struct Inspected {
    tensors: u32,
    /// The greatest of its layers'.
    rank: u32,
    row_cost: f32,
}

pub(super) struct AdapterCache {
    layers: Arc<Layers>,
    resident: Mutex<PinnedLru<LoadedAdapter>>,
    /// One load of a generation at a time: two requests for a cold adapter read it once.
    loading: Mutex<HashMap<Digest, Weak<Loading>>>,
}

type Loading = tokio::sync::Mutex<()>;

struct Layers {
    family: String,
    shapes: HashMap<String, LayerShape>,
    format: WeightFormat,
}

impl AdapterCache {
    /// The model must have been run once, so that it is known which layers it calls.
    pub fn new(family: String, layers: &ModelLayers, budget_bytes: u64) -> Self {
        let shapes = layers
            .adaptable()
            .into_iter()
            .filter(|layer| layer.called)
            .map(|layer| {
                (
                    layer.name,
                    LayerShape {
                        in_dim: layer.in_dim,
                        out_dim: layer.out_dim,
                    },
                )
            })
            .collect();
        Self {
            layers: Arc::new(Layers {
                family,
                shapes,
                format: layers.weight_format(),
            }),
            resident: Mutex::new(PinnedLru::new(budget_bytes)),
            loading: Mutex::default(),
        }
    }

    pub fn get(&self, source: &AdapterSource, account: Account) -> Option<Arc<LoadedAdapter>> {
        self.resident.lock().get(&source.generation, account)
    }

    /// The adapter, from memory or from its folder, for `account`.
    pub async fn resident(&self, source: &AdapterSource, account: Account) -> Result<Arc<LoadedAdapter>> {
        if let Some(found) = self.get(source, account) {
            return Ok(found);
        }
        let loading = self.loading(source.generation);
        let _loading = loading.lock().await;
        if let Some(found) = self.get(source, account) {
            return Ok(found);
        }
        let loaded = Arc::new(self.read(source).await?);
        let bytes = loaded.adapter.bytes() as u64;
        self.resident
            .lock()
            .insert(source.generation, account, loaded.clone(), bytes);
        Ok(loaded)
    }

    /// Loads the adapter if that evicts no other.
    pub async fn preload(&self, source: &AdapterSource, account: Account) -> Result<()> {
        let loading = self.loading(source.generation);
        let _loading = loading.lock().await;
        // What an adapter has in memory is about what its file has: a guess that spares reading files for which there is no room.
        let file = source.folder.join(WEIGHTS);
        let file_bytes = tokio::fs::metadata(&file).await.map_or(u64::MAX, |file| file.len());
        let wanted = |resident: &PinnedLru<LoadedAdapter>, bytes| {
            !resident.contains(&source.generation) && resident.has_room(bytes)
        };
        if !wanted(&self.resident.lock(), file_bytes) {
            return Ok(());
        }
        let loaded = self.read(source).await?;
        let bytes = loaded.adapter.bytes() as u64;
        let mut resident = self.resident.lock();
        if wanted(&resident, bytes) {
            resident.insert(source.generation, account, Arc::new(loaded), bytes);
        }
        Ok(())
    }

    pub fn pin(&self, account: Account, generations: Vec<Digest>) {
        self.resident.lock().pin(account, generations.into_iter().collect());
    }

    fn loading(&self, generation: Digest) -> Arc<Loading> {
        let mut all = self.loading.lock();
        if let Some(loading) = all.get(&generation).and_then(Weak::upgrade) {
            return loading;
        }
        all.retain(|_, loading| loading.strong_count() > 0);
        let loading = Arc::default();
        all.insert(generation, Arc::downgrade(&loading));
        loading
    }

    async fn read(&self, source: &AdapterSource) -> Result<LoadedAdapter> {
        let (layers, folder, generation) = (self.layers.clone(), source.folder.clone(), source.generation);
        blocking(move || layers.load(&adapter_files::read(&folder, generation)?)).await
    }

    pub fn inspect(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        // Each pair is made, which shows what is wrong with it, and dropped: files of a gigabyte become no adapter beside them.
        let read = self.layers.read(files, |_, _| ())?;
        Ok(AdapterInfo {
            rank: read.rank,
            bytes: files.weights.len() as u64,
            tensors: read.tensors,
        })
    }

    pub fn counts(&self) -> AdapterCounts {
        self.resident.lock().counts()
    }

    pub fn bytes_by_account(&self) -> Vec<(Account, u64)> {
        self.resident.lock().bytes_by_account()
    }
}

impl Layers {
    fn load(&self, files: &AdapterFiles) -> Result<LoadedAdapter> {
        let mut pairs = HashMap::new();
        let read = self.read(files, |layer, pair| {
            pairs.insert(layer, pair);
        })?;
        Ok(LoadedAdapter {
            adapter: Arc::new(Adapter::new(pairs)),
            tensors: read.tensors,
            row_cost: read.row_cost,
        })
    }

    /// Reads and checks the files, a layer after the other.
    fn read(&self, files: &AdapterFiles, mut each: impl FnMut(String, LoraPair)) -> Result<Inspected> {
        checkpoint::check_adapter_family(&self.family)?;
        let config = peft::read_config(&files.config)?;
        let weights = peft::read_weights(&files.weights)?;
        let names = peft::pair_tensors(&weights, &config, |name| self.shapes.get(name).copied())?;
        let read = Inspected {
            tensors: u32::try_from(names.len() * 2).unwrap_or(u32::MAX),
            rank: names.values().map(|pair| pair.rank).max().unwrap_or(0),
            row_cost: self.row_cost(names.iter().map(|(layer, pair)| (layer.as_str(), pair.rank))),
        };
        for (layer, names) in names {
            let (a, norm_of_a) = tensor(&weights, &names.a)?;
            let (b, norm_of_b) = tensor(&weights, &names.b)?;
            let pair = LoraPair::new(&a, &b, names.scale, self.format)
                .map_err(|e| peft::weights_error(format!("tensor {}: {e}", names.b)))?;
            check_gain(&names, norm_of_a * norm_of_b * names.scale.abs())?;
            each(layer, pair);
        }
        Ok(read)
    }

    /// The multiplications of an adapter's pairs, as a part of those of the layers that adapters may change.
    fn row_cost<'a>(&self, ranks: impl Iterator<Item = (&'a str, u32)>) -> f32 {
        let all: f64 = self
            .shapes
            .values()
            .map(|shape| shape.in_dim as f64 * shape.out_dim as f64)
            .sum();
        let pairs = ranks.filter_map(|(layer, rank)| Some((self.shapes.get(layer)?, rank)));
        let adapter: f64 = pairs
            .map(|(shape, rank)| f64::from(rank) * (shape.in_dim + shape.out_dim) as f64)
            .sum();
        (adapter / all.max(1.0)) as f32
    }
}

/// Frobenius norms bound how much longer a pair makes its input. More than this, squared as normalization squares it, is no f32 any more.
const GAIN_MOST: f64 = 1e18;

fn check_gain(names: &Pair, gain: f64) -> Result<()> {
    match gain <= GAIN_MOST {
        true => Ok(()),
        false => Err(peft::weights_error(format!(
            "tensors {} and {} are too large: with lora_alpha they make their input up to {gain:.0e} times as long, and the model's \
             numbers would overflow; train the adapter with a lower learning rate or alpha",
            names.a, names.b
        ))),
    }
}

/// A tensor as f32, and its Frobenius norm. A value that is not finite would make every answer noise, so its tensor is refused by name.
fn tensor(weights: &SafeTensors<'_>, name: &str) -> Result<(Tensor, f64)> {
    let unreadable = |e: candle_core::Error| peft::weights_error(format!("tensor {name} cannot be read: {e}"));
    let view = weights
        .tensor(name)
        .map_err(|e| peft::weights_error(format!("tensor {name}: {e}")))?;
    let tensor = view
        .load(&Device::Cpu)
        .and_then(|t| t.to_dtype(DType::F32))
        .map_err(unreadable)?;
    let values = tensor
        .flatten_all()
        .and_then(|t| t.to_vec1::<f32>())
        .map_err(unreadable)?;
    // The squares of all f32 are finite as f64.
    let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
    if squares.is_finite() {
        Ok((tensor, squares.sqrt()))
    } else {
        Err(peft::weights_error(format!(
            "tensor {name} has values that are not finite"
        )))
    }
}
