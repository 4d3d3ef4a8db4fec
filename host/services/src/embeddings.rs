//! Texts to vectors, metered. Not here: the models (`engine`), and what documents are embedded as (`documents`).

use crate::{
    metering::UsageHandle,
    shared::Shared,
    text::{Text, unknown_token},
};
use parking_lot::Mutex;
use riad_admission::Work;
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    grants::{Access, Scope},
    ledger::{Kind, Purpose},
    ports::{Embedder, TextRole},
    price::Usage,
    receipt::SignedReceipt,
};
use std::{iter::Peekable, sync::Arc};

pub struct EmbeddingRequest {
    pub model: String,
    pub input: Vec<Text>,
}

pub struct Embeddings {
    pub model: String,
    /// In the order of the input, all of the same length.
    pub vectors: Vec<Vec<f32>>,
    pub tokens: u32,
    pub receipt: SignedReceipt,
}

pub struct EmbeddingService(pub(crate) Arc<Shared>);

impl EmbeddingService {
    /// # Errors
    /// `ModelNotFound` for any model but the server's embedder, `InvalidRequest` for no, too many or empty texts; `Forbidden`,
    /// `Busy` and `QuotaExceeded` as for a chat.
    pub async fn embed(&self, pass: &TenantPass, request: EmbeddingRequest) -> Result<Embeddings> {
        pass.require(Scope::Chat, Access::Write)?;
        let model = self.0.embedder.name();
        if request.model != model {
            return Err(Error::new(
                ErrorKind::ModelNotFound,
                format!(
                    "there is no embedding model {:?}; this server has {model:?}",
                    request.model
                ),
            )
            .with_param("model"));
        }
        let most = self.0.limits.embedding_inputs;
        if request.input.is_empty() || request.input.len() > most as usize {
            return Err(Error::invalid(format!("input must have 1 to {most} texts")).with_param("input"));
        }
        let meter = self.0.metering.admit(pass, purpose(&self.0, Kind::Embedding)).await?;
        let mut work = self.0.work(pass);
        let embedded = async {
            let texts = read_texts(&self.0, &mut work, request.input).await?;
            embed(&self.0, &mut work, meter.handle(), texts, TextRole::Unknown, 1).await
        };
        let (vectors, tokens) = meter.record_engine_result(embedded.await)?;
        Ok(Embeddings {
            model: model.to_owned(),
            vectors,
            tokens,
            receipt: meter.settle().await?,
        })
    }

    /// The dimensions of every vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0.embedder.space().dimensions
    }
}

/// The texts, none of them empty. A text of tokens is a slice of its own.
async fn read_texts(shared: &Shared, work: &mut Work, input: Vec<Text>) -> Result<Vec<String>> {
    let mut texts = Vec::with_capacity(input.len());
    for (index, text) in input.into_iter().enumerate() {
        let at_fault = |error: Error| error.with_param(format!("input[{index}]"));
        let text = match text {
            Text::Words(text) => text,
            Text::Tokens(tokens) => {
                let embedder = Arc::clone(&shared.embedder);
                work.run(move || embedder.text_of(&tokens).ok_or_else(|| unknown_token(embedder.name())))
                    .await
                    .map_err(at_fault)?
            }
        };
        if text.trim().is_empty() {
            return Err(at_fault(Error::invalid("a text to embed must not be empty")));
        }
        texts.push(text);
    }
    Ok(texts)
}

/// The purpose of a request that only embeds.
pub(crate) fn purpose(shared: &Shared, kind: Kind) -> Purpose {
    Purpose {
        kind,
        model: shared.embedder.name().to_owned(),
        adapter: None,
        plugin: String::new(),
    }
}

/// Holds the tokens, embeds, and reports to `usage`. `requests` is 1 where the embedding is what the tenant asked for, 0 where it
/// is part of something else.
pub(crate) async fn embed(
    shared: &Shared,
    work: &mut Work,
    usage: UsageHandle,
    texts: Vec<String>,
    role: TextRole,
    requests: u64,
) -> Result<(Vec<Vec<f32>>, u32)> {
    let most = Usage {
        requests,
        ..at_most(shared.embedder.as_ref(), texts.iter().map(String::len))
    };
    usage.hold(most).await?;
    run(shared, work, usage, texts, role, most).await
}

/// The most that embedding texts of these lengths in bytes may use.
pub(crate) fn at_most(embedder: &dyn Embedder, lengths: impl Iterator<Item = usize>) -> Usage {
    let tokens = lengths.fold(0_u64, |sum, bytes| sum.saturating_add(embedder.most_tokens(bytes)));
    Usage {
        embedded_tokens: tokens,
        ..Usage::default()
    }
}

/// What a model's reading has used so far. Reports it when the last slice has ended and the caller has got its result or has gone.
pub(crate) struct Reading {
    usage: Mutex<Option<UsageHandle>>,
    most: Usage,
    used: Mutex<Usage>,
}

impl Reading {
    /// `most` is held for it.
    pub fn new(usage: UsageHandle, most: Usage) -> Arc<Self> {
        Arc::new(Self {
            usage: Mutex::new(Some(usage)),
            most,
            used: Mutex::default(),
        })
    }

    pub fn add_tokens(&self, tokens: u32) {
        self.add(Usage {
            embedded_tokens: u64::from(tokens),
            ..Usage::default()
        });
    }

    fn add(&self, used: Usage) {
        let mut all = self.used.lock();
        *all = all.plus(&used);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(usage) = self.usage.get_mut().take() {
            usage.report(*self.used.get_mut(), self.most);
        }
    }
}

/// Embeds texts for which `most` is held. When the caller disconnects, the slice that runs is finished and billed, and no other begins.
pub(crate) async fn run(
    shared: &Shared,
    work: &mut Work,
    usage: UsageHandle,
    texts: Vec<String>,
    role: TextRole,
    most: Usage,
) -> Result<(Vec<Vec<f32>>, u32)> {
    let reading = Reading::new(usage, most);
    let call_bytes = shared.embedder.call_bytes();
    let mut calls = shared.embedding_work(work);
    let (mut vectors, mut tokens) = (Vec::with_capacity(texts.len()), 0_u32);
    let mut texts = texts.into_iter().peekable();
    while texts.peek().is_some() {
        let slice = next_slice(&mut texts, call_bytes, 0);
        let (embedder, slice_of) = (Arc::clone(&shared.embedder), Arc::clone(&reading));
        let (more, read) = calls
            .run(move || {
                let (vectors, tokens) = embedder.embed(&slice, role)?;
                slice_of.add_tokens(tokens);
                if vectors.len() != slice.len() {
                    return Err(Error::internal(format!(
                        "the embedder gave {} vectors for {} texts",
                        vectors.len(),
                        slice.len()
                    )));
                }
                Ok((vectors, tokens))
            })
            .await?;
        vectors.extend(more);
        tokens = tokens.saturating_add(read);
    }
    reading.add(Usage {
        requests: most.requests,
        ..Usage::default()
    });
    Ok((vectors, tokens))
}

/// The next texts, of so many bytes together unless the first is longer; each counts with `more` bytes.
pub(crate) fn next_slice(texts: &mut Peekable<impl Iterator<Item = String>>, most: usize, more: usize) -> Vec<String> {
    let (mut slice, mut bytes) = (Vec::new(), 0);
    while let Some(text) = texts.next_if(|text| slice.is_empty() || bytes + text.len() + more <= most) {
        bytes += text.len() + more;
        slice.push(text);
    }
    slice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_embedded_in_slices_of_bounded_size() {
        let lengths = [200, 10, 90, 1, 100, 0, 0];
        let mut texts = lengths.map(|length| "x".repeat(length)).into_iter().peekable();
        let mut slices = Vec::new();
        while texts.peek().is_some() {
            let slice = next_slice(&mut texts, 100, 0);
            slices.push(slice.iter().map(String::len).collect::<Vec<_>>());
        }
        assert_eq!(slices, [vec![200], vec![10, 90], vec![1], vec![100, 0, 0]]);
    }
}
