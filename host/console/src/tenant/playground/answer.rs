//! An answer with all that is known of it, ready to be shown: the page of a browser without scripts and the script show the same. Not here: how
//! it is shown (`view`), and how it came about (`services`).

use super::{
    marks,
    snippets::{Snippet, snippets},
};
use crate::{parts::format, tenant::receipts};
use riad_core::{
    Digest, PluginVersion,
    chat::{FinishReason, Message},
    document::Passage,
    plugin::{Citation, Stage},
    receipt::{Receipt, SignedReceipt},
};
use riad_services::{
    chat::{AnswerUsage, ChatTimes},
    logs::LogLine,
};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    pub text: String,
    pub reasoning: String,
    /// Calls of the client's tools, as name and arguments.
    pub calls: Vec<Fact>,
    pub finish: &'static str,
    pub passages: Vec<ShownPassage>,
    pub facts: Vec<Fact>,
    pub times: Vec<TimeBar>,
    pub total: String,
    /// `None` for a key that may not read prompts.
    pub prompt: Option<Vec<ShownMessage>>,
    pub plugins: Vec<Fact>,
    pub logs: Vec<ShownLine>,
    pub receipt: ShownReceipt,
    pub snippets: Vec<Snippet>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fact {
    pub label: String,
    pub value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ShownPassage {
    /// As the answer cites it, from 1.
    pub number: u32,
    pub title: String,
    /// Where it stands: headings and page.
    pub place: String,
    /// `None` if no page shows its document, which is in a vector store.
    pub link: Option<String>,
    /// The text in order, in parts that the answer quotes and parts that it does not.
    pub parts: Vec<Part>,
    /// `None` if the answer does not cite it.
    pub grounded: Option<bool>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    pub text: String,
    pub quoted: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TimeBar {
    pub label: &'static str,
    pub value: String,
    /// Of the whole time, in thousandths.
    pub permille: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ShownMessage {
    pub role: &'static str,
    pub content: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ShownLine {
    pub level: &'static str,
    pub message: String,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct ShownReceipt {
    pub number: u64,
    pub request: String,
    /// Empty if the signature is good; else what is wrong.
    pub fault: String,
    pub jws: String,
}

/// What an answer is shown from.
pub(crate) struct Ended<'a> {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Fact>,
    pub finish: Option<FinishReason>,
    pub citations: &'a [Citation],
    pub passages: &'a [Passage],
    pub receipt: &'a SignedReceipt,
    pub usage: AnswerUsage,
    pub times: ChatTimes,
    pub prompt: Option<&'a [Message]>,
    /// The room's, to name the components by; `None` for a key that may not list them.
    pub versions: Option<&'a [PluginVersion]>,
    pub logs: Vec<LogLine>,
    pub currency: &'a str,
    pub keys: &'a Value,
    pub body: &'a Value,
    pub base: &'a str,
}

impl Answer {
    pub fn of(ended: Ended<'_>) -> Self {
        let receipt = &ended.receipt.receipt;
        Self {
            finish: match ended.finish {
                Some(FinishReason::Length) => "max_tokens reached",
                Some(FinishReason::ToolCalls) => "wants its tools called",
                Some(FinishReason::Stop) | None => "complete",
            },
            passages: passages(&ended),
            facts: facts(receipt, &ended.usage, ended.times, ended.currency),
            times: bars(ended.times),
            total: format::duration(ended.times.total),
            prompt: ended.prompt.map(messages),
            plugins: plugins(receipt, ended.versions),
            logs: ended.logs.into_iter().map(ShownLine::from).collect(),
            receipt: ShownReceipt {
                number: receipt.number,
                request: receipt.request.clone(),
                fault: receipts::verified(&ended.receipt.jws, ended.keys)
                    .err()
                    .map(|error| error.message().to_owned())
                    .unwrap_or_default(),
                jws: ended.receipt.jws.clone(),
            },
            snippets: snippets(ended.base, ended.body).into(),
            text: ended.text,
            reasoning: ended.reasoning,
            calls: ended.calls,
        }
    }
}

impl From<LogLine> for ShownLine {
    fn from(line: LogLine) -> Self {
        Self {
            level: crate::tenant::plugins::logs::level(line.level),
            message: line.message,
        }
    }
}

fn passages(ended: &Ended<'_>) -> Vec<ShownPassage> {
    let shown = |(number, passage): (u32, &Passage)| {
        let cited = |citation: &&Citation| citation.passage == number;
        let mut grounded = ended.citations.iter().filter(cited).map(|citation| citation.grounded);
        let position = &passage.position;
        let page = position.page.map(|page| format!("page {page}"));
        let place: Vec<String> = position.heading.iter().cloned().chain(page).collect();
        ShownPassage {
            number,
            title: passage.title.clone(),
            place: place.join(" › "),
            link: passage.file.is_none().then(|| {
                let chunk = passage.chunk;
                format!("/console/documents/{}?chunk={chunk}#chunk-{chunk}", passage.document)
            }),
            parts: parts(&passage.text, &marks::quoted(&ended.text, number, &passage.text)),
            // One citation that is not grounded is what a reader must see.
            grounded: grounded.next().map(|first| first && grounded.all(|other| other)),
        }
    };
    (1..).zip(ended.passages).map(shown).collect()
}

/// A text cut at the ranges, which are in order and apart.
pub(crate) fn parts(text: &str, ranges: &[std::ops::Range<usize>]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut push = |part: Option<&str>, quoted| {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            parts.push(Part {
                text: part.to_owned(),
                quoted,
            });
        }
    };
    let mut at = 0;
    for range in ranges {
        push(text.get(at..range.start), false);
        push(text.get(range.clone()), true);
        at = range.end;
    }
    push(text.get(at..), false);
    parts
}

fn fact(label: &str, value: impl Into<String>) -> Fact {
    Fact {
        label: label.to_owned(),
        value: value.into(),
    }
}

fn facts(receipt: &Receipt, usage: &AnswerUsage, times: ChatTimes, currency: &str) -> Vec<Fact> {
    let used = &receipt.used;
    let mut facts = vec![
        fact("Model", &receipt.model),
        fact(
            "Prompt",
            format!(
                "{} tokens, {} of them cached",
                format::count(usage.prompt_tokens),
                format::count(usage.cached_tokens)
            ),
        ),
        fact(
            "Completion",
            format!("{} tokens", format::count(usage.completion_tokens)),
        ),
    ];
    if let Some(reasoning) = usage.reasoning_tokens {
        facts.push(fact("Of it reasoning", format!("{} tokens", format::count(reasoning))));
    }
    // What the request as a whole was billed for: plugins may have had the model write, too.
    if used.prompt_tokens != usage.prompt_tokens || used.completion_tokens != usage.completion_tokens {
        let billed = used.prompt_tokens.saturating_add(used.completion_tokens);
        facts.push(fact("Billed", format!("{} tokens", format::count(billed))));
    }
    if used.embedded_tokens > 0 {
        facts.push(fact(
            "Embedded",
            format!("{} tokens", format::count(used.embedded_tokens)),
        ));
    }
    let seconds = times.generation.as_secs_f64();
    if seconds > 0.0 && usage.completion_tokens > 1 {
        let rate = usage.completion_tokens.saturating_sub(1) as f64 / seconds;
        facts.push(fact("Speed", format!("{rate:.1} tokens/s")));
    }
    facts.push(fact("Fuel", format::count(used.fuel)));
    facts.push(fact("In plugins", format::duration(times.guests)));
    facts.push(fact("Cost", format::money(receipt.cost_nanos, currency)));
    facts.push(fact(
        "Index watermark",
        format::count(receipt.served_by.index_watermark),
    ));
    if let Some(generation) = &receipt.served_by.adapter_generation {
        facts.push(fact("Adapter generation", format::short_digest(generation)));
    }
    facts
}

/// Where the time went, in the order in which it went; each instant is in one bar.
fn bars(times: ChatTimes) -> Vec<TimeBar> {
    let ended = times.first_piece.unwrap_or(times.total);
    let known = times.retrieval + times.prompting + times.queued;
    let prefill = ended.saturating_sub(known);
    let rest = times.total.saturating_sub(ended).saturating_sub(times.generation);
    let whole = times.total.as_micros().max(1);
    let bar = |(label, time): (&'static str, Duration)| TimeBar {
        label,
        value: format::duration(time),
        permille: u64::try_from((time.as_micros() * 1000 / whole).min(1000)).unwrap_or(1000),
    };
    [
        ("Retrieval", times.retrieval),
        ("Prompting", times.prompting),
        ("Queue", times.queued),
        ("Reading the prompt", prefill),
        ("Generation", times.generation),
        ("Postprocessing and receipt", rest),
    ]
    .map(bar)
    .into()
}

fn messages(prompt: &[Message]) -> Vec<ShownMessage> {
    let shown = |message: &Message| ShownMessage {
        role: message.role.as_str(),
        content: message.content.clone(),
    };
    prompt.iter().map(shown).collect()
}

/// The component of each stage, by its name in the room. What the room does not have is the server's.
fn plugins(receipt: &Receipt, versions: Option<&[PluginVersion]>) -> Vec<Fact> {
    let named = |(stage, digest): (&Stage, &Digest)| {
        let short = format::short_digest(digest);
        let value = match versions {
            None => short,
            Some(versions) => match versions.iter().find(|version| version.version == *digest) {
                Some(version) => format!("{}@{short}", version.name),
                None => format!("standard ({short})"),
            },
        };
        fact(stage.as_str(), value)
    };
    receipt.served_by.plugins.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instant_is_in_one_bar() {
        let millis = Duration::from_millis;
        let times = ChatTimes {
            retrieval: millis(10),
            prompting: millis(5),
            queued: millis(15),
            first_piece: Some(millis(100)),
            generation: millis(300),
            guests: millis(7),
            total: millis(500),
        };
        let bars = bars(times);
        let permille: Vec<_> = bars.iter().map(|bar| bar.permille).collect();
        assert_eq!(permille, [20, 10, 30, 140, 600, 200]);
        let none = super::bars(ChatTimes::default());
        assert!(none.iter().all(|bar| bar.permille == 0));
    }

    #[test]
    fn a_text_is_cut_at_its_quotations() {
        let cut = |ranges: &[std::ops::Range<usize>]| {
            let parts = parts("abcdef", ranges);
            parts
                .into_iter()
                .map(|part| (part.text, part.quoted))
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(&[]), [("abcdef".to_owned(), false)]);
        assert_eq!(
            cut(&[0..2, 4..6]),
            [
                ("ab".to_owned(), true),
                ("cd".to_owned(), false),
                ("ef".to_owned(), true)
            ]
        );
    }
}
