//! Attention beside the same in f64, over a cache whose unused numbers are NaN.

use super::*;
use crate::simd;
use half::{bf16, f16};

struct Random(u64);

impl Random {
    /// -1 to 1.
    fn number(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32 / (1_u64 << 24) as f32) * 2.0 - 1.0
    }

    fn below(&mut self, n: usize) -> usize {
        (((self.number() + 1.0) / 2.0 * n as f32) as usize).min(n - 1)
    }

    fn numbers<T: Element>(&mut self, count: usize) -> Vec<T> {
        (0..count).map(|_| T::narrow(self.number())).collect()
    }
}

/// Sequences in a cache whose other numbers are NaN.
struct Cache<T> {
    keys: Vec<T>,
    values: Vec<T>,
    /// Of each row.
    tables: Vec<u32>,
    stride: usize,
    contexts: Vec<u32>,
    /// Of each row: its sequence's keys and values as they were written.
    written: Vec<(Vec<T>, Vec<T>)>,
    of_row: Vec<usize>,
}

fn cache<T: Element>(shape: &Shape, random: &mut Random) -> Cache<T> {
    let blocks = 64;
    let nothing = vec![T::narrow(f32::NAN); blocks * shape.block()];
    let mut cache = Cache {
        keys: nothing.clone(),
        values: nothing,
        tables: Vec::new(),
        stride: 200_usize.div_ceil(shape.block_size) + 1,
        contexts: Vec::new(),
        written: Vec::new(),
        of_row: Vec::new(),
    };
    let mut free: Vec<u32> = (0..blocks as u32).collect();
    // (tokens, rows): single tokens and chunks of prompts.
    for (tokens, rows) in [(1, 1), (8, 8), (33, 1), (150, 20), (31, 31)] {
        let table: Vec<u32> = (0..usize::div_ceil(tokens, shape.block_size))
            .map(|_| free.remove(random.below(free.len())))
            .collect();
        let width = tokens * shape.kv_heads * shape.head_dim;
        let (k, v): (Vec<T>, Vec<T>) = (random.numbers(width), random.numbers(width));
        let slot = |token: usize| {
            i64::from(table[token / shape.block_size]) * shape.block_size as i64 + (token % shape.block_size) as i64
        };
        let slots: Vec<i64> = (0..tokens).map(slot).collect();
        write_keys(&k, &mut cache.keys, &slots, shape).unwrap();
        write_values(&v, &mut cache.values, &slots, shape).unwrap();
        for row in 0..rows {
            cache.tables.extend(&table);
            cache.tables.resize(cache.tables.len() + cache.stride - table.len(), 0);
            cache.contexts.push((tokens - rows + 1 + row) as u32);
            cache.of_row.push(cache.written.len());
        }
        cache.written.push((k, v));
    }
    cache
}

fn run<T: Element>(cache: &Cache<T>, q: &[T], rows: Range<usize>, shape: &Shape) -> Vec<f32> {
    let width = shape.heads * shape.head_dim;
    let mut out = vec![T::narrow(f32::NAN); rows.len() * width];
    attend(
        &q[rows.start * width..rows.end * width],
        &cache.keys,
        &cache.values,
        &cache.tables[rows.start * cache.stride..rows.end * cache.stride],
        cache.stride,
        &cache.contexts[rows.clone()],
        shape,
        &mut out,
    )
    .unwrap();
    out.iter().map(|number| number.widen()).collect()
}

fn expected<T: Element>(cache: &Cache<T>, q: &[T], row: usize, head: usize, shape: &Shape) -> Vec<f64> {
    let (k, v) = &cache.written[cache.of_row[row]];
    let kv_head = head / (shape.heads / shape.kv_heads);
    let q = &q[(row * shape.heads + head) * shape.head_dim..][..shape.head_dim];
    let of = |numbers: &[T], token: usize, dim: usize| {
        f64::from(numbers[(token * shape.kv_heads + kv_head) * shape.head_dim + dim].widen())
    };
    let context = cache.contexts[row] as usize;
    let tokens = shape.window.map_or(0, |window| context.saturating_sub(window))..context;
    let scores: Vec<f64> = tokens
        .clone()
        .map(|token| {
            let dot: f64 = q
                .iter()
                .enumerate()
                .map(|(dim, q)| f64::from(q.widen()) * of(k, token, dim))
                .sum();
            let score = dot * f64::from(shape.scale);
            shape
                .softcap
                .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
        })
        .collect();
    let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..shape.head_dim)
        .map(|dim| {
            tokens
                .clone()
                .zip(&weights)
                .map(|(token, weight)| weight / total * of(v, token, dim))
                .sum()
        })
        .collect()
}

fn check<T: Element>(shape: &Shape, tolerance: f64) {
    let mut random = Random(shape.head_dim as u64 * 31 + shape.heads as u64);
    let cache: Cache<T> = cache(shape, &mut random);
    let rows = cache.contexts.len();
    let q: Vec<T> = random.numbers(rows * shape.heads * shape.head_dim);
    let out = run(&cache, &q, 0..rows, shape);
    for (row, of_row) in out.chunks(shape.heads * shape.head_dim).enumerate() {
        for (head, got) in of_row.chunks(shape.head_dim).enumerate() {
            for (got, want) in got.iter().zip(expected(&cache, &q, row, head, shape)) {
                assert!(
                    (f64::from(*got) - want).abs() < tolerance,
                    "{shape:?} row {row} head {head}: {got} {want}"
                );
            }
        }
        // Alone, the same bits.
        assert_eq!(run(&cache, &q, row..row + 1, shape), of_row, "{shape:?} row {row}");
    }
}

fn shape(head_dim: usize, heads: usize, kv_heads: usize, block_size: usize) -> Shape {
    Shape {
        heads,
        kv_heads,
        head_dim,
        block_size,
        scale: 1.0 / (head_dim as f32).sqrt(),
        softcap: None,
        window: None,
    }
}

#[test]
fn every_level_and_format_equals_attention_in_f64() {
    let _level = simd::exclusive();
    for level in simd::available() {
        simd::choose(Some(level));
        for head_dim in [16, 48, 64, 80, 128, 192] {
            for (heads, kv_heads) in [(4, 4), (9, 3), (7, 1), (14, 2)] {
                for block_size in [8, 16, 32] {
                    check::<f32>(&shape(head_dim, heads, kv_heads, block_size), 1e-5);
                }
                let plain = shape(head_dim, heads, kv_heads, 32);
                check::<bf16>(&plain, 8e-3);
                check::<f16>(&plain, 1e-3);
                check::<f32>(
                    &Shape {
                        softcap: Some(2.5),
                        ..plain.clone()
                    },
                    1e-5,
                );
                for window in [1, 5, 32, 40, 1000] {
                    check::<f32>(
                        &Shape {
                            window: Some(window),
                            ..plain.clone()
                        },
                        1e-5,
                    );
                }
            }
        }
    }
    simd::choose(None);
}

#[test]
fn wrong_sizes_are_errors() {
    let shape = shape(16, 2, 1, 8);
    let mut cache = vec![0.0_f32; 3 * shape.block()];
    assert!(write_keys(&[0.0; 16], &mut cache, &[23], &shape).is_ok());
    assert!(
        write_keys(&[0.0; 16], &mut cache, &[24], &shape).is_err(),
        "beyond the cache"
    );
    assert!(write_keys(&[0.0; 16], &mut cache, &[-1], &shape).is_ok(), "skipped");
    assert!(write_values(&[0.0; 15], &mut cache, &[0], &shape).is_err());
    let mut out = [0.0; 32];
    let mut ask = |tables: &[u32], contexts: &[u32], shape: &Shape| {
        attend(&[0.0; 32], &cache, &cache, tables, 2, contexts, shape, &mut out)
    };
    assert!(ask(&[0, 2], &[16], &shape).is_ok());
    assert!(ask(&[0, 3], &[16], &shape).is_err(), "no such block");
    assert!(
        ask(&[0, 3], &[8], &shape).is_ok(),
        "a block that is not seen may be anything"
    );
    assert!(ask(&[0, 1], &[17], &shape).is_err(), "more than the table has");
    assert!(ask(&[0, 1], &[0], &shape).is_err(), "a row that sees nothing");
    assert!(ask(&[0], &[8], &shape).is_err());
    for wrong in [
        Shape {
            head_dim: 24,
            ..shape.clone()
        },
        Shape {
            block_size: 12,
            ..shape.clone()
        },
        Shape {
            block_size: 64,
            ..shape.clone()
        },
        Shape {
            kv_heads: 0,
            ..shape.clone()
        },
        Shape {
            heads: 3,
            kv_heads: 2,
            ..shape.clone()
        },
        Shape {
            heads: usize::MAX / 2 + 1,
            ..shape.clone()
        },
        Shape {
            head_dim: usize::MAX / 16 * 16,
            ..shape.clone()
        },
        Shape {
            window: Some(0),
            ..shape.clone()
        },
    ] {
        assert!(ask(&[0, 1], &[8], &wrong).is_err(), "{wrong:?}");
    }
}
