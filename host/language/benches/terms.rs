//! Text to terms, by script. Beside it, in `riad-store`: what storing them takes, against FTS5's own tokenizer.
#![allow(missing_docs, reason = "criterion's macros make functions without documentation")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riad_language::{Indexer, Language};
use std::hint::black_box;

const SAMPLES: &[(&str, &str)] = &[
    (
        "English",
        "The driver was rewritten after all of the connections had been closed by the server. ",
    ),
    (
        "German",
        "Die Häuser am Fluss wurden größer gebaut und werden im Sommer gern besucht. ",
    ),
    ("Russian", "Книги лежат на столе в библиотеке, студенты их читают. "),
    ("Arabic", "الكتب الجديدة موجودة في المكتبة العامة. "),
    ("Korean", "학교에서 도서관까지 걸어서 십 분 걸립니다. "),
    ("Chinese", "我们的图书馆在星期天开放，学生可以免费借书。"),
    ("Japanese", "東京都の図書館は日曜日も開いています。"),
    ("Thai", "ห้องสมุดของเราเปิดวันอาทิตย์และนักเรียนสามารถยืมหนังสือได้ฟรี"),
];

fn terms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("terms");
    for (name, sample) in SAMPLES {
        let text = sample.repeat((64 << 10) / sample.len());
        let language = Language::detect(&text);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| Indexer::new(language).index(black_box(&text)));
        });
    }
    group.finish();
    let text = SAMPLES
        .iter()
        .map(|(_, sample)| *sample)
        .collect::<String>()
        .repeat(1_000);
    criterion.bench_function("detect", |bencher| bencher.iter(|| Language::detect(black_box(&text))));
    let languages: Vec<Language> = Language::all().collect();
    criterion.bench_function("query", |bencher| {
        bencher.iter(|| riad_language::query(black_box("Which connections did the server close?"), &languages, 256));
    });
}

criterion_group!(benches, terms);
criterion_main!(benches);
