//! A model's tokenizer: what it reads of a text, cut at the model's length.

use crate::folder::{Folder, TOKENIZER};
use riad_core::{Error, Result};
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationParams};

/// Bytes of a text that are read first for each token that the model reads; most tokens are shorter.
const BYTES_PER_TOKEN: usize = 16;
/// Of a byte at most: normalization makes 18 letters of the three bytes of U+FDFA, and no more of any other.
const TOKENS_PER_BYTE: u64 = 6;

pub(crate) struct Encoder {
    tokenizer: Tokenizer,
    max_tokens: usize,
    lowercase: bool,
    /// The model's own marks.
    marks: usize,
}

impl Encoder {
    pub fn open(folder: &Folder, max_tokens: usize, lowercase: bool, is_of_pairs: bool) -> Result<Self> {
        let wrong = |error: tokenizers::Error| folder.wrong(format!("{TOKENIZER}: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(folder.read(TOKENIZER)?).map_err(wrong)?;
        let marks = tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(is_of_pairs));
        if max_tokens <= marks {
            return Err(folder.wrong(format!(
                "a text may have {max_tokens} tokens, and {marks} are the model's own"
            )));
        }
        tokenizer.with_padding(None);
        let truncation = TruncationParams {
            max_length: max_tokens,
            ..TruncationParams::default()
        };
        tokenizer.with_truncation(Some(truncation)).map_err(wrong)?;
        Ok(Self {
            tokenizer,
            max_tokens,
            lowercase,
            marks,
        })
    }

    /// A tokenizer of another model has tokens that the model does not know.
    pub fn check_vocabulary(&self, folder: &Folder, size: usize) -> Result<()> {
        let vocabulary = self.tokenizer.get_vocab(true);
        match vocabulary.values().max().is_none_or(|token| (*token as usize) < size) {
            true => Ok(()),
            false => Err(folder.wrong(format!(
                "{TOKENIZER} has tokens that the model does not know: its vocabulary has {size}"
            ))),
        }
    }

    pub fn text_of(&self, tokens: &[u32]) -> Option<String> {
        if tokens.iter().any(|token| self.tokenizer.id_to_token(*token).is_none()) {
            return None;
        }
        self.tokenizer.decode(tokens, true).ok()
    }

    /// The most tokens that are read of so many bytes.
    pub fn most_tokens(&self, bytes: usize) -> u64 {
        let text = TOKENS_PER_BYTE.saturating_mul(bytes as u64);
        text.saturating_add(self.marks as u64).min(self.max_tokens as u64)
    }

    pub fn encode(&self, text: &str) -> Result<Encoding> {
        self.encode_beginning(&[text], |parts| {
            let [text] = parts else { return None };
            Some(self.tokenizer.encode(text.as_str(), true))
        })
    }

    pub fn encode_pair(&self, query: &str, passage: &str) -> Result<Encoding> {
        self.encode_beginning(&[query, passage], |parts| {
            let [query, passage] = parts else { return None };
            Some(self.tokenizer.encode((query.as_str(), passage.as_str()), true))
        })
    }

    /// Reads the beginnings of the texts, and more of them until they have all tokens that the model reads: a text may be of any length, and
    /// what is cut off should cost nothing.
    fn encode_beginning(
        &self,
        texts: &[&str],
        encode: impl Fn(&[String]) -> Option<tokenizers::Result<Encoding>>,
    ) -> Result<Encoding> {
        let mut bytes = self.max_tokens.saturating_mul(BYTES_PER_TOKEN);
        loop {
            let parts: Vec<_> = texts.iter().map(|text| beginning(text, bytes)).collect();
            let is_whole = parts.iter().zip(texts).all(|(part, text)| part.len() == text.len());
            let read: Vec<_> = parts
                .iter()
                .map(|part| match self.lowercase {
                    true => part.to_lowercase(),
                    false => (*part).to_owned(),
                })
                .collect();
            let encoding = encode(&read).ok_or_else(|| Error::internal("other texts than were given"))?;
            let encoding = encoding.map_err(|error| Error::internal(error.to_string()))?;
            if is_whole || encoding.len() >= self.max_tokens {
                return Ok(encoding);
            }
            bytes = bytes.saturating_mul(4);
        }
    }
}

/// So many bytes of the text, or fewer: where possible it ends between words, so that its tokens are those of the whole text.
fn beginning(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = text.floor_char_boundary(bytes);
    let part = text.get(..end).unwrap_or(text);
    part.rfind(char::is_whitespace)
        .and_then(|space| part.get(..space))
        .unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_between_words() {
        assert_eq!(beginning("one two three", 9), "one two");
        assert_eq!(beginning("one two three", 13), "one two three");
        assert_eq!(beginning("北海道の雪", 7), "北海");
        assert_eq!(beginning("", 0), "");
    }
}
