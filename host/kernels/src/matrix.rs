//! The weights of a linear layer, laid out for [`Matrix::multiply`]: panels of [`PANEL`] rows, in each panel the columns one after
//! another. So a column's weights of many outputs lie together, sums need nothing across vectors, and a pass over the weights
//! reads memory in one stream. Rows that fill the last panel are zero.
//!
//! Not here: the product (`multiply`).

use crate::{ShapeError, narrow::Numbers, pairs::to_pairs, simd::Bf16Pair};
use half::f16;

/// Rows of a panel: a whole number of vectors of every kind.
pub(crate) const PANEL: usize = 64;
/// Columns that share a scale in 8-bit storage.
pub const Q8_BLOCK: usize = 32;

/// A matrix `[rows, columns]`.
#[derive(Debug)]
pub struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) storage: Storage,
}

pub(crate) enum Storage {
    Numbers(Numbers),
    /// 8-bit integers, and a scale for each block of columns of each row, in the same panels.
    Q8 {
        quants: Vec<i8>,
        scales: Vec<f16>,
    },
    /// Neighboring columns together, in the same panels.
    Bf16Pairs(Vec<Bf16Pair>),
}

// Not derived: a matrix has millions.
impl std::fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Numbers(numbers) => numbers.fmt(formatter),
            Self::Q8 { quants, .. } => write!(formatter, "{} numbers of 8 bits", quants.len()),
            Self::Bf16Pairs(pairs) => write!(formatter, "{} pairs of bf16", pairs.len()),
        }
    }
}

impl Matrix {
    /// Keeps the numbers exactly: as bf16 if each is one, else as f16 if each is one, else as f32.
    ///
    /// # Errors
    /// When there are not `rows * columns` numbers.
    pub fn exact(values: Vec<f32>, rows: usize, columns: usize) -> Result<Self, ShapeError> {
        check_size(&values, rows, columns)?;
        let storage = Storage::Numbers(Numbers::exact(to_panels(&values, rows, columns)));
        Ok(Self { rows, columns, storage })
    }

    /// Rounds the numbers to bf16, and the inputs of each product too. Sums are f32. Processors with instructions for it multiply twice
    /// as many numbers at once.
    ///
    /// # Errors
    /// When there are not `rows * columns` numbers.
    pub fn bf16(values: &[f32], rows: usize, columns: usize) -> Result<Self, ShapeError> {
        check_size(values, rows, columns)?;
        let pairs = to_pairs(values, columns);
        let storage = Storage::Bf16Pairs(to_panels(&pairs, rows, columns.div_ceil(2)));
        Ok(Self { rows, columns, storage })
    }

    /// Keeps 8 bits of each number and a scale for 32 columns of a row: ggml's format Q8_0.
    ///
    /// # Errors
    /// When there are not `rows * columns` numbers, or the columns are not whole blocks.
    pub fn q8_0(values: &[f32], rows: usize, columns: usize) -> Result<Self, ShapeError> {
        check_size(values, rows, columns)?;
        ShapeError::unless(columns.is_multiple_of(Q8_BLOCK), || {
            format!("{columns} columns are not whole blocks of {Q8_BLOCK}")
        })?;
        let (mut quants, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
        for block in values.chunks_exact(Q8_BLOCK) {
            let greatest = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            // Blocks beyond the range of f16 become its greatest number and not infinite.
            let scale = (greatest / 127.0).min(f16::MAX.to_f32());
            let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most 127 by the choice of the scale, and saturates where the scale is f16's greatest"
            )]
            quants.extend(block.iter().map(|value| (value * inverse).round().max(-127.0) as i8));
            scales.push(f16::from_f32(scale));
        }
        let storage = Storage::Q8 {
            quants: to_panels(&quants, rows, columns),
            scales: to_panels(&scales, rows, columns / Q8_BLOCK),
        };
        Ok(Self { rows, columns, storage })
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Memory of the numbers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::Numbers(numbers) => numbers.bytes(),
            Storage::Q8 { quants, scales } => quants.len() + 2 * scales.len(),
            Storage::Bf16Pairs(pairs) => 4 * pairs.len(),
        }
    }

    /// `f32`, `f16`, `bf16`, `q8_0`, or `bf16 × bf16` where inputs are rounded too.
    #[must_use]
    pub fn storage_name(&self) -> &'static str {
        match &self.storage {
            Storage::Numbers(numbers) => numbers.name(),
            Storage::Q8 { .. } => "q8_0",
            Storage::Bf16Pairs(_) => "bf16 × bf16",
        }
    }

    /// The numbers that are kept, row after row.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.storage {
            Storage::Numbers(numbers) => from_panels(&numbers.to_f32(), self.rows, self.columns),
            Storage::Q8 { quants, scales } => {
                let quants = from_panels(quants, self.rows, self.columns);
                let scales = from_panels(scales, self.rows, self.columns / Q8_BLOCK);
                let blocks = quants.chunks_exact(Q8_BLOCK).zip(&scales);
                blocks
                    .flat_map(|(block, scale)| block.iter().map(|quant| f32::from(*quant) * scale.to_f32()))
                    .collect()
            }
            Storage::Bf16Pairs(pairs) => {
                let pairs = from_panels(pairs, self.rows, self.columns.div_ceil(2));
                let rows = pairs.chunks_exact(self.columns.div_ceil(2).max(1));
                rows.flat_map(|row| row.iter().flat_map(|pair| pair.widen()).take(self.columns))
                    .collect()
            }
        }
    }
}

fn check_size(values: &[f32], rows: usize, columns: usize) -> Result<(), ShapeError> {
    ShapeError::unless(rows.checked_mul(columns) == Some(values.len()), || {
        format!("{} numbers are not {rows} rows of {columns}", values.len())
    })
}

fn to_panels<T: Copy + Default>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut panels = vec![T::default(); rows.div_ceil(PANEL) * PANEL * columns];
    for (row, values) in values.chunks_exact(columns.max(1)).enumerate() {
        let first = row / PANEL * PANEL * columns + row % PANEL;
        let places = panels.iter_mut().skip(first).step_by(PANEL);
        for (place, value) in places.zip(values) {
            *place = *value;
        }
    }
    panels
}

fn from_panels<T: Copy>(panels: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..rows)
        .flat_map(|row| {
            let first = row / PANEL * PANEL * columns + row % PANEL;
            panels.iter().skip(first).step_by(PANEL).take(columns).copied()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 700.0)
            .collect()
    }

    #[test]
    fn the_numbers_come_back_as_they_were() {
        for (rows, columns) in [(1, 1), (63, 32), (64, 7), (65, 96), (200, 33)] {
            let numbers = values(rows * columns);
            let matrix = Matrix::exact(numbers.clone(), rows, columns).unwrap();
            assert_eq!(matrix.to_f32(), numbers);
            assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
        }
    }

    #[test]
    fn eight_bits_are_off_by_less_than_a_step() {
        let numbers = values(70 * 64);
        let matrix = Matrix::q8_0(&numbers, 70, 64).unwrap();
        for (block, kept) in numbers.chunks(Q8_BLOCK).zip(matrix.to_f32().chunks(Q8_BLOCK)) {
            let greatest = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            for (value, kept) in block.iter().zip(kept) {
                // Half a step, and the rounding of the scale to 11 bits.
                assert!(
                    (value - kept).abs() <= greatest / 127.0 * 0.5 + greatest / 2048.0,
                    "{value} {kept}"
                );
            }
        }
        assert_eq!(Matrix::q8_0(&[0.0; 32], 1, 32).unwrap().to_f32(), [0.0; 32]);
        let large = Matrix::q8_0(&[-1e9; 32], 1, 32).unwrap().to_f32();
        assert!(
            large.iter().all(|value| value.is_finite() && *value < -8e6),
            "{large:?}"
        );
    }

    #[test]
    fn bf16_rounds_to_the_nearest() {
        for (rows, columns) in [(1, 1), (70, 33), (64, 6)] {
            let numbers = values(rows * columns);
            let matrix = Matrix::bf16(&numbers, rows, columns).unwrap();
            let rounded: Vec<_> = numbers.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect();
            assert_eq!(matrix.to_f32(), rounded);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(Matrix::exact(vec![0.0; 5], 2, 3).is_err());
        assert!(Matrix::exact(vec![0.0; 5], usize::MAX, 3).is_err());
        assert!(Matrix::q8_0(&[0.0; 33], 1, 33).is_err());
        let matrix = Matrix::exact(vec![0.0; 6], 2, 3).unwrap();
        let mut y = [0.0; 4];
        assert!(matrix.multiply(&[0.0; 6], None, &mut y).is_ok());
        assert!(matrix.multiply(&[0.0; 7], None, &mut y).is_err());
        assert!(matrix.multiply(&[0.0; 6], None, &mut y[..3]).is_err());
        assert!(matrix.multiply(&[0.0; 6], Some(&[0.0; 3]), &mut y).is_err());
    }
}
