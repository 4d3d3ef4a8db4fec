//! Words that are written together: `user_id`, `e-mail`, `jane@example.com`, `1,234.56`. Each part is a word; the whole is a phrase for
//! a query, and gives further terms where people write it in one word too.

use crate::split::{Kind, Token, split};

/// Parts of one compound: a path of a thousand parts is several.
const PARTS: usize = 16;
const CONNECTORS: [char; 17] = [
    '_', '-', '.', ',', '@', '\'', '/', '\\', ':', '&', '+', '=', '#', '\u{2019}', '\u{2010}', '\u{2bc}', '’',
];
/// What stands between the groups of three digits of a number.
const GROUPING: [&str; 4] = [",", ".", "'", "\u{2019}"];
/// Letters of a word that is written with or without hyphens.
const HYPHENATED: usize = 24;

/// Tokens that stand together, one or more.
pub(crate) fn compounds(text: &str) -> impl Iterator<Item = Vec<Token<'_>>> {
    let mut tokens = split(text).peekable();
    std::iter::from_fn(move || {
        let mut compound = vec![tokens.next()?];
        while compound.len() < PARTS
            && let Some(next) = tokens.next_if(|next| compound.last().is_some_and(|last| is_connected(last, next)))
        {
            compound.push(next);
        }
        Some(compound)
    })
}

/// Numbers without the marks between their groups of digits: of 1,234.56 it is 1234. `terms` are those of the compound's parts.
pub(crate) fn numbers(compound: &[Token<'_>], terms: &[String]) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut number: Option<(String, &str)> = None;
    let mut parts = compound.iter().zip(terms).peekable();
    while let Some((_, term)) = parts.next() {
        let grouped = |term: &str| term.len() == 3 && term.bytes().all(|b| b.is_ascii_digit());
        let begins = (1..=3).contains(&term.len()) && term.bytes().all(|b| b.is_ascii_digit());
        if number.is_none() && !begins {
            continue;
        }
        let goes_on = parts.peek().is_some_and(|(next, next_term)| {
            grouped(next_term)
                && GROUPING.contains(&next.gap)
                && number.as_ref().is_none_or(|(_, mark)| *mark == next.gap)
        });
        match (number.take(), goes_on) {
            (Some((digits, mark)), true) => number = Some((digits + term, mark)),
            (None, true) => number = parts.peek().map(|(next, _)| (term.clone(), next.gap)),
            (Some((digits, _)), false) => numbers.push(digits + term),
            (None, false) => {}
        }
    }
    numbers
}

/// The word without its hyphens, for those that are written either way: e-mail, Wi-Fi.
pub(crate) fn without_hyphens(compound: &[Token<'_>]) -> Option<String> {
    let hyphens = compound.iter().skip(1).all(|part| matches!(part.gap, "-" | "\u{2010}"));
    let letters = compound.iter().all(|part| part.text.chars().all(char::is_alphabetic));
    let length: usize = compound.iter().map(|part| part.text.len()).sum();
    (hyphens && letters && (2..=3).contains(&compound.len()) && length <= HYPHENATED)
        .then(|| compound.iter().map(|part| part.text).collect())
}

fn is_connected(last: &Token<'_>, next: &Token<'_>) -> bool {
    last.kind == Kind::Word
        && next.kind == Kind::Word
        && next.gap.chars().nth(2).is_none()
        && next.gap.chars().all(|c| CONNECTORS.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Vec<String> {
        compounds(text)
            .map(|compound| compound.iter().map(|token| token.text).collect::<Vec<_>>().join("+"))
            .collect()
    }

    #[test]
    fn what_is_written_together_is_together() {
        for (text, expected) in [
            ("user_id is", &["user+id", "is"][..]),
            ("std::vec a...b", &["std+vec", "a", "b"]),
            ("jane.doe@example.com, x", &["jane+doe+example+com", "x"]),
            ("2024-05-06", &["2024+05+06"]),
            ("a - b", &["a", "b"]),
            ("東京-大阪", &["東京", "大阪"]),
            ("", &[]),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
        assert_eq!(whole(&"a/".repeat(PARTS + 1)).len(), 2);
    }

    #[test]
    fn numbers_have_no_marks_between_groups() {
        for (text, expected) in [
            ("1,234,567.89", &["1234567"][..]),
            ("1.234", &["1234"]),
            ("3.14", &[]),
            ("12,34", &[]),
            ("1234,567", &[]),
            ("1,234.567", &["1234"]),
            ("EUR-1,234/2,500", &["1234", "2500"]),
            ("2024-05-06", &[]),
            ("1'000'000", &["1000000"]),
        ] {
            let compound = compounds(text).next().unwrap();
            let terms: Vec<String> = compound.iter().map(|token| token.text.to_owned()).collect();
            assert_eq!(numbers(&compound, &terms), expected, "{text}");
        }
    }

    #[test]
    fn some_words_are_written_with_or_without_hyphens() {
        for (text, expected) in [
            ("e-mail", Some("email")),
            ("Wi-Fi", Some("WiFi")),
            ("state-of-the-art", None),
            ("user_id", None),
            ("covid-19", None),
            ("mail", None),
        ] {
            let compound = compounds(text).next().unwrap();
            assert_eq!(without_hyphens(&compound).as_deref(), expected, "{text}");
        }
    }
}
