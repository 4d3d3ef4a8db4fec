//! How many tokens a text has. Counting by the tokenizer takes several times as long as the embedding, which needs no places in the text.
//! Not here: the embedding (`static_embedder`).

use std::collections::HashMap;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

pub(super) struct TokenCounter {
    tokenizer: Tokenizer,
    /// Whether a text has the tokens that its words have one by one.
    by_word: bool,
}

impl TokenCounter {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        Self {
            by_word: splits_at_spaces(&tokenizer),
            tokenizer,
        }
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The sum over the texts. A word that comes again is counted once; nothing is kept for another call, whose time would tell which
    /// words somebody else has.
    pub(super) fn count(&self, texts: &[String]) -> usize {
        if !self.by_word {
            return texts.iter().map(|text| self.encode(text)).sum();
        }
        let mut counts = HashMap::new();
        let words = texts.iter().flat_map(|text| text.split(is_space));
        words
            .filter(|word| !word.is_empty())
            .map(|word| *counts.entry(word).or_insert_with(|| self.encode(word)))
            .sum()
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
        assert!(counter.by_word);
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
        let texts = architecture.lines().chain(others).chain([long.as_str(), architecture]);
        let texts: Vec<String> = texts.map(str::to_owned).collect();
        for text in &texts {
            let alone = std::slice::from_ref(text);
            assert_eq!(counter.count(alone), counter.encode(text), "{text}");
        }
        let sum = texts.iter().map(|text| counter.encode(text)).sum::<usize>();
        assert_eq!(counter.count(&texts), sum);
    }

    #[test]
    fn other_tokenizers_count_whole_texts() {
        let mut tokenizer = counter().tokenizer;
        tokenizer.with_pre_tokenizer(None::<PreTokenizerWrapper>);
        assert!(!TokenCounter::new(tokenizer).by_word);
    }
}
