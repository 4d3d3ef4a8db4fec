//! For the fuzz target `adapters` (`tests/fuzz`) only: reads an adapter's files as an upload does, up to making tensors.

use crate::peft::{self, LayerShape};
use riad_core::{Error, Result};

/// The layers that the pretended base model has.
const LAYERS: [(&str, LayerShape); 2] = [
    ("model.q", LayerShape { in_dim: 4, out_dim: 3 }),
    ("model.v", LayerShape { in_dim: 2, out_dim: 2 }),
];

/// A layer's pair of tensors.
#[derive(Debug)]
pub struct Pair {
    pub rank: u32,
    pub scale: f64,
    pub tensors: [Tensor; 2],
}

#[derive(Debug)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub bytes: usize,
}

/// # Errors
/// As an upload of these files.
pub fn read_adapter(config: &[u8], weights: &[u8]) -> Result<Vec<Pair>> {
    let config = peft::read_config(config)?;
    let weights = peft::read_weights(weights)?;
    let pairs = peft::pair_tensors(&weights, &config, |name| {
        LAYERS
            .iter()
            .find_map(|(layer, shape)| (*layer == name).then_some(*shape))
    })?;
    let tensor = |name: &str| {
        let view = weights
            .tensor(name)
            .map_err(|error| Error::internal(format!("tensor {name}: {error}")))?;
        Ok(Tensor {
            shape: view.shape().to_vec(),
            bytes: view.data().len(),
        })
    };
    let pair = |pair: peft::Pair| {
        Ok(Pair {
            rank: pair.rank,
            scale: pair.scale,
            tensors: [tensor(&pair.a)?, tensor(&pair.b)?],
        })
    };
    pairs.into_values().map(pair).collect()
}
