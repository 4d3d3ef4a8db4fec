//! Words of a text, for matching a question and for comparing a quotation. Not here: sentences (`sentences`).

use std::borrow::Cow;

/// Words that say nothing about what a question is about.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "an", "and", "any", "are", "as", "at", "be", "been", "before", "but", "by", "can",
    "could", "did", "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it",
    "its", "many", "me", "much", "my", "no", "not", "of", "on", "or", "our", "please", "shall", "should", "so", "tell",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "was", "we",
    "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Words that belong to the question after "how" ("how long is the warranty"), not to what it is about.
const MEASURES: &[&str] = &[
    "big", "far", "fast", "high", "large", "long", "often", "old", "soon", "well",
];

/// Lowercase words of a text in which only what carries meaning is left: letters, digits, currency signs, `%` and a minus
/// before a number. Case, spacing and punctuation are gone, so that two texts that read the same are the same.
#[must_use]
pub fn normalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut previous = ' ';
    while let Some(character) = characters.next() {
        // Most of most texts: nothing to look up in Unicode's tables.
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
            previous = character;
            continue;
        }
        let minus = matches!(character, '-' | '−')
            && !previous.is_alphanumeric()
            && characters.peek().is_some_and(char::is_ascii_digit);
        if character.is_alphanumeric() {
            out.extend(character.to_lowercase());
        } else if minus {
            space(&mut out);
            out.push('-');
        } else if matches!(character, '$' | '€' | '£' | '¥' | '₹' | '%' | '°' | '+') {
            space(&mut out);
            out.push(character);
            out.push(' ');
        } else {
            space(&mut out);
        }
        previous = character;
    }
    out.truncate(out.trim_end().len());
    out
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// The normalized words of a text.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    normalize(text)
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_string)
        .collect()
}

/// What a question is about: its words without stop words, reduced to a stem. All its words when only stop words are left.
pub(crate) fn topic(text: &str) -> Vec<String> {
    let all = words(text);
    let asks_how = |index: usize| {
        index
            .checked_sub(1)
            .and_then(|before| all.get(before))
            .is_some_and(|word| word == "how")
    };
    let mut topic: Vec<String> = all
        .iter()
        .enumerate()
        .filter(|(_, word)| !STOP_WORDS.contains(&word.as_str()))
        .filter(|(index, word)| !(asks_how(*index) && MEASURES.contains(&word.as_str())))
        .map(|(_, word)| stem(word).into_owned())
        .collect();
    if topic.is_empty() {
        topic = all.iter().map(|word| stem(word).into_owned()).collect();
    }
    topic.sort();
    topic.dedup();
    topic
}

/// A word without the ending that singular and plural, or present and past, differ in. Rough on purpose: it only decides
/// which sentence of a passage matches best.
pub(crate) fn stem(word: &str) -> Cow<'_, str> {
    for ending in ["ies", "ing", "es", "ed", "s"] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.chars().nth(2).is_some()
        {
            return match ending {
                "ies" => Cow::Owned(format!("{rest}y")),
                _ => Cow::Borrowed(rest.trim_end_matches('e')),
            };
        }
    }
    Cow::Borrowed(word.trim_end_matches('e'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_read_the_same_are_the_same() {
        assert_eq!(
            normalize("  The refund\nwindow is 41 days. "),
            "the refund window is 41 days"
        );
        assert_eq!(normalize("don’t"), normalize("DON'T"));
        assert_eq!(normalize("**Grüße**, Straße!"), "grüße straße");
    }

    #[test]
    fn what_changes_the_meaning_of_a_number_stays() {
        assert_ne!(normalize("5 €"), normalize("5 $"));
        assert_ne!(normalize("-5 degrees"), normalize("5 degrees"));
        assert_ne!(normalize("3.5 liters"), normalize("35 liters"));
        assert_eq!(normalize("well-known"), "well known");
    }

    #[test]
    fn a_topic_has_neither_stop_words_nor_plurals() {
        assert_eq!(
            topic("How long are the warranties of our drills?"),
            ["drill", "warranty"]
        );
        assert_eq!(topic("Is the long drill sold?"), ["drill", "long", "sold"]);
        assert_eq!(topic("Who are you?"), ["ar", "who", "you"]);
        assert_eq!(stem("includes"), stem("included"));
    }
}
