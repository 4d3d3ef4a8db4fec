//! What adapters add to the output of a linear layer, for rows that have different ones: `y[rows] += (x[rows] · aᵀ) · b`. Source of
//! the formula: Hu et al. 2021, "LoRA". Not here: the layer itself (`Matrix`).
#![expect(
    unsafe_code,
    reason = "the inner loops work on pointers whose ranges `add` has checked"
)]

use crate::{
    Element, ShapeError,
    narrow::Numbers,
    shared::SharedMut,
    simd::{Simd, dispatch},
};
use half::bf16;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that a task takes.
const ROWS_OF_TASK: usize = 4;

/// The two matrices of an adapted layer: `a` is `[rank, inputs]`, `b` is `[rank, outputs]` with the scale folded in, each as bf16 or
/// f16 if that holds every number exactly, else as f32.
#[derive(Debug)]
pub struct Pair {
    a: Numbers,
    b: Numbers,
    rank: usize,
    inputs: usize,
    outputs: usize,
}

impl Pair {
    /// # Errors
    /// When there are not `rank * inputs` and `rank * outputs` numbers.
    pub fn new(a: Vec<f32>, b: Vec<f32>, rank: usize, inputs: usize, outputs: usize) -> Result<Self, ShapeError> {
        let fits = rank.checked_mul(inputs) == Some(a.len()) && rank.checked_mul(outputs) == Some(b.len());
        ShapeError::unless(fits, || {
            format!(
                "{} and {} numbers are not the matrices of rank {rank} of a layer with {inputs} inputs and {outputs} outputs",
                a.len(),
                b.len()
            )
        })?;
        Ok(Self {
            a: Numbers::exact(a),
            b: Numbers::exact(b),
            rank,
            inputs,
            outputs,
        })
    }

    /// As [`Pair::new`], with each number rounded to bf16.
    ///
    /// # Errors
    /// As [`Pair::new`].
    pub fn bf16(
        mut a: Vec<f32>,
        mut b: Vec<f32>,
        rank: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ShapeError> {
        for value in a.iter_mut().chain(&mut b) {
            *value = bf16::from_f32(*value).to_f32();
        }
        Self::new(a, b, rank, inputs, outputs)
    }

    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `[rank, inputs]`
    #[must_use]
    pub fn a(&self) -> Vec<f32> {
        self.a.to_f32()
    }

    /// `[rank, outputs]`
    #[must_use]
    pub fn b(&self) -> Vec<f32> {
        self.b.to_f32()
    }

    /// Memory of the numbers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.a.bytes() + self.b.bytes()
    }
}

/// Neighboring rows that have the same adapter.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    pub rows: Range<usize>,
    pub pair: &'a Pair,
}

/// Adds to `y` `[n, outputs]` what the segments' adapters make of `x` `[n, inputs]`. Rows outside of all segments stay.
///
/// # Errors
/// When sizes do not fit, or segments are not in ascending order or overlap.
pub fn add(x: &[f32], y: &mut [f32], segments: &[Segment<'_>]) -> Result<(), ShapeError> {
    let mut end = 0;
    for Segment { rows, pair } in segments {
        let fits = rows.start >= end && rows.start <= rows.end;
        let inside = |numbers: usize, width: usize| {
            let needed = rows.end.checked_mul(width);
            width > 0 && needed.is_some_and(|needed| needed <= numbers) && numbers.is_multiple_of(width)
        };
        ShapeError::unless(
            fits && inside(x.len(), pair.inputs) && inside(y.len(), pair.outputs),
            || {
                format!(
                    "rows {rows:?} do not fit an input of {} and an output of {}",
                    x.len(),
                    y.len()
                )
            },
        )?;
        end = rows.end;
    }
    let mut tasks: Vec<(&Pair, Range<usize>)> = Vec::new();
    for Segment { rows, pair } in segments {
        let starts = rows.clone().step_by(ROWS_OF_TASK);
        tasks.extend(starts.map(|from| (*pair, from..(from + ROWS_OF_TASK).min(rows.end))));
    }
    let out = SharedMut::new(y);
    let task = |(pair, rows): &(&Pair, Range<usize>)| {
        for row in rows.clone() {
            let Some(x) = x.get(row * pair.inputs..(row + 1) * pair.inputs) else {
                return;
            };
            // SAFETY: the sizes were checked above, and every row is in one task.
            unsafe { row_of(pair, x, out.get().add(row * pair.outputs)) };
        }
    };
    if tasks.len() == 1 {
        tasks.iter().for_each(task);
    } else {
        tasks.par_iter().for_each(task);
    }
    Ok(())
}

unsafe fn row_of(pair: &Pair, x: &[f32], y: *mut f32) {
    let mut hidden = vec![0.0; pair.rank];
    // SAFETY: the caller's promise, and the sizes that `Pair::new` has checked.
    unsafe {
        match &pair.a {
            Numbers::F32(a) => down(a.as_ptr(), x, &mut hidden),
            Numbers::F16(a) => down(a.as_ptr(), x, &mut hidden),
            Numbers::Bf16(a) => down(a.as_ptr(), x, &mut hidden),
        }
        match &pair.b {
            Numbers::F32(b) => up(b.as_ptr(), &hidden, y, pair.outputs),
            Numbers::F16(b) => up(b.as_ptr(), &hidden, y, pair.outputs),
            Numbers::Bf16(b) => up(b.as_ptr(), &hidden, y, pair.outputs),
        }
    }
}

dispatch! {
    /// `hidden = x · aᵀ`.
    ///
    /// # Safety
    /// `a` has `hidden.len() * x.len()` elements.
    unsafe fn down<T: Element>(a: *const T, x: &[f32], hidden: &mut [f32]) = down_with
}

#[inline(always)]
unsafe fn down_with<S: Simd, T: Element>(a: *const T, x: &[f32], hidden: &mut [f32]) {
    for (block, hidden) in hidden.chunks_mut(4).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let a = a.add(block * 4 * x.len());
            if let [first, second, third, fourth] = hidden {
                [*first, *second, *third, *fourth] = dots::<S, T, 4>(a, x);
            } else {
                for (row, hidden) in hidden.iter_mut().enumerate() {
                    [*hidden] = dots::<S, T, 1>(a.add(row * x.len()), x);
                }
            }
        }
    }
}

/// The dot products of `R` rows with `x`. Each is summed in the same order, whatever `R` is.
#[inline(always)]
unsafe fn dots<S: Simd, T: Element, const R: usize>(a: *const T, x: &[f32]) -> [f32; R] {
    let whole = x.len() / S::LANES * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [S::splat(0.0); R];
        for column in (0..whole).step_by(S::LANES) {
            let x_vector = S::load(x.as_ptr().add(column));
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = S::fma(x_vector, T::load::<S>(a.add(row * x.len() + column)), *sum);
            }
        }
        let mut dots = [0.0; R];
        for (row, (dot, sum)) in dots.iter_mut().zip(sums).enumerate() {
            *dot = S::sum(sum);
            for (column, value) in x.iter().enumerate().skip(whole) {
                *dot += value * (*a.add(row * x.len() + column)).widen();
            }
        }
        dots
    }
}

dispatch! {
    /// `y += hidden · b`.
    ///
    /// # Safety
    /// `b` has `hidden.len() * outputs` and `y` has `outputs` elements.
    unsafe fn up<T: Element>(b: *const T, hidden: &[f32], y: *mut f32, outputs: usize) = up_with
}

#[inline(always)]
unsafe fn up_with<S: Simd, T: Element>(b: *const T, hidden: &[f32], y: *mut f32, outputs: usize) {
    const VECTORS: usize = 4;
    let width = VECTORS * S::LANES;
    let whole = outputs / width * width;
    // SAFETY: the caller's promise.
    unsafe {
        for output in (0..whole).step_by(width) {
            let mut sums = [S::splat(0.0); VECTORS];
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = S::load(y.add(output + vector * S::LANES));
            }
            for (rank, hidden) in hidden.iter().enumerate() {
                let hidden = S::splat(*hidden);
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = S::fma(
                        hidden,
                        T::load::<S>(b.add(rank * outputs + output + vector * S::LANES)),
                        *sum,
                    );
                }
            }
            for (vector, sum) in sums.iter().enumerate() {
                S::store(y.add(output + vector * S::LANES), *sum);
            }
        }
        for output in whole..outputs {
            let mut sum = *y.add(output);
            for (rank, hidden) in hidden.iter().enumerate() {
                sum += hidden * (*b.add(rank * outputs + output)).widen();
            }
            *y.add(output) = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) * 7919 % 2003) as f32 - 1001.0) / 1001.0)
            .collect()
    }

    fn pair(rank: usize, inputs: usize, outputs: usize, narrow: bool) -> Pair {
        let numbers = |count, seed| {
            let numbers = values(count, seed).into_iter();
            numbers
                .map(|x| if narrow { bf16::from_f32(x).to_f32() } else { x })
                .collect::<Vec<_>>()
        };
        Pair::new(
            numbers(rank * inputs, rank),
            numbers(rank * outputs, 3),
            rank,
            inputs,
            outputs,
        )
        .unwrap()
    }

    #[test]
    fn every_row_gets_what_its_own_adapter_adds() {
        let _level = crate::simd::exclusive();
        for (inputs, outputs) in [(50, 133), (576, 192), (33, 64)] {
            let pairs = [
                pair(16, inputs, outputs, true),
                pair(5, inputs, outputs, false),
                pair(1, inputs, outputs, true),
            ];
            let ranges = [0..1, 1..10, 12..13];
            let segments: Vec<_> = ranges
                .into_iter()
                .zip(&pairs)
                .map(|(rows, pair)| Segment { rows, pair })
                .collect();
            let x = values(13 * inputs, 8);
            let mut y = vec![1.0; 13 * outputs];
            add(&x, &mut y, &segments).unwrap();
            for (row, (x, y)) in x.chunks(inputs).zip(y.chunks(outputs)).enumerate() {
                let own = segments.iter().find(|segment| segment.rows.contains(&row));
                for (output, y) in y.iter().enumerate() {
                    let added: f64 = own.map_or(0.0, |segment| {
                        let (a, b) = (segment.pair.a(), segment.pair.b());
                        let hidden = |rank: usize| -> f64 {
                            let a = a.iter().skip(rank * inputs);
                            x.iter().zip(a).map(|(x, a)| f64::from(*x) * f64::from(*a)).sum()
                        };
                        (0..segment.pair.rank())
                            .map(|rank| hidden(rank) * f64::from(b[rank * outputs + output]))
                            .sum()
                    });
                    assert!((f64::from(*y) - 1.0 - added).abs() < 1e-2, "row {row}: {y} {added}");
                }
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_in_a_batch() {
        let _level = crate::simd::exclusive();
        let pair = pair(13, 100, 150, false);
        let x = values(20 * 100, 2);
        let mut together = values(20 * 150, 4);
        let before = together.clone();
        add(
            &x,
            &mut together,
            &[Segment {
                rows: 0..20,
                pair: &pair,
            }],
        )
        .unwrap();
        for row in 0..20 {
            let mut alone = before[row * 150..(row + 1) * 150].to_vec();
            add(
                &x[row * 100..(row + 1) * 100],
                &mut alone,
                &[Segment {
                    rows: 0..1,
                    pair: &pair,
                }],
            )
            .unwrap();
            assert_eq!(alone, &together[row * 150..(row + 1) * 150]);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(Pair::new(vec![0.0; 4], vec![0.0; 6], 2, 2, 2).is_err());
        let pair = Pair::new(vec![0.0; 4], vec![0.0; 6], 2, 2, 3).unwrap();
        let segment = |rows| Segment { rows, pair: &pair };
        let (x, mut y) = ([0.0; 8], [0.0; 12]);
        assert!(add(&x, &mut y, &[segment(0..2), segment(2..4)]).is_ok());
        assert!(add(&x, &mut y, &[segment(0..5)]).is_err());
        assert!(add(&x, &mut y, &[segment(0..3), segment(2..4)]).is_err());
        assert!(add(&x, &mut y, &[segment(0..usize::MAX)]).is_err());
        assert!(
            add(&x, &mut y, &[segment(0..(usize::MAX / 2 + 2))]).is_err(),
            "its product wraps to 2"
        );
        assert!(add(&x, &mut y[..11], &[segment(0..1)]).is_err());
    }
}
