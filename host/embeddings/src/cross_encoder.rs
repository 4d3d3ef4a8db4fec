//! A cross-encoder: a BERT that reads a query and a passage together and gives them one number. Not here: the model below it (`bert`).

use crate::{
    bert::{Bert, BertFiles},
    folder::{Folder, WEIGHTS},
    sentence_transformer::{self, TOKENS_MAX},
    tokens::Encoder,
};
use candle_core::Tensor;
use candle_nn::{Linear, Module, ops};
use riad_core::{Error, Result, ports::Reranker};
use std::sync::atomic::{AtomicU64, Ordering};

/// A small model reads these in about 100 ms.
const CALL_BYTES: usize = 2 << 10;

pub(crate) struct CrossEncoder {
    bert: Bert,
    encoder: Encoder,
    pooler: Linear,
    classifier: Linear,
    counted: AtomicU64,
}

impl CrossEncoder {
    pub fn open(folder: &Folder) -> Result<Self> {
        let files = BertFiles::read(folder)?;
        let positions = files.config.max_position_embeddings;
        let max_tokens = sentence_transformer::max_tokens(folder)?.min(positions).min(TOKENS_MAX);
        let encoder = Encoder::open(folder, max_tokens, false, true)?;
        encoder.check_vocabulary(folder, files.config.vocab_size)?;
        let bert = Bert::load(folder, &files)?;
        let size = files.config.hidden_size;
        let wrong = |error: candle_core::Error| folder.wrong(format!("{WEIGHTS}: {error}"));
        let head = files.weights.pp("bert.pooler.dense");
        let pooler = candle_nn::linear(size, size, head).map_err(wrong)?;
        let classifier = candle_nn::linear(size, 1, files.weights.pp("classifier")).map_err(wrong)?;
        Ok(Self {
            bert,
            encoder,
            pooler,
            classifier,
            counted: AtomicU64::default(),
        })
    }

    fn classify(&self, vectors: &Tensor) -> candle_core::Result<Vec<f32>> {
        let first = vectors.narrow(1, 0, 1)?.squeeze(1)?;
        let pooled = self.pooler.forward(&first)?.tanh()?;
        ops::sigmoid(&self.classifier.forward(&pooled)?)?.squeeze(1)?.to_vec1()
    }
}

impl Reranker for CrossEncoder {
    fn call_bytes(&self) -> usize {
        CALL_BYTES
    }

    fn most_tokens(&self, query: usize, passage: usize) -> u64 {
        self.encoder.most_tokens(query.saturating_add(passage))
    }

    fn score(&self, query: &str, passages: &[String]) -> Result<(Vec<f32>, u32)> {
        let encode = |passage: &String| self.encoder.encode_pair(query, passage);
        let encodings = passages.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let (scores, tokens) = self.bert.compute(&encodings, |vectors, _| self.classify(vectors))?;
        self.counted.fetch_add(u64::from(tokens), Ordering::Relaxed);
        match scores.iter().all(|score| score.is_finite()) {
            true => Ok((scores, tokens)),
            false => Err(Error::internal("the reranking model gives scores that are no numbers")),
        }
    }

    fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}
