//! The product of rows with a [`Matrix`]. A task takes whole panels; inside of a panel a tile of some rows by some outputs keeps its
//! sums in registers while it walks over the columns. Each sum is taken column after column, whatever the tile.
#![expect(
    unsafe_code,
    reason = "the inner loops work on pointers whose ranges `Matrix::multiply` has checked"
)]

mod weight;

use crate::{
    ShapeError,
    matrix::{Matrix, PANEL, Q8_BLOCK, Storage},
    narrow::Numbers,
    pairs::to_pairs,
    shared::SharedMut,
    simd::{Simd, dispatch},
};
use half::f16;
use rayon::prelude::*;
use weight::Weight;

/// Products below it are computed by the caller's thread alone: waking others takes longer.
const ALONE: usize = 32 * 1024;
/// Columns after which a tile's sums are put aside, so that the part of a panel that all rows walk over stays in the second-level
/// cache.
const COLUMNS_AT_ONCE: usize = 2048;

/// What a tile reads of a matrix.
#[derive(Clone, Copy)]
struct Panel<W> {
    weights: *const W,
    /// Of 8-bit storage.
    scales: *const f16,
}

/// The sizes of `x`, of the matrix and of `y`.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    /// Inputs of a row of `x`: columns, or pairs of columns.
    columns: usize,
    /// Outputs of this panel.
    outputs: usize,
    /// Outputs of the whole matrix, which is the distance of `y`'s rows.
    stride: usize,
}

impl Matrix {
    /// `y = x · Wᵀ + bias` for `x` `[n, columns]`, `y` `[n, rows]` and `bias` `[rows]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn multiply(&self, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Result<(), ShapeError> {
        let n = x.len().checked_div(self.columns).unwrap_or(0);
        ShapeError::unless(x.len() == n * self.columns && y.len() == n * self.rows, || {
            format!(
                "an input of {} and an output of {} do not fit a matrix of {} rows and {} columns",
                x.len(),
                y.len(),
                self.rows,
                self.columns
            )
        })?;
        ShapeError::unless(bias.is_none_or(|bias| bias.len() == self.rows), || {
            format!(
                "a bias of {} does not fit {} rows",
                bias.map_or(0, <[f32]>::len),
                self.rows
            )
        })?;
        run(self, x, bias, y, n);
        Ok(())
    }
}

fn run(matrix: &Matrix, x: &[f32], bias: Option<&[f32]>, y: &mut [f32], n: usize) {
    if n == 0 || matrix.columns == 0 {
        y.iter_mut().for_each(|y| *y = 0.0);
        return;
    }
    match &matrix.storage {
        Storage::Numbers(Numbers::F32(weights)) => panels(matrix, weights, &[], x, bias, y, n),
        Storage::Numbers(Numbers::F16(weights)) => panels(matrix, weights, &[], x, bias, y, n),
        Storage::Numbers(Numbers::Bf16(weights)) => panels(matrix, weights, &[], x, bias, y, n),
        Storage::Q8 { quants, scales } => panels(matrix, quants, scales, x, bias, y, n),
        Storage::Bf16Pairs(weights) => panels(matrix, weights, &[], &to_pairs(x, matrix.columns), bias, y, n),
    }
}

fn panels<W: Weight>(
    matrix: &Matrix,
    weights: &[W],
    scales: &[f16],
    x: &[W::Input],
    bias: Option<&[f32]>,
    y: &mut [f32],
    n: usize,
) {
    let columns = x.len() / n;
    let out = SharedMut::new(y);
    let task = |panel: usize| {
        let first = panel * PANEL;
        let sizes = Sizes {
            n,
            columns,
            outputs: PANEL.min(matrix.rows - first),
            stride: matrix.rows,
        };
        let (Some(weights), Some(scales)) = (
            weights.get(first * columns..),
            scales.get((first * columns / Q8_BLOCK).min(scales.len())..),
        ) else {
            return;
        };
        let bias = bias
            .and_then(|bias| bias.get(first..first + sizes.outputs))
            .unwrap_or_default();
        let read = Panel {
            weights: weights.as_ptr(),
            scales: scales.as_ptr(),
        };
        // SAFETY: `x` has n rows and `y` has n rows, checked by `Matrix::multiply`; a matrix has whole panels; each task writes the
        // outputs of its own panel.
        unsafe { panel_of(x.as_ptr(), read, bias, sizes, out.get().add(first)) };
    };
    let count = matrix.rows.div_ceil(PANEL);
    if n * matrix.rows * matrix.columns <= ALONE {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().for_each(task);
    }
}

dispatch! {
    /// # Safety
    /// `x` has `n * columns` elements, `read` is a panel of `columns` columns, `y` is its first output in the first of `n` rows.
    unsafe fn panel_of<W: Weight>(x: *const W::Input, read: Panel<W>, bias: &[f32], sizes: Sizes, y: *mut f32) = panel_with
}

#[inline(always)]
unsafe fn panel_with<S: Simd, W: Weight>(x: *const W::Input, read: Panel<W>, bias: &[f32], sizes: Sizes, y: *mut f32) {
    // As many registers as the processor has decide how wide a tile is.
    // SAFETY: the caller's promise.
    unsafe {
        match S::LANES {
            16 => rows::<S, W, 4>(x, read, bias, sizes, y),
            8 => rows::<S, W, 2>(x, read, bias, sizes, y),
            _ => rows::<S, W, 4>(x, read, bias, sizes, y),
        }
    }
}

/// All rows of `x` with one panel, in tiles of `V` vectors of outputs.
#[inline(always)]
unsafe fn rows<S: Simd, W: Weight, const V: usize>(
    x: *const W::Input,
    read: Panel<W>,
    bias: &[f32],
    sizes: Sizes,
    y: *mut f32,
) {
    let width = V * S::LANES;
    let mut from = 0;
    while from < sizes.columns {
        let to = (from + COLUMNS_AT_ONCE).min(sizes.columns);
        let mut row = 0;
        while row < sizes.n {
            // SAFETY: as the caller's promise, for rows that there are.
            unsafe {
                let x = x.add(row * sizes.columns);
                let y = y.add(row * sizes.stride);
                let mut output = 0;
                let left = sizes.n - row;
                while output < sizes.outputs {
                    match left {
                        1 => tile::<S, W, V, 1>(x, read, bias, sizes, y, output, from, to),
                        2 => tile::<S, W, V, 2>(x, read, bias, sizes, y, output, from, to),
                        3 => tile::<S, W, V, 3>(x, read, bias, sizes, y, output, from, to),
                        4 => tile::<S, W, V, 4>(x, read, bias, sizes, y, output, from, to),
                        5 => tile::<S, W, V, 5>(x, read, bias, sizes, y, output, from, to),
                        _ => tile::<S, W, V, 6>(x, read, bias, sizes, y, output, from, to),
                    }
                    output += width;
                }
                row += left.min(6);
            }
        }
        from = to;
    }
}

/// `R` rows of `x` with `V` vectors of outputs from `output` on, over the columns `from..to`.
#[inline(always)]
unsafe fn tile<S: Simd, W: Weight, const V: usize, const R: usize>(
    x: *const W::Input,
    read: Panel<W>,
    bias: &[f32],
    sizes: Sizes,
    y: *mut f32,
    output: usize,
    from: usize,
    to: usize,
) {
    // SAFETY: the caller's promise; `output + V * S::LANES` is at most `PANEL`, and a panel has `PANEL` weights in each column.
    unsafe {
        let outputs = (sizes.outputs - output).min(V * S::LANES);
        let mut sums = [[S::splat(0.0); V]; R];
        if from > 0 {
            resume::<S, V, R>(&mut sums, y.add(output), sizes.stride, outputs);
        }
        W::accumulate::<S, V, R>(&mut sums, x, sizes.columns, read, output, from, to);
        let bias = if to == sizes.columns {
            bias.get(output..).unwrap_or_default()
        } else {
            &[]
        };
        for (row, sums) in sums.iter().enumerate() {
            let y = y.add(row * sizes.stride + output);
            if outputs == V * S::LANES && bias.is_empty() {
                for (vector, sum) in sums.iter().enumerate() {
                    S::store(y.add(vector * S::LANES), *sum);
                }
                continue;
            }
            let mut all = [0.0_f32; PANEL];
            for (vector, sum) in sums.iter().enumerate() {
                S::store(all.as_mut_ptr().add(vector * S::LANES), *sum);
            }
            for (at, sum) in all.iter().take(outputs).enumerate() {
                *y.add(at) = sum + bias.get(at).copied().unwrap_or(0.0);
            }
        }
    }
}

/// Takes up sums that were put aside in `y`.
#[inline(always)]
unsafe fn resume<S: Simd, const V: usize, const R: usize>(
    sums: &mut [[S::Vector; V]; R],
    y: *const f32,
    stride: usize,
    outputs: usize,
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        let mut all = [0.0_f32; PANEL];
        for (at, value) in all.iter_mut().take(outputs).enumerate() {
            // SAFETY: the caller has written these outputs before.
            *value = unsafe { *y.add(row * stride + at) };
        }
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `V * S::LANES` is at most `PANEL`.
            *sum = unsafe { S::load(all.as_ptr().add(vector * S::LANES)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Matrix, simd};
    use half::bf16;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) * 7919 % 2003) as f32 - 1001.0) / 1001.0)
            .collect()
    }

    fn matrices(rows: usize, columns: usize) -> Vec<Matrix> {
        let numbers = values(rows * columns, 5);
        let narrow = |round: fn(f32) -> f32| numbers.iter().copied().map(round).collect::<Vec<_>>();
        let mut matrices = vec![
            Matrix::exact(numbers.clone(), rows, columns).unwrap(),
            Matrix::exact(narrow(|x| bf16::from_f32(x).to_f32()), rows, columns).unwrap(),
            Matrix::exact(narrow(|x| half::f16::from_f32(x).to_f32()), rows, columns).unwrap(),
            Matrix::bf16(&numbers, rows, columns).unwrap(),
        ];
        if columns.is_multiple_of(32) {
            matrices.push(Matrix::q8_0(&numbers, rows, columns).unwrap());
        }
        matrices
    }

    fn multiply(matrix: &Matrix, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let mut y = vec![f32::NAN; x.len() / matrix.columns() * matrix.rows()];
        matrix.multiply(x, bias, &mut y).unwrap();
        y
    }

    #[test]
    fn every_level_and_storage_equals_the_product_in_f64() {
        let _level = simd::exclusive();
        for level in simd::available() {
            simd::choose(Some(level));
            for (n, rows, columns) in [
                (1, 192, 576),
                (3, 7, 33),
                (5, 130, 64),
                (16, 70, 96),
                (13, 65, 4128),
                (7, 1, 1),
            ] {
                for matrix in matrices(rows, columns) {
                    let (mut x, bias, weights) = (values(n * columns, 1), values(rows, 9), matrix.to_f32());
                    let y = multiply(&matrix, &x, Some(&bias));
                    if matrix.storage_name() == "bf16 × bf16" {
                        x.iter_mut().for_each(|x| *x = bf16::from_f32(*x).to_f32());
                    }
                    for (x, y) in x.chunks(columns).zip(y.chunks(rows)) {
                        for ((w, bias), y) in weights.chunks(columns).zip(&bias).zip(y) {
                            let products = || w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                            let want = products().sum::<f64>() + f64::from(*bias);
                            // Each of the sum's roundings is of the order of what has been added up.
                            let tolerance = 1e-5 + 1e-5 * products().map(f64::abs).sum::<f64>();
                            let name = matrix.storage_name();
                            assert!((f64::from(*y) - want).abs() < tolerance, "{level:?} {name}: {y} {want}");
                        }
                    }
                }
            }
        }
        simd::choose(None);
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_in_a_batch() {
        let _level = simd::exclusive();
        for level in simd::available() {
            simd::choose(Some(level));
            for (rows, columns) in [(200, 96), (64, 4128), (130, 577)] {
                for matrix in matrices(rows, columns) {
                    let x = values(23 * columns, 3);
                    let together = multiply(&matrix, &x, None);
                    for (x, together) in x.chunks(columns).zip(together.chunks(rows)) {
                        assert_eq!(multiply(&matrix, x, None), together, "{level:?}");
                    }
                }
            }
        }
        simd::choose(None);
    }
}
