use riad_core::ports::TextRole;
fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let e = riad_embeddings::open(std::path::Path::new(&folder)).unwrap();
    let text =
        "The warranty of the Kestrel drill is 37 months, and refunds are possible within thirty days. ".repeat(10);
    for (what, texts) in [
        ("1 query", vec!["how long is the warranty".to_owned()]),
        ("1 chunk", vec![text.clone()]),
        ("2 chunks", vec![text.clone(), text.clone()]),
        ("32 short", vec!["how long is the warranty".to_owned(); 32]),
    ] {
        let mut best = f64::MAX;
        let mut tokens = 0;
        for _ in 0..5 {
            let t = std::time::Instant::now();
            let (_, n) = e.embed(&texts, TextRole::Passage).unwrap();
            tokens = n;
            best = best.min(t.elapsed().as_secs_f64());
        }
        println!("{what}: {tokens} tokens, {:.1} ms", best * 1e3);
    }
}
