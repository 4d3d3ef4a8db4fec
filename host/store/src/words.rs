//! Any text to a valid FTS5 query: its distinct terms, each quoted, joined by OR. Not here: running it (`search`).

use std::collections::HashSet;

/// Distinct terms that are searched. A question has a few dozen; a pasted page must not become a query that takes seconds.
const TERMS_MAX: usize = 256;

/// `None` if the text has no term.
pub(crate) fn match_expression(text: &str) -> Option<String> {
    let mut seen = HashSet::new();
    let mut expression = String::new();
    for term in text
        .split(|c: char| !is_part_of_word(c))
        .filter(|term| !term.is_empty())
    {
        if seen.len() == TERMS_MAX {
            break;
        }
        if seen.insert(term.to_lowercase()) {
            if !expression.is_empty() {
                expression.push_str(" OR ");
            }
            // Quoted, so that AND, OR, NOT and NEAR are words; a term has no quotation mark in it.
            expression.push('"');
            expression.push_str(term);
            expression.push('"');
        }
    }
    (!expression.is_empty()).then_some(expression)
}

fn is_part_of_word(c: char) -> bool {
    // Combining marks stay with their letter, as in FTS5's unicode61.
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_punctuation_become_plain_terms() {
        assert_eq!(
            match_expression("NEAR(a \"b\", 2) title:x* -y ^z").as_deref(),
            Some(r#""NEAR" OR "a" OR "b" OR "2" OR "title" OR "x" OR "y" OR "z""#)
        );
        assert_eq!(match_expression("the The THE").as_deref(), Some(r#""the""#));
        for empty in ["", "  ", "\"\"", "***", "🏠", "\0"] {
            assert_eq!(match_expression(empty), None, "{empty:?}");
        }
    }

    #[test]
    fn the_number_of_terms_is_bounded() {
        let text: String = (0..10_000).map(|n| format!("w{n} ")).collect();
        assert_eq!(match_expression(&text).unwrap().matches(" OR ").count(), TERMS_MAX - 1);
    }
}
