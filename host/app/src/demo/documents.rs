//! The documents of the demo's two tenants; their texts are in `demo/` beside `src/`.

/// A Markdown text; its first heading is its title.
pub type Text = &'static str;

macro_rules! texts {
    ($tenant:literal: $($file:literal),+ $(,)?) => {
        &[$(include_str!(concat!("../../demo/", $tenant, "/", $file, ".md"))),+]
    };
}

/// A maker of power tools.
pub const ACME: &[Text] = texts!(
    "acme": "company", "kestrel-drill", "merlin-saw", "harrier-sander", "warranty", "returns", "shipping", "support",
    "batteries", "trade-accounts", "spare-parts",
);

/// A logistics company.
pub const GLOBEX: &[Text] = texts!(
    "globex": "company", "meridian-contract", "freight", "cold-chain", "customs", "refunds", "claims", "service-desk",
    "warehouse-rules", "portal",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::document::heading;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_twenty_long_pages_with_different_titles() {
        let all: Vec<&str> = ACME.iter().chain(GLOBEX).copied().collect();
        assert!(all.len() >= 20);
        let titles: BTreeSet<_> = all.iter().map(|text| heading(text).unwrap()).collect();
        assert_eq!(titles.len(), all.len());
        for text in all {
            assert!(
                text.split_whitespace().count() >= 300,
                "{:?} is not a page",
                heading(text)
            );
        }
    }
}
