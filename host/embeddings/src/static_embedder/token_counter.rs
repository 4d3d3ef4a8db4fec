//! How many tokens a text has. Counting by the tokenizer takes several times as long as the embedding, which needs no places in the text.
//! Not here: the embedding (`static_embedder`).

use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// Words whose counts are kept: a few megabytes, and nearly all that most texts have.
const WORDS: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 15) - 1);
/// Bytes of a word that is kept. Scripts without spaces have longer ones, which hardly come again.
const WORD_BYTES: usize = 32;

pub(super) struct TokenCounter {
    tokenizer: Tokenizer,
    /// `None` if a text may have other tokens than its words have one by one.
    words: Option<Mutex<LruCache<Box<str>, usize>>>,
}

impl TokenCounter {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        let words = splits_at_spaces(&tokenizer).then(|| Mutex::new(LruCache::new(WORDS)));
        Self { tokenizer, words }
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(super) fn count(&self, text: &str) -> usize {
        let Some(words) = &self.words else {
            return self.encode(text);
        };
        let pieces = text.split(is_space).filter(|word| !word.is_empty());
        let counts = pieces.map(|word| {
            if word.len() > WORD_BYTES {
                return self.encode(word);
            }
            if let Some(count) = words.lock().get(word) {
                return *count;
            }
            let count = self.encode(word);
            words.lock().put(word.into(), count);
            count
        });
        counts.sum()
    }

    fn encode(&self, text: &str) -> usize {
        self.tokenizer
            .encode_fast(text, false)
            .map_or(0, |encoded| encoded.len())
    }
}

/// BERT's rules take all other control characters out of the word that they stand in.
fn is_space(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        character => character.is_whitespace() && !character.is_control(),
    }
}

/// BERT's rules look at single characters, and split at white space before anything else.
fn splits_at_spaces(tokenizer: &Tokenizer) -> bool {
    let is_bert = matches!(tokenizer.get_normalizer(), Some(NormalizerWrapper::BertNormalizer(_)))
        && matches!(
            tokenizer.get_pre_tokenizer(),
            Some(PreTokenizerWrapper::BertPreTokenizer(_))
        );
    let added = tokenizer.get_added_tokens_decoder();
    is_bert && !added.values().any(|token| token.content.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn counter() -> TokenCounter {
        let path = Path::new(env!("RIAD_SOURCE")).join("host/models/embed/tokenizer.json");
        TokenCounter::new(Tokenizer::from_file(path).unwrap())
    }

    #[test]
    fn words_have_the_tokens_of_their_text() {
        let counter = counter();
        assert!(counter.words.is_some());
        let architecture = include_str!("../../../ARCHITECTURE.md");
        let others = [
            "",
            " \t\u{a0}\u{2028}\u{3000} ",
            "un\u{301}believable e\u{301}tudes, \u{301} na\u{ef}ve STRASSE Straße ΣΊΣΥΦΟΣ",
            "a\u{0}b \u{b}c\u{c}d \u{200b}d\u{feff}e\u{85}f\u{1c}g \u{ad}soft\u{ad}hyphen \u{fffd}x",
            "我们的图书馆在星期天开放 学生可以免费借书 ありがとう 한국어 ห้องสมุดของเราเปิดวันอาทิตย์",
            "[UNK] a[PAD]b [ UNK ] don't x=1;y+=2 https://example.com/a_b?c=%20 👩‍👩‍👧 ﷺ",
        ];
        let long = "q".repeat(150);
        for text in architecture.lines().chain(others).chain([long.as_str(), architecture]) {
            // The second time they are known.
            for _ in 0..2 {
                assert_eq!(counter.count(text), counter.encode(text), "{text}");
            }
        }
    }

    #[test]
    fn other_tokenizers_count_whole_texts() {
        let mut tokenizer = counter().tokenizer;
        tokenizer.with_pre_tokenizer(None::<PreTokenizerWrapper>);
        assert!(TokenCounter::new(tokenizer).words.is_none());
    }
}
