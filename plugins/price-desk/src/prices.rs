//! Which prices a question asks for, and the passage that tells them. Not here: the table they come from (`table`).

use riad_pipeline::words;
use riad_sdk::Passage;

/// The passage's document. It names this plugin: there is no such document.
pub const DOCUMENT: &str = "price-desk";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub item: String,
    /// As the tenant wrote it, with its currency: `89 euros`.
    pub price: String,
}

const PRICE_WORDS: &[&str] = &[
    "price",
    "prices",
    "priced",
    "cost",
    "costs",
    "much",
    "pay",
    "charge",
    "fee",
    "cheap",
    "expensive",
    "sell",
    "buy",
    "euro",
    "euros",
    "dollar",
    "dollars",
    "€",
    "$",
];

pub fn is_about_a_price(question: &str) -> bool {
    words(question).iter().any(|word| PRICE_WORDS.contains(&word.as_str()))
}

/// The prices of the items whose whole name the question has, in singular or plural. The longest name first; an item whose
/// name is part of a longer one that was found is not meant.
pub fn asked_for(question: &str, mut prices: Vec<Price>) -> Vec<Price> {
    let question = words(question);
    prices.sort_by_key(|price| (std::cmp::Reverse(words(&price.item).len()), price.item.clone()));
    let mut taken = vec![false; question.len()];
    let mut found = Vec::new();
    for price in prices {
        let item = words(&price.item);
        if item.is_empty() {
            continue;
        }
        let mut free = false;
        for (start, window) in question.windows(item.len()).enumerate() {
            if window.iter().zip(&item).all(|(asked, name)| same_word(asked, name)) {
                for word in taken.iter_mut().skip(start).take(item.len()) {
                    free |= !*word;
                    *word = true;
                }
            }
        }
        if free {
            found.push(price);
        }
    }
    found
}

fn same_word(asked: &str, name: &str) -> bool {
    asked
        .strip_prefix(name)
        .or_else(|| name.strip_prefix(asked))
        .is_some_and(|rest| matches!(rest, "" | "s" | "es"))
}

/// One passage with a sentence per price, at most `sentences`.
pub fn passage(prices: &[Price], sentences: usize) -> Option<Passage> {
    let text: Vec<String> = prices.iter().take(sentences.max(1)).map(sentence).collect();
    (!text.is_empty()).then(|| Passage {
        document: DOCUMENT.to_string(),
        chunk: 0,
        title: "Price table".to_string(),
        text: text.join(" "),
        score: 1.0,
        metadata: r#"{"source":"price-desk"}"#.to_string(),
    })
}

fn sentence(price: &Price) -> String {
    let item = price.item.trim();
    let item = item
        .strip_prefix("the ")
        .or_else(|| item.strip_prefix("The "))
        .unwrap_or(item);
    format!(
        "The price of the {item} is {}.",
        price.price.trim().trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Price> {
        [
            ("drill", "50 euros"),
            ("Kestrel drill", "89 euros"),
            ("saw", "120 euros."),
            ("!", "1 euro"),
        ]
        .map(|(item, price)| Price {
            item: item.to_string(),
            price: price.to_string(),
        })
        .to_vec()
    }

    fn asked(question: &str) -> Vec<String> {
        asked_for(question, table())
            .into_iter()
            .map(|price| price.item)
            .collect()
    }

    #[test]
    fn an_item_is_found_by_its_whole_name() {
        assert_eq!(asked("What is the price of the Kestrel drill?"), ["Kestrel drill"]);
        assert_eq!(asked("How much are kestrel DRILLS and saws?"), ["Kestrel drill", "saw"]);
        assert_eq!(asked("What does a drill cost?"), ["drill"]);
        assert_eq!(asked("drill or Kestrel drill"), ["Kestrel drill", "drill"]);
        assert!(asked("I saw? No: I was sawing with a Kestrel").contains(&"saw".to_string()));
        assert!(asked("Who made the chainsaw?!").is_empty());
    }

    #[test]
    fn the_passage_is_made_of_sentences_that_can_be_quoted() {
        let found = asked_for("How much are the saw and the Kestrel drill?", table());
        let all = passage(&found, 3).unwrap();
        assert_eq!(
            all.text,
            "The price of the Kestrel drill is 89 euros. The price of the saw is 120 euros."
        );
        assert_eq!(all.document, DOCUMENT);
        assert_eq!(
            passage(&found, 1).unwrap().text,
            "The price of the Kestrel drill is 89 euros."
        );
        assert_eq!(passage(&[], 3), None);
    }

    #[test]
    fn questions_about_prices_are_known_by_their_words() {
        assert!(is_about_a_price("How much is the saw?"));
        assert!(!is_about_a_price("How long is the warranty of the saw?"));
    }
}
