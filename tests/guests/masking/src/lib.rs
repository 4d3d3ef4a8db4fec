//! Work of a plugin, as a function of nothing but a text, so that the benchmark of plugins runs the same code natively, in Riad's
//! sandbox and in another one.

/// The text with `#` in place of each digit and `***` in place of each word that has an `@` within.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let end = word.trim_end().len();
        let (word, space) = word.split_at_checked(end).unwrap_or((word, ""));
        if word.trim_matches('@').contains('@') {
            masked.push_str("***");
        } else {
            masked.extend(word.chars().map(|character| match character.is_ascii_digit() {
                true => '#',
                false => character,
            }));
        }
        masked.push_str(space);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_addresses_are_masked_and_spaces_stay() {
        let text = "Call 030 12, or  write\tto ada@example.org\nnow: @ 3 @x Ä9";
        assert_eq!(mask(text), "Call ### ##, or  write\tto ***\nnow: @ # @x Ä#");
        assert_eq!(mask(""), "");
    }
}
