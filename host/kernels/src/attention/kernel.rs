//! One key-value head for neighboring rows of a sequence: block after block, with a softmax that is rescaled as it goes. Source: Milakov
//! and Gimelshein 2018, "Online normalizer calculation for softmax".
#![expect(
    unsafe_code,
    reason = "the inner loops work on pointers whose ranges `attend` has checked"
)]

use super::{MAX_BLOCK_SIZE, Shape};
use crate::{
    Element,
    exp::exp,
    shared::SharedMut,
    simd::{Simd, dispatch},
};

/// What one task computes.
#[derive(Clone, Copy)]
struct Task<'a, T, C> {
    q: *const T,
    keys: *const C,
    values: *const C,
    /// The blocks of the sequence.
    table: &'a [u32],
    /// What each row sees.
    contexts: &'a [u32],
    first_row: usize,
    head: usize,
    shape: &'a Shape,
    out: *mut T,
}

/// One block of the cache, as f32, and which of its tokens are seen.
#[derive(Clone, Copy)]
struct Block<'a> {
    keys: *const f32,
    values: *const f32,
    from: usize,
    to: usize,
    shape: &'a Shape,
}

/// A head of a row while it is computed.
struct Line {
    query: Vec<f32>,
    sums: Vec<f32>,
    greatest: f32,
    weight: f32,
}

pub(super) fn run<T: Element, C: Element>(
    q: &[T],
    keys: &[C],
    values: &[C],
    table: &[u32],
    contexts: &[u32],
    first_row: usize,
    head: usize,
    shape: &Shape,
    out: SharedMut<T>,
) {
    let task = Task {
        q: q.as_ptr(),
        keys: keys.as_ptr(),
        values: values.as_ptr(),
        table,
        contexts,
        first_row,
        head,
        shape,
        out: out.get(),
    };
    // SAFETY: `attend` has checked that the rows are in `q` and `out`, and the blocks in the caches; a row and head is in one task.
    unsafe { compute(task) };
}

dispatch! {
    unsafe fn compute<T: Element, C: Element>(task: Task<'_, T, C>) = compute_with
}

#[inline(always)]
unsafe fn compute_with<S: Simd, T: Element, C: Element>(task: Task<'_, T, C>) {
    let shape = task.shape;
    let group = shape.heads / shape.kv_heads;
    let at = |row: usize, of_group: usize| {
        ((task.first_row + row) * shape.heads + task.head * group + of_group) * shape.head_dim
    };
    let mut wide = Widened::new(shape);
    let mut lines: Vec<Line> = Vec::with_capacity(task.contexts.len() * group);
    // SAFETY: the caller's promise.
    unsafe {
        for row in 0..task.contexts.len() {
            for of_group in 0..group {
                let q = task.q.add(at(row, of_group));
                lines.push(Line {
                    query: (0..shape.head_dim)
                        .map(|dim| (*q.add(dim)).widen() * shape.scale)
                        .collect(),
                    sums: vec![0.0; shape.head_dim],
                    greatest: f32::NEG_INFINITY,
                    weight: 0.0,
                });
            }
        }
        for (index, block) in task.table.iter().enumerate() {
            let begin = index * shape.block_size;
            let seen = |context: u32| {
                let from = shape
                    .window
                    .map_or(0, |window| (context as usize).saturating_sub(window));
                let to = (context as usize).saturating_sub(begin).min(shape.block_size);
                (from.saturating_sub(begin).min(to), to)
            };
            if task.contexts.iter().all(|context| seen(*context).0 == seen(*context).1) {
                continue;
            }
            let from = (*block as usize * shape.kv_heads + task.head) * shape.head_block();
            let (keys, values) = wide.load::<S, C>(task.keys.add(from), task.values.add(from));
            // Rows that see the same tokens of the block are computed together: all but those at its edges.
            let mut first = 0;
            for rows in task.contexts.chunk_by(|one, other| seen(*one) == seen(*other)) {
                let count = rows.len() * group;
                let (from, to) = rows.first().map_or((0, 0), |context| seen(*context));
                if let Some(lines) = lines.get_mut(first..first + count)
                    && from < to
                {
                    let block = Block {
                        keys,
                        values,
                        from,
                        to,
                        shape,
                    };
                    lines_of::<S>(lines, block);
                }
                first += count;
            }
        }
        for (number, line) in lines.iter().enumerate() {
            let out = task.out.add(at(number / group, number % group));
            let inverse = 1.0 / line.weight;
            for (dim, sum) in line.sums.iter().enumerate() {
                *out.add(dim) = T::narrow(sum * inverse);
            }
        }
    }
}

/// One block for lines that see the same tokens of it, as many at a time as the processor has registers for.
#[inline(always)]
unsafe fn lines_of<S: Simd>(mut lines: &mut [Line], block: Block<'_>) {
    let wide = S::LANES == 16;
    loop {
        let count = match lines.len() {
            8.. if wide => 8,
            6.. if wide => 6,
            left => left.min(4),
        };
        let (now, rest) = lines.split_at_mut(count);
        // SAFETY: the caller's promise.
        unsafe {
            match now {
                [a, b, c, d, e, f, g, h] => block_of::<S, 8>([a, b, c, d, e, f, g, h], block),
                [a, b, c, d, e, f] => block_of::<S, 6>([a, b, c, d, e, f], block),
                [a, b, c, d] => block_of::<S, 4>([a, b, c, d], block),
                [a, b, c] => block_of::<S, 3>([a, b, c], block),
                [a, b] => block_of::<S, 2>([a, b], block),
                [a] => block_of::<S, 1>([a], block),
                _ => return,
            }
        }
        lines = rest;
    }
}

/// A block as f32.
struct Widened {
    keys: Vec<f32>,
    values: Vec<f32>,
    size: usize,
}

impl Widened {
    fn new(shape: &Shape) -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            size: shape.head_block(),
        }
    }

    #[inline(always)]
    unsafe fn load<S: Simd, T: Element>(&mut self, keys: *const T, values: *const T) -> (*const f32, *const f32) {
        if T::IS_F32 {
            return (keys.cast(), values.cast());
        }
        self.keys.resize(self.size, 0.0);
        self.values.resize(self.size, 0.0);
        // SAFETY: the caller's promise; a block has whole vectors, because heads are whole 16s and blocks whole 8s.
        unsafe {
            for at in (0..self.size).step_by(S::LANES) {
                S::store(self.keys.as_mut_ptr().add(at), T::load::<S>(keys.add(at)));
                S::store(self.values.as_mut_ptr().add(at), T::load::<S>(values.add(at)));
            }
        }
        (self.keys.as_ptr(), self.values.as_ptr())
    }
}

type Scores = [f32; MAX_BLOCK_SIZE];

/// The seen tokens of one block, for `N` lines.
#[inline(always)]
unsafe fn block_of<S: Simd, const N: usize>(mut lines: [&mut Line; N], block: Block<'_>) {
    let shape = block.shape;
    let mut scores = [[0.0_f32; MAX_BLOCK_SIZE]; N];
    // SAFETY: the caller's promise.
    unsafe { score::<S, N>(&lines, block.keys, shape, &mut scores) };
    for (line, scores) in lines.iter_mut().zip(&mut scores) {
        // SAFETY: the caller's promise.
        unsafe { weigh::<S>(line, scores, block) };
    }
    let mut dim = 0;
    while dim < shape.head_dim {
        // SAFETY: the caller's promise.
        unsafe {
            if N <= 4 && shape.head_dim - dim >= 4 * S::LANES {
                mix::<S, N, 4>(&mut lines, &scores, block, dim);
                dim += 4 * S::LANES;
            } else if shape.head_dim - dim >= 2 * S::LANES {
                mix::<S, N, 2>(&mut lines, &scores, block, dim);
                dim += 2 * S::LANES;
            } else {
                mix::<S, N, 1>(&mut lines, &scores, block, dim);
                dim += S::LANES;
            }
        }
    }
}

/// The scores of all tokens of the block.
#[inline(always)]
unsafe fn score<S: Simd, const N: usize>(
    lines: &[&mut Line; N],
    keys: *const f32,
    shape: &Shape,
    scores: &mut [Scores; N],
) {
    let mut token = 0;
    // SAFETY: the caller's promise; a block has `block_size` tokens, which are whole vectors but for the last case.
    unsafe {
        while token < shape.block_size {
            let left = shape.block_size - token;
            if left >= 2 * S::LANES {
                score_vectors::<S, N, 2>(lines, keys, shape, scores, token);
                token += 2 * S::LANES;
            } else if left >= S::LANES {
                score_vectors::<S, N, 1>(lines, keys, shape, scores, token);
                token += S::LANES;
            } else {
                for (line, scores) in lines.iter().zip(scores.iter_mut()) {
                    for (at, score) in scores.iter_mut().enumerate().take(shape.block_size).skip(token) {
                        let products = line.query.iter().enumerate();
                        *score = products
                            .map(|(dim, q)| q * *keys.add(dim * shape.block_size + at))
                            .sum();
                    }
                }
                token = shape.block_size;
            }
        }
    }
}

#[inline(always)]
unsafe fn score_vectors<S: Simd, const N: usize, const V: usize>(
    lines: &[&mut Line; N],
    keys: *const f32,
    shape: &Shape,
    scores: &mut [Scores; N],
    token: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let queries: [*const f32; N] =
            std::array::from_fn(|line| lines.get(line).map_or(std::ptr::null(), |line| line.query.as_ptr()));
        let mut sums = [[S::splat(0.0); V]; N];
        for dim in 0..shape.head_dim {
            let mut key = [S::splat(0.0); V];
            for (vector, key) in key.iter_mut().enumerate() {
                *key = S::load(keys.add(dim * shape.block_size + token + vector * S::LANES));
            }
            for (query, sums) in queries.iter().zip(&mut sums) {
                let q = S::splat(*query.add(dim));
                for (sum, key) in sums.iter_mut().zip(key) {
                    *sum = S::fma(q, key, *sum);
                }
            }
        }
        for (scores, sums) in scores.iter_mut().zip(sums) {
            for (vector, sum) in sums.iter().enumerate() {
                S::store(scores.as_mut_ptr().add(token + vector * S::LANES), *sum);
            }
        }
    }
}

/// Makes weights of the scores of the tokens that are seen, and rescales what was summed before.
#[inline(always)]
unsafe fn weigh<S: Simd>(line: &mut Line, scores: &mut Scores, block: Block<'_>) {
    if let Some(cap) = block.shape.softcap {
        for score in scores.iter_mut() {
            *score = cap * (*score / cap).tanh();
        }
    }
    // What a row does not see may be anything, also NaN.
    for (token, score) in scores.iter_mut().enumerate() {
        if token < block.from || token >= block.to {
            *score = f32::NEG_INFINITY;
        }
    }
    // SAFETY: `MAX_BLOCK_SIZE` is whole vectors of every kind.
    let greatest = unsafe { greatest::<S>(scores) }.max(line.greatest);
    for score in scores.iter_mut() {
        *score = exp(*score - greatest);
    }
    // SAFETY: as above.
    let weight = unsafe { total::<S>(scores) };
    let kept = exp(line.greatest - greatest);
    line.weight = line.weight * kept + weight;
    line.greatest = greatest;
    if kept != 1.0 {
        // SAFETY: heads are whole 16s.
        unsafe {
            let kept = S::splat(kept);
            for at in (0..line.sums.len()).step_by(S::LANES) {
                let sums = line.sums.as_mut_ptr().add(at);
                S::store(sums, S::mul(S::load(sums), kept));
            }
        }
    }
}

#[inline(always)]
unsafe fn greatest<S: Simd>(scores: &Scores) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut most = S::load(scores.as_ptr());
        for at in (S::LANES..MAX_BLOCK_SIZE).step_by(S::LANES) {
            most = S::max(most, S::load(scores.as_ptr().add(at)));
        }
        let mut lanes = [f32::NEG_INFINITY; MAX_BLOCK_SIZE];
        S::store(lanes.as_mut_ptr(), most);
        lanes
            .iter()
            .take(S::LANES)
            .fold(f32::NEG_INFINITY, |most, lane| most.max(*lane))
    }
}

#[inline(always)]
unsafe fn total<S: Simd>(scores: &Scores) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = S::load(scores.as_ptr());
        for at in (S::LANES..MAX_BLOCK_SIZE).step_by(S::LANES) {
            sum = S::add(sum, S::load(scores.as_ptr().add(at)));
        }
        S::sum(sum)
    }
}

/// Adds the weighted values of the tokens that are seen to `V` vectors of the sums.
#[inline(always)]
unsafe fn mix<S: Simd, const N: usize, const V: usize>(
    lines: &mut [&mut Line; N],
    scores: &[Scores; N],
    block: Block<'_>,
    dim: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; N];
        for (line, sums) in lines.iter().zip(&mut sums) {
            for (vector, sum) in sums.iter_mut().enumerate() {
                *sum = S::load(line.sums.as_ptr().add(dim + vector * S::LANES));
            }
        }
        for token in block.from..block.to {
            let mut value = [S::splat(0.0); V];
            for (vector, value) in value.iter_mut().enumerate() {
                *value = S::load(block.values.add(token * block.shape.head_dim + dim + vector * S::LANES));
            }
            for (scores, sums) in scores.iter().zip(&mut sums) {
                let weight = S::splat(*scores.as_ptr().add(token));
                for (sum, value) in sums.iter_mut().zip(value) {
                    *sum = S::fma(weight, value, *sum);
                }
            }
        }
        for (line, sums) in lines.iter_mut().zip(sums) {
            for (vector, sum) in sums.iter().enumerate() {
                S::store(line.sums.as_mut_ptr().add(dim + vector * S::LANES), *sum);
            }
        }
    }
}
