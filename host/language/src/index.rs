//! What an index stores of a text. Not here: what a query looks for (`query`).

use crate::{
    Language, characters, compound,
    forms::{Forms, forms, hangul_term, plain, run_term},
    normalize::normalize,
    segment::segment,
    split::{Kind, Token},
};
use std::{borrow::Cow, collections::HashMap};

/// Terms separated by spaces. A term has no space, no quotation mark and no ASCII but small letters, digits, `+`, `#` and `|`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// One of each word in the order of the text. After the words that are written together come their other spellings: without
    /// accents, without hyphens, numbers without marks between their digits, `c++` after `c`.
    pub words: String,
    /// The characters of words that may hold other words, one by one, each run of them after a `|`.
    pub characters: String,
}

/// Words whose terms are remembered: most words of a text are few, and stemming is the slowest step.
const REMEMBERED: usize = 4_096;
/// Bytes of such a word.
const REMEMBERED_LENGTH: usize = 32;

/// Makes the terms of one document after another part of it.
#[derive(Debug)]
pub struct Indexer {
    language: Language,
    known: HashMap<Box<str>, Forms>,
}

impl Indexer {
    /// For a document in this language.
    pub fn new(language: Language) -> Self {
        Self {
            language,
            known: HashMap::new(),
        }
    }

    /// The terms of a part of the document. They do not depend on the parts before.
    pub fn index(&mut self, text: &str) -> Terms {
        let text = normalize(text);
        let mut terms = Terms {
            words: String::with_capacity(text.len()),
            characters: String::new(),
        };
        for compound in compound::compounds(&text) {
            match compound.as_slice() {
                [token] if token.kind != Kind::Word => index_token(&mut terms, token),
                words => self.index_words(&mut terms.words, words),
            }
        }
        terms
    }

    fn index_words(&mut self, words: &mut String, compound: &[Token<'_>]) {
        if let [word] = compound
            && word.symbols.is_empty()
        {
            let forms = self.forms(word.text);
            push(words, &forms.term);
            return forms.bare.iter().for_each(|bare| push(words, bare));
        }
        let mut first = Vec::with_capacity(compound.len());
        let mut further = Vec::new();
        for token in compound {
            let forms = self.forms(token.text).into_owned();
            if !token.symbols.is_empty() {
                further.push(plain(token.text) + token.symbols);
            }
            further.extend(forms.bare);
            first.push(forms.term);
        }
        further.extend(compound::numbers(compound, &first));
        if let Some(word) = compound::without_hyphens(compound) {
            further.push(forms(&word, self.language).term);
        }
        for term in first.iter().chain(&further) {
            push(words, term);
        }
    }

    fn forms(&mut self, word: &str) -> Cow<'_, Forms> {
        if word.len() > REMEMBERED_LENGTH {
            return Cow::Owned(forms(word, self.language));
        }
        if !self.known.contains_key(word) {
            if self.known.len() == REMEMBERED {
                self.known.clear();
            }
            self.known.insert(word.into(), forms(word, self.language));
        }
        match self.known.get(word) {
            Some(forms) => Cow::Borrowed(forms),
            None => Cow::Owned(forms(word, self.language)),
        }
    }
}

fn index_token(terms: &mut Terms, token: &Token<'_>) {
    match token.kind {
        Kind::Run(_) => segment(token.text, |word| push(&mut terms.words, run_term(word))),
        Kind::Hangul => push(&mut terms.words, hangul_term(token.text)),
        Kind::Word | Kind::Emoji => push(&mut terms.words, token.text),
    }
    if characters::has_characters(token.kind) {
        characters::push(&mut terms.characters, token.text);
    }
}

fn push(words: &mut String, term: &str) {
    words.push_str(term);
    words.push(' ');
}
