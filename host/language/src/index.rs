//! What an index stores of a text. Not here: what a query looks for (`query`).

use crate::{
    Language, characters, compound,
    forms::{forms, hangul_term, plain, run_term},
    normalize::normalize,
    segment::segment,
    split::{Kind, Token},
};

/// Terms separated by spaces. A term has no space, no quotation mark and no ASCII but small letters, digits, `+`, `#` and `|`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// One of each word in the order of the text. After the words that are written together come their other spellings: without
    /// accents, without hyphens, numbers without marks between their digits, `c++` after `c`.
    pub words: String,
    /// The characters of words that may hold other words, one by one, each run of them after a `|`.
    pub characters: String,
}

/// The terms of a document's text, or of a part of it, in the document's language.
pub fn index(text: &str, language: Language) -> Terms {
    let text = normalize(text);
    let mut terms = Terms {
        words: String::with_capacity(text.len()),
        characters: String::new(),
    };
    for compound in compound::compounds(&text) {
        match compound.as_slice() {
            [token] if token.kind != Kind::Word => index_token(&mut terms, token),
            words => index_words(&mut terms.words, words, language),
        }
    }
    terms
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

fn index_words(words: &mut String, compound: &[Token<'_>], language: Language) {
    let mut first = Vec::with_capacity(compound.len());
    let mut further = Vec::new();
    for token in compound {
        let forms = forms(token.text, language);
        if !token.symbols.is_empty() {
            further.push(plain(token.text) + token.symbols);
        }
        further.extend(forms.bare);
        first.push(forms.term);
    }
    further.extend(compound::numbers(compound, &first));
    if let Some(word) = compound::without_hyphens(compound) {
        further.push(forms(&word, language).term);
    }
    for term in first.iter().chain(&further) {
        push(words, term);
    }
}

fn push(words: &mut String, term: &str) {
    words.push_str(term);
    words.push(' ');
}
