//! The `static` embedder: a Model2Vec table from a local folder. Small and quick; weaker than BM25 on its own, hence its
//! weight in the fusion. Not here: chunking, the index.

mod subwords;
mod token_counter;

use model2vec_rs::model::StaticModel;
use riad_core::{
    Error, Result,
    ports::{Embedder, EmbeddingSpace, TextRole},
};
use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};
use token_counter::TokenCounter;
use tokenizers::Tokenizer;

/// Chosen on the open half of question sets in 18 languages and of Rust's documentation (`cargo xtask bench retrieval`): of the weights from 0
/// to 1 it finds more than words alone and loses the least of their order. The model knows English best; there 0.3 is as good
/// (`host/models/embed/REPORT.md`).
const FUSION_WEIGHT: f32 = 0.1;
/// A few milliseconds of work.
const CALL_BYTES: usize = 32 << 10;

pub struct StaticEmbedder {
    model: StaticModel,
    /// The model keeps its own to itself.
    counter: TokenCounter,
    name: String,
    space: EmbeddingSpace,
    counted: AtomicU64,
}

impl StaticEmbedder {
    /// Reads `model.safetensors`, `tokenizer.json` and `config.json` of a Model2Vec folder. The model's name in the API is
    /// `static-<dimensions>`; its space has the first 8 hexadecimal digits of the SHA-256 of `model.safetensors` too, so that
    /// vectors of two models are never taken for one another's.
    ///
    /// # Errors
    /// `InvalidRequest` when the folder is not a Model2Vec model.
    pub fn open(folder: &Path) -> Result<Self> {
        let wrong = |error: &dyn fmt::Display| {
            Error::invalid(format!(
                "embeddings.model: {} is not a Model2Vec folder: {error}",
                folder.display()
            ))
            .with_param("embeddings.model")
        };
        // Otherwise the texts of a call go through rayon's global pool, and whoever embeds one search's query waits there until all that
        // other callers have put before it is done. The caller's threads keep the cores busy. This is for the whole process, and only for
        // this version of the crate: `mistralrs` has another one, which encodes one text at a time.
        tokenizers::parallelism::set_parallelism(false);
        let model = StaticModel::from_pretrained(folder, None, Some(true), None).map_err(|error| wrong(&error))?;
        let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(|error| wrong(&error))?;
        let weights = std::fs::read(folder.join("model.safetensors")).map_err(|error| wrong(&error))?;
        let digest = crate::short_digest(&weights);
        let dimensions = model.dim();
        let name = format!("static-{dimensions}");
        let space = EmbeddingSpace {
            model: format!("{name}-{digest}"),
            dimensions,
        };
        Ok(Self {
            model,
            counter: TokenCounter::new(tokenizer),
            name,
            space,
            counted: AtomicU64::default(),
        })
    }
}

impl Embedder for StaticEmbedder {
    fn space(&self) -> &EmbeddingSpace {
        &self.space
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn fusion_weight(&self) -> f32 {
        FUSION_WEIGHT
    }

    fn text_of(&self, tokens: &[u32]) -> Option<String> {
        let tokenizer = self.counter.tokenizer();
        if tokens.iter().any(|token| tokenizer.id_to_token(*token).is_none()) {
            return None;
        }
        tokenizer.decode(tokens, false).ok()
    }

    fn call_bytes(&self) -> usize {
        CALL_BYTES
    }

    fn most_tokens(&self, bytes: usize) -> u64 {
        bytes as u64
    }

    /// The model has no prompts, and a text is as long as it is.
    fn embed(&self, texts: &[String], _role: TextRole) -> Result<(Vec<Vec<f32>>, u32)> {
        let tokens = self.counter.count(texts);
        // No length limit: a chunk is short, and a query must not be cut silently.
        let mut vectors = self.model.encode_with_args(texts, None, 1024);
        for (vector, text) in vectors.iter_mut().zip(texts) {
            if vector.iter().all(|number| *number == 0.0) {
                *vector = subwords::vector(text, self.space.dimensions);
            }
        }
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.counted.fetch_add(u64::from(tokens), Ordering::Relaxed);
        Ok((vectors, tokens))
    }

    fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_tokenizers_and_no_text_gives_zeros() {
        let folder = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
        let embedder = StaticEmbedder::open(&folder).unwrap();
        // "unbelievably" is one word and several tokens.
        let (one, tokens) = embedder.embed(&["unbelievably".into()], TextRole::Unknown).unwrap();
        assert!(tokens > 1, "{tokens}");
        let (both, together) = embedder
            .embed(&["unbelievably".into(), String::new()], TextRole::Query)
            .unwrap();
        assert_eq!((together, &both[0]), (tokens, &one[0]));
        assert!(both[1].iter().any(|x| *x != 0.0));
        assert_eq!(embedder.counted(), u64::from(tokens + together));
    }

    #[test]
    fn tokens_stand_for_their_text() {
        let folder = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
        let embedder = StaticEmbedder::open(&folder).unwrap();
        let encoded = embedder
            .counter
            .tokenizer()
            .encode_fast("a refund is unbelievably late", false)
            .unwrap();
        let text = embedder.text_of(encoded.get_ids()).unwrap();
        let (vectors, _) = embedder
            .embed(&[text, "a refund is unbelievably late".into()], TextRole::Passage)
            .unwrap();
        assert_eq!(vectors[0], vectors[1]);
        assert_eq!(embedder.text_of(&[u32::MAX]), None);
    }

    #[cfg(feature = "bert")]
    #[test]
    fn it_embeds_while_rayons_global_pool_is_busy() {
        use std::sync::mpsc;
        let folder = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
        let embedder = StaticEmbedder::open(&folder).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Arc::new(parking_lot::Mutex::new(released));
        let (begin, began) = mpsc::channel();
        for _ in 0..rayon::current_num_threads() {
            let (begin, released) = (begin.clone(), released.clone());
            rayon::spawn(move || {
                begin.send(()).unwrap();
                let _ = released.lock().recv();
            });
        }
        // One thread waits for its release, all others for the lock: none of the pool is free.
        for _ in 0..rayon::current_num_threads() {
            began.recv().unwrap();
        }
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || {
            let texts: Vec<String> = (0..64).map(|index| format!("text {index}")).collect();
            done.send(embedder.embed(&texts, TextRole::Passage)).unwrap();
        });
        let embedded = result.recv_timeout(std::time::Duration::from_secs(20));
        drop(release);
        assert!(embedded.expect("it waits for rayon's pool").is_ok());
    }

    #[test]
    fn two_models_of_the_same_size_have_two_spaces() {
        let shipped = Path::new(env!("RIAD_SOURCE")).join("host/models/embed");
        let other = tempfile::tempdir().unwrap();
        for name in ["model.safetensors", "tokenizer.json", "config.json"] {
            std::fs::copy(shipped.join(name), other.path().join(name)).unwrap();
        }
        let first = StaticEmbedder::open(&shipped).unwrap();
        let same = StaticEmbedder::open(other.path()).unwrap();
        assert_eq!(first.space(), same.space(), "the name is the model's, not the folder's");
        assert!(
            first.space().model.starts_with("static-256-"),
            "{}",
            first.space().model
        );
        assert_eq!(first.space().model.len(), "static-256-".len() + 8);

        let weights = other.path().join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        let changed = StaticEmbedder::open(other.path()).unwrap();
        assert_eq!(first.space().dimensions, changed.space().dimensions);
        assert_ne!(first.space().model, changed.space().model);
    }

    #[test]
    fn a_folder_without_a_model_is_refused_with_its_key() {
        let error = StaticEmbedder::open(Path::new("nowhere")).err().unwrap();
        assert_eq!(error.param(), Some("embeddings.model"));
    }
}
