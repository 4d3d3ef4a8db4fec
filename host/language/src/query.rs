//! What a query looks for among the terms of documents. Not here: those terms (`index`).

use crate::{
    Language, characters, compound,
    forms::{forms, hangul_term, plain, run_term},
    normalize::normalize,
    segment::segment,
    split::{Kind, Token},
};
use std::collections::HashSet;

/// Phrases, of which any one is enough: one term, or several with spaces between them that must stand one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// For [`Terms::words`](crate::Terms::words).
    pub words: Vec<String>,
    /// For [`Terms::characters`](crate::Terms::characters).
    pub characters: Vec<String>,
}

impl Query {
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.characters.is_empty()
    }
}

/// The distinct phrases for a text, `most` of them: first those of its first words. `languages` are those of the documents that are
/// searched: a word is looked for in the form that each of them gives it.
pub fn query(text: &str, languages: &[Language], most: usize) -> Query {
    let text = normalize(text);
    let mut builder = Builder {
        query: Query::default(),
        seen: HashSet::new(),
        room: most,
    };
    let languages = if languages.is_empty() {
        &[Language::Undetermined]
    } else {
        languages
    };
    let mut seen: HashSet<Vec<&str>> = HashSet::new();
    for compound in compound::compounds(&text) {
        if builder.room == 0 {
            break;
        }
        if !seen.insert(compound.iter().flat_map(|token| [token.text, token.symbols]).collect()) {
            continue;
        }
        match compound.as_slice() {
            [token] if token.kind != Kind::Word => builder.add_token(token),
            words => builder.add_words(words, languages),
        }
    }
    builder.query
}

struct Builder {
    query: Query,
    /// What is there, and whether it is of words.
    seen: HashSet<(bool, String)>,
    /// Phrases that may still be added.
    room: usize,
}

impl Builder {
    fn add_token(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Run(_) => self.add_run(token),
            Kind::Hangul => {
                let term = hangul_term(token.text);
                self.add_word(term.to_owned());
                self.add_characters(characters::phrase(term, token.kind));
            }
            Kind::Word | Kind::Emoji => self.add_word(token.text.to_owned()),
        }
    }

    fn add_run(&mut self, token: &Token<'_>) {
        segment(token.text, |word| {
            if self.room > 0 {
                let term = run_term(word);
                self.add_word(term.to_owned());
                self.add_characters(characters::phrase(term, token.kind));
            }
        });
        // Where all of it stands is better than where its words do.
        self.add_characters(characters::run_phrase(token));
    }

    fn add_words(&mut self, compound: &[Token<'_>], languages: &[Language]) {
        let mut phrases = Vec::new();
        for language in languages {
            let mut terms = Vec::with_capacity(compound.len());
            for token in compound {
                let forms = forms(token.text, *language);
                if !token.symbols.is_empty() {
                    phrases.push(plain(token.text) + token.symbols);
                }
                self.add_word(forms.term.clone());
                phrases.extend(forms.bare);
                terms.push(forms.term);
            }
            phrases.extend(compound::numbers(compound, &terms));
            phrases.extend(compound::without_hyphens(compound).map(|word| forms(&word, *language).term));
            if terms.len() > 1 {
                phrases.push(terms.join(" "));
            }
        }
        for phrase in phrases {
            self.add_word(phrase);
        }
    }

    fn add_word(&mut self, phrase: String) {
        if self.is_new(true, &phrase) {
            self.query.words.push(phrase);
        }
    }

    fn add_characters(&mut self, phrase: Option<String>) {
        if let Some(phrase) = phrase
            && self.is_new(false, &phrase)
        {
            self.query.characters.push(phrase);
        }
    }

    fn is_new(&mut self, of_words: bool, phrase: &str) -> bool {
        let new = self.room > 0 && !phrase.is_empty() && self.seen.insert((of_words, phrase.to_owned()));
        self.room = self.room.saturating_sub(usize::from(new));
        new
    }
}
