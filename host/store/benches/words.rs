//! `cargo bench -p riad-store --bench words`: texts into FTS5 and a question of them, by our terms and by FTS5's own `unicode61`. Not
//! here: making terms alone (`riad-language`).
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and criterion's macros make functions without documentation"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use riad_language::{Indexer, Language};
use rusqlite::Connection;
use std::hint::black_box;

const OURS: &str = "CREATE VIRTUAL TABLE words USING fts5 (
    title, text, characters, content = '', tokenize = \"ascii tokenchars '+#|'\")";
const UNICODE61: &str = "CREATE VIRTUAL TABLE words USING fts5 (
    title, text, characters, content = '', tokenize = 'unicode61 remove_diacritics 2')";

const SAMPLES: &[(&str, &str)] = &[
    (
        "English",
        "The driver was rewritten after all of the connections had been closed by server ",
    ),
    (
        "German",
        "Die Häuser am Fluss wurden größer gebaut, sie werden im Sommer gern besucht von ",
    ),
    ("Chinese", "我们的图书馆在星期天开放，学生可以免费借书。"),
    ("Thai", "ห้องสมุดของเราเปิดวันอาทิตย์และนักเรียนสามารถยืมหนังสือได้ฟรี "),
];
/// About a kilobyte each, as chunks are.
const CHUNKS: usize = 1_000;

/// The words of a sample are few, so their terms are remembered; a real text has others too.
fn chunks(sample: &str) -> Vec<String> {
    let text = sample.repeat((1 << 10) / sample.len());
    (0..CHUNKS).map(|number| format!("{text} n{number}")).collect()
}

/// Pieces of a real text.
fn real() -> Vec<String> {
    let text = include_str!("../../ARCHITECTURE.md");
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(1 << 10).map(|chunk| chunk.iter().collect()).collect()
}

fn table(schema: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(schema).unwrap();
    connection
}

fn insert(connection: &Connection, chunks: &[String], language: Option<Language>) {
    let transaction = connection.unchecked_transaction().unwrap();
    let mut statement = transaction
        .prepare("INSERT INTO words (rowid, title, text, characters) VALUES (?1, '', ?2, ?3)")
        .unwrap();
    let mut indexer = language.map(Indexer::new);
    for (key, chunk) in (1_i64..).zip(chunks) {
        match &mut indexer {
            Some(indexer) => {
                let terms = indexer.index(chunk);
                statement.execute((key, &terms.words, &terms.characters)).unwrap();
            }
            None => {
                statement.execute((key, chunk, "")).unwrap();
            }
        }
    }
    drop(statement);
    transaction.commit().unwrap();
}

fn words(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("words");
    group.sample_size(10);
    let samples = SAMPLES
        .iter()
        .map(|(name, sample)| (*name, chunks(sample), Language::detect(sample)));
    for (name, chunks, language) in samples.chain([("ARCHITECTURE.md", real(), Language::English)]) {
        group.throughput(Throughput::Bytes(chunks.iter().map(|chunk| chunk.len() as u64).sum()));
        for (kind, schema, language) in [("ours", OURS, Some(language)), ("unicode61", UNICODE61, None)] {
            group.bench_function(format!("{name}/{kind}"), |bencher| {
                bencher.iter_batched(
                    || table(schema),
                    |connection| insert(&connection, black_box(&chunks), language),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, words);
criterion_main!(benches);
