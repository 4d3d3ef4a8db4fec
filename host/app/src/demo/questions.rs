//! The questions of the demo, and what each answer must and must not have.

/// What an answer is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The tenant's own fact.
    Fact(&'static str),
    /// The tenant's documents do not say it.
    Unknown,
    /// The tenant's own fact, a part of which the plugin must hide.
    Hidden { hidden: &'static str },
}

pub struct Question {
    pub text: &'static str,
    pub acme: Expected,
    pub globex: Expected,
}

pub const QUESTIONS: &[Question] = &[
    Question {
        text: "What is the refund window?",
        acme: Expected::Fact("41 days"),
        globex: Expected::Fact("14 days"),
    },
    Question {
        text: "How long is the warranty of the Kestrel drill?",
        acme: Expected::Fact("37 months"),
        globex: Expected::Unknown,
    },
    Question {
        text: "What is the notice period of the Meridian contract?",
        acme: Expected::Unknown,
        globex: Expected::Fact("90 days"),
    },
    Question {
        text: "What is the price of the Kestrel drill?",
        acme: Expected::Fact("189 euros"),
        globex: Expected::Unknown,
    },
    Question {
        text: "What is the e-mail address of the support team?",
        acme: Expected::Hidden {
            hidden: "help@acme-tools.example",
        },
        globex: Expected::Fact("service@globex.example"),
    },
];

/// Words that only this tenant's documents have. None may appear in an answer or a passage of the other tenant.
pub const ONLY_ACME: &[&str] = &[
    "41 days",
    "37 months",
    "189 euros",
    "acme-tools.example",
    "Merlin",
    "Leipzig",
];
pub const ONLY_GLOBEX: &[&str] = &[
    "90 days",
    "14 days",
    "globex.example",
    "Duisburg",
    "Rotterdam",
    "consignment",
];

/// The settings of Acme's plugin; no document has these prices.
pub const PRICES: &[(&str, &str)] = &[
    ("Kestrel drill", "189 euros"),
    ("Merlin saw", "164 euros"),
    ("Harrier sander", "97 euros"),
];

#[cfg(test)]
mod tests {
    use super::{super::documents, *};

    #[test]
    fn no_document_has_the_other_tenants_marks() {
        let both = [
            (ONLY_ACME, documents::ACME, documents::GLOBEX),
            (ONLY_GLOBEX, documents::GLOBEX, documents::ACME),
        ];
        for (marks, own, other) in both {
            for mark in marks {
                let own = own.iter().any(|text| text.contains(mark)) || PRICES.iter().any(|(_, price)| price == mark);
                assert!(own, "{mark} is no mark at all");
                assert!(!other.iter().any(|text| text.contains(mark)), "{mark}");
            }
        }
    }

    #[test]
    fn prices_come_from_the_plugin_alone() {
        for (_, price) in PRICES {
            assert!(!documents::ACME.iter().any(|text| text.contains(price)), "{price}");
        }
    }

    #[test]
    fn every_expected_fact_is_in_the_tenants_documents() {
        for question in QUESTIONS {
            for (expected, texts) in [(question.acme, documents::ACME), (question.globex, documents::GLOBEX)] {
                let (Expected::Fact(fact) | Expected::Hidden { hidden: fact }) = expected else {
                    continue;
                };
                let priced = PRICES.iter().any(|(_, price)| *price == fact);
                assert!(priced || texts.iter().any(|text| text.contains(fact)), "{fact}");
            }
        }
    }
}
