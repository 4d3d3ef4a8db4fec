//! Linear layers by rows and storage, and attention by context, in numbers per second. Ratios between cases of one run mean something;
//! the absolute times are the machine's.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::bf16;
use riad_kernels::{
    Matrix,
    attention::{Shape, attend},
    lora,
};

fn values(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 1001.0)
        .collect()
}

fn linear(criterion: &mut Criterion) {
    let (inputs, outputs) = (576, 1536);
    let numbers = values(inputs * outputs);
    let rounded = numbers.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    let matrices = [
        Matrix::exact(numbers.clone(), outputs, inputs).unwrap(),
        Matrix::exact(rounded, outputs, inputs).unwrap(),
        Matrix::q8_0(&numbers, outputs, inputs).unwrap(),
        Matrix::bf16(&numbers, outputs, inputs).unwrap(),
    ];
    let mut group = criterion.benchmark_group("linear 576 to 1536");
    for rows in [1, 2, 4, 8, 16, 32, 64, 256] {
        let (x, mut y) = (values(rows * inputs), vec![0.0; rows * outputs]);
        group.throughput(Throughput::Elements((2 * rows * inputs * outputs) as u64));
        for matrix in &matrices {
            group.bench_function(BenchmarkId::new(matrix.storage_name(), rows), |bencher| {
                bencher.iter(|| matrix.multiply(&x, None, &mut y).unwrap());
            });
        }
    }
}

fn adapters(criterion: &mut Criterion) {
    let (inputs, outputs, rank) = (576, 1536, 16);
    let pairs: Vec<_> = (0..16)
        .map(|_| lora::Pair::new(values(rank * inputs), values(rank * outputs), rank, inputs, outputs).unwrap())
        .collect();
    let segments: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(row, pair)| lora::Segment {
            rows: row..row + 1,
            pair,
        })
        .collect();
    let (x, mut y) = (values(16 * inputs), vec![0.0; 16 * outputs]);
    criterion.bench_function("16 rows with 16 adapters of rank 16", |bencher| {
        bencher.iter(|| lora::add(&x, &mut y, &segments).unwrap());
    });
}

fn attention(criterion: &mut Criterion) {
    let shape = Shape {
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        block_size: 32,
        scale: 0.125,
        softcap: None,
        window: None,
    };
    let blocks = 2048;
    let (keys, numbers) = (values(blocks * 3 * 64 * 32), values(blocks * 3 * 64 * 32));
    let mut group = criterion.benchmark_group("attention");
    for (name, rows, context, apart) in [
        ("16 sequences", 16, 256, true),
        ("16 sequences", 16, 2048, true),
        ("chunk of 64", 64, 1024, false),
    ] {
        let stride = context / 32;
        let tables: Vec<u32> = (0..rows)
            .flat_map(|row| (0..stride).map(move |block| if apart { row * stride + block } else { block } as u32))
            .collect();
        let contexts: Vec<u32> = (0..rows)
            .map(|row| if apart { context } else { context - rows + 1 + row } as u32)
            .collect();
        let (q, mut out) = (values(rows * 9 * 64), vec![0.0; rows * 9 * 64]);
        group.throughput(Throughput::Elements((rows * context) as u64));
        group.bench_function(BenchmarkId::new(name, context), |bencher| {
            bencher.iter(|| attend(&q, &keys, &numbers, &tables, stride, &contexts, &shape, &mut out).unwrap());
        });
    }
}

criterion_group!(benches, linear, adapters, attention);
criterion_main!(benches);
