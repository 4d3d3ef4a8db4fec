//! Adapters of a step whose layers are computed by tensors (on a GPU, or over quantized weights): the matrices of all adapters
//! next to each other, and a mask that leaves each row the ranks of its own adapter. Two products per layer, however many
//! adapters a step mixes. Source of the idea: Punica and S-LoRA batch heterogeneous adapters; this is the form that needs
//! no kernel of its own.

use crate::LoraPair;
use candle_core::{DType, Result, Tensor};
use parking_lot::Mutex;
use std::{ops::Range, sync::Arc};

/// The concatenation of the last set of adapters that the layer computed.
#[derive(Debug, Default)]
pub(crate) struct Concatenated(Mutex<Option<Kept>>);

#[derive(Debug, Clone)]
struct Kept {
    /// The pairs, each once, in the order of the columns.
    pairs: Vec<Arc<LoraPair>>,
    /// `[in, ranks]`
    a: Tensor,
    /// `[ranks, out]`
    b: Tensor,
}

impl Concatenated {
    /// What the pairs add to the output for the input `x` `[rows, in]`: `[rows, out]`, zero for rows without a pair.
    pub fn delta(&self, x: &Tensor, runs: &[(Range<usize>, Arc<LoraPair>)]) -> Result<Tensor> {
        let kept = self.of(x, runs)?;
        let hidden = x.to_dtype(kept.a.dtype())?.matmul(&kept.a)?;
        // Chosen, not multiplied: what another row's adapter makes of this row may be infinite.
        let hidden = mask(x, &kept, runs)?.where_cond(&hidden, &hidden.zeros_like()?)?;
        hidden.matmul(&kept.b)
    }

    fn of(&self, x: &Tensor, runs: &[(Range<usize>, Arc<LoraPair>)]) -> Result<Kept> {
        let mut pairs: Vec<Arc<LoraPair>> = runs.iter().map(|(_, pair)| pair.clone()).collect();
        // The set decides, not the order of the rows: else every step would build it anew.
        pairs.sort_by_key(Arc::as_ptr);
        pairs.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let mut kept = self.0.lock();
        if let Some(kept) = &*kept
            && kept.pairs.len() == pairs.len()
            && kept
                .pairs
                .iter()
                .zip(&pairs)
                .all(|(one, other)| Arc::ptr_eq(one, other))
        {
            return Ok(kept.clone());
        }
        // Quantized layers take f32 inputs; on a GPU the model's own format is the fast one.
        let dtype = if x.device().is_cpu() { DType::F32 } else { x.dtype() };
        let tensors = pairs
            .iter()
            .map(|pair| pair.tensors(x.device(), dtype))
            .collect::<Result<Vec<_>>>()?;
        let (a, b): (Vec<_>, Vec<_>) = tensors.into_iter().unzip();
        let made = Kept {
            pairs,
            a: Tensor::cat(&a, 0)?.t()?.contiguous()?,
            b: Tensor::cat(&b, 0)?,
        };
        *kept = Some(made.clone());
        Ok(made)
    }
}

/// 1 where a rank belongs to the row's own pair, else 0: `[rows, ranks]`.
fn mask(x: &Tensor, kept: &Kept, runs: &[(Range<usize>, Arc<LoraPair>)]) -> Result<Tensor> {
    let (rows, ranks) = (x.dim(0)?, kept.b.dim(0)?);
    let mut mask = vec![0u8; rows * ranks];
    for (run, pair) in runs {
        let before = kept.pairs.iter().take_while(|other| !Arc::ptr_eq(other, pair));
        let first: usize = before.map(|other| other.rank()).sum();
        for row in run.clone() {
            let own = row * ranks + first;
            if let Some(cells) = mask.get_mut(own..own + pair.rank()) {
                cells.fill(1);
            }
        }
    }
    Tensor::from_vec(mask, (rows, ranks), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightFormat;
    use candle_core::Device;

    fn pair(seed: usize, rank: usize) -> Arc<LoraPair> {
        let values = |n: usize| {
            (0..n)
                .map(|i| ((i * 31 + seed * 17) % 13) as f32 - 6.0)
                .collect::<Vec<f32>>()
        };
        let a = Tensor::from_vec(values(rank * 4), (rank, 4), &Device::Cpu).unwrap();
        let b = Tensor::from_vec(values(3 * rank), (3, rank), &Device::Cpu).unwrap();
        Arc::new(LoraPair::new(&a, &b, 0.5, WeightFormat::Exact).unwrap())
    }

    fn alone(x: &Tensor, pair: &LoraPair) -> Vec<f32> {
        let (a, b) = pair.tensors(&Device::Cpu, DType::F32).unwrap();
        let delta = x.matmul(&a.t().unwrap()).unwrap().matmul(&b).unwrap();
        delta.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn each_row_gets_the_delta_of_its_own_adapter() {
        let (one, two) = (pair(1, 2), pair(2, 5));
        let x = Tensor::arange(0f32, 24.0, &Device::Cpu)
            .unwrap()
            .reshape((6, 4))
            .unwrap();
        let layer = Concatenated::default();
        for runs in [
            vec![(0..2, one.clone()), (3..5, two.clone())],
            // The same set in another order takes the concatenation that is kept.
            vec![(0..1, two.clone()), (1..3, one.clone()), (5..6, two.clone())],
            vec![(2..6, one.clone())],
        ] {
            let delta = layer.delta(&x, &runs).unwrap().to_vec2::<f32>().unwrap();
            for (row, got) in delta.iter().enumerate() {
                let own = runs.iter().find(|(rows, _)| rows.contains(&row));
                let want = own.map_or(vec![0.0; 3], |(_, pair)| alone(&x.narrow(0, row, 1).unwrap(), pair));
                assert_eq!(got, &want, "row {row} of {runs:?}");
            }
        }
    }
}
