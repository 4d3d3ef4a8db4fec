//! The texts of single tokens. Not here: texts to tokens (`prompt`), tokens to answers (`answer`).

use super::tool_calls;
use mistralrs::core::llguidance::toktrie::TokEnv;
use riad_core::chat::ScoredToken;
use std::collections::HashMap;
use tokenizers::Tokenizer;

#[derive(Clone)]
pub(crate) struct Vocabulary {
    token_bytes: TokEnv,
    /// Texts of tokens that are around calls of tools.
    tool_markers: HashMap<u32, &'static str>,
}

impl Vocabulary {
    pub fn new(token_bytes: TokEnv, tokenizer: &Tokenizer) -> Self {
        let added = tokenizer.get_added_vocabulary().get_vocab();
        let marker = |text: &&'static str| Some((*added.get(*text)?, *text));
        Self {
            token_bytes,
            tool_markers: tool_calls::MARKERS.iter().filter_map(marker).collect(),
        }
    }

    /// The bytes that a token adds to a text. Empty for a control token.
    pub fn bytes(&self, token: u32) -> Vec<u8> {
        self.token_bytes.tok_trie().decode_ext(&[token], false)
    }

    /// Like [`Self::bytes`], but with the texts of tokens around calls of tools.
    pub fn bytes_with_markers(&self, token: u32) -> Vec<u8> {
        let marker = self.tool_markers.get(&token);
        marker.map_or_else(|| self.bytes(token), |text| text.as_bytes().to_vec())
    }

    /// A token as the caller reads it.
    pub fn scored(&self, token: u32, logprob: f32) -> ScoredToken {
        let bytes = self.bytes(token);
        // SentencePiece writes a space as U+2581.
        let text = match bytes.is_empty() {
            true => self.token_bytes.tok_trie().decode_ext(&[token], true),
            false => match std::str::from_utf8(&bytes) {
                Ok(text) => text.replace('\u{2581}', " ").into_bytes(),
                Err(_) => bytes.clone(),
            },
        };
        ScoredToken {
            text: String::from_utf8_lossy(&text).into_owned(),
            bytes: (!bytes.is_empty()).then_some(text),
            logprob,
        }
    }

    /// Tokens that the model can write, by number.
    pub fn len(&self) -> usize {
        self.token_bytes.tok_trie().vocab_size()
    }
}
