//! The playground's page. A script adds the stream (`assets/playground.js`): it fills the same elements with the same classes.

use super::{
    answer::{Answer, Fact, ShownPassage},
    request::{PlaygroundForm, Turn},
};
use maud::{Markup, html};
use riad_core::Error;
use riad_services::models::ModelEntry;

pub(crate) struct Playground<'a> {
    /// That a chat can use: the base model and the tenant's adapters.
    pub models: &'a [ModelEntry],
    pub form: &'a PlaygroundForm,
    /// The conversation with the newest answer.
    pub turns: &'a [Turn],
    pub answer: Option<&'a Answer>,
    pub error: Option<&'a Error>,
    /// Whether the key may chat. One that only reads sees no form.
    pub may_chat: bool,
    pub has_documents: bool,
    /// The hidden field with the session's token.
    pub csrf: Markup,
}

/// What a list of tools looks like.
const TOOLS: &str = r#"[{"type": "function", "function": {"name": "look_up", "description": "…", "parameters": {"type": "object", "properties": {"order": {"type": "string"}}}}}]"#;

pub(crate) fn page(view: &Playground<'_>) -> Markup {
    html! {
        div.playground {
            section.conversation aria-labelledby="conversation-title" {
                h2 #conversation-title.visually-hidden { "Conversation" }
                ol #turns.turns aria-live="polite" aria-busy="false" {
                    @for (index, turn) in view.turns.iter().enumerate() {
                        @let newest = view.answer.filter(|_| index + 1 == view.turns.len());
                        (turn_item(turn, newest.map_or(&[], |answer| answer.calls.as_slice())))
                    }
                }
                @if view.turns.is_empty() { (empty(view)) }
                div #failure role="alert" {
                    @if let Some(error) = view.error { p.notice.error { (error.message_for_client()) } }
                }
                @if view.may_chat { (composer(view)) } @else {
                    p.notice { "This key only reads. Sign in with a key of the role user or admin to ask something." }
                }
            }
            aside #details.details aria-labelledby="details-title" {
                h2 #details-title { "About the answer" }
                @match view.answer {
                    Some(answer) => (details(answer)),
                    None => p.muted #no-details { "Passages, prompt, times, cost and the receipt of an answer appear here." },
                }
            }
        }
    }
}

fn empty(view: &Playground<'_>) -> Markup {
    html! {
        div #no-turns.empty {
            @if view.has_documents {
                h3 { "Ask your documents something" }
                p { "The answer cites the passages that it was made from, and comes with a signed receipt." }
            } @else {
                h3 { "This room has no documents yet" }
                p { "You can chat now. For answers with sources, " a href="/console/documents" { "add a document" } " first." }
            }
        }
    }
}

/// `calls` are those of the client's tools that the turn has besides its text.
fn turn_item(turn: &Turn, calls: &[Fact]) -> Markup {
    let who = match turn.role.as_str() {
        "user" => "You",
        _ => "Answer",
    };
    html! {
        li.turn data-role=(turn.role) {
            p.who { (who) }
            div.text { (turn.content) @for call in calls { code.call { (call.label) " " (call.value) } } }
        }
    }
}

fn composer(view: &Playground<'_>) -> Markup {
    let form = view.form;
    let selected = |id: &str| form.model == id;
    let history = serde_json::to_string(view.turns).unwrap_or_default();
    html! {
        form #playground.composer method="post" action="/console/playground" data-stream="/console/playground/stream" {
            (view.csrf)
            input type="hidden" name="history" value=(history);
            label for="question" { "Question" }
            textarea #question name="question" rows="3" required autofocus placeholder="What would you like to know?" {
                @if view.error.is_some() { (form.question) }
            }
            div.actions {
                button.primary type="submit" { "Ask" }
                button #stop type="button" hidden { "Stop" }
                a.button href="/console/playground" { "New conversation" }
                span.muted #hint { "Ctrl + Enter sends" }
            }
            details.options open[form.has_options()] {
                summary { "Model and options" }
                div.fields {
                    div.field {
                        label for="model" { "Model" }
                        select #model name="model" {
                            @for model in view.models {
                                option value=(model.id) selected[selected(&model.id)] {
                                    (model.id) @if model.adapter { " (adapter)" }
                                }
                            }
                        }
                    }
                    div.field {
                        label for="temperature" { "Temperature" }
                        input #temperature name="temperature" inputmode="decimal" type="number" min="0" max="2" step="0.05"
                            placeholder="the model's" value=(form.temperature);
                    }
                    div.field {
                        label for="max_tokens" { "Greatest answer, tokens" }
                        input #max_tokens name="max_tokens" inputmode="numeric" type="number" min="1" placeholder="the server's"
                            value=(form.max_tokens);
                    }
                    div.field {
                        label for="tool_choice" { "Tools" }
                        select #tool_choice name="tool_choice" {
                            @for (value, label) in [("auto", "as the model decides"), ("none", "none"), ("required", "at least one")] {
                                option value=(value) selected[form.tool_choice == value] { (label) }
                            }
                        }
                    }
                    div.field.wide {
                        label for="system" { "System message" }
                        textarea #system name="system" rows="2" { (form.system) }
                    }
                    div.field.wide {
                        label for="tools" { "Tools of your own, JSON as in " code { "tools" } " of a chat completion" }
                        textarea #tools.code name="tools" rows="3" spellcheck="false" placeholder=(TOOLS) { (form.tools) }
                    }
                }
            }
        }
    }
}

pub(crate) fn details(answer: &Answer) -> Markup {
    html! {
        div #facts {
            p.finish { "Answer: " strong { (answer.finish) } ", " (answer.total) }
            @if !answer.calls.is_empty() {
                h3 { "Calls of your tools" }
                (facts(&answer.calls))
            }
            section aria-labelledby="passages-title" {
                h3 #passages-title { "Passages" }
                @if answer.passages.is_empty() { p.muted { "The prompt has no passages." } }
                ol.passages { @for passage in &answer.passages { (passage_item(passage)) } }
            }
            section aria-labelledby="times-title" {
                h3 #times-title { "Time" }
                dl.bars {
                    @for bar in &answer.times {
                        div.bar-row {
                            dt { (bar.label) }
                            dd { progress max="1000" value=(bar.permille) aria-label=(bar.label) {} span.number { (bar.value) } }
                        }
                    }
                }
            }
            section aria-labelledby="used-title" {
                h3 #used-title { "What it used" }
                (facts(&answer.facts))
            }
            section aria-labelledby="receipt-title" {
                h3 #receipt-title { "Receipt " (answer.receipt.number) }
                @if answer.receipt.fault.is_empty() { p { span.badge.good { "signature verified" } } }
                @else { p.notice.error { (answer.receipt.fault) } }
                p { code { (answer.receipt.request) } " · " a href="/console/receipts" { "All receipts" } }
                details { summary { "Signed text (JWS)" } pre.wrap { (answer.receipt.jws) } }
            }
            section aria-labelledby="plugins-title" {
                h3 #plugins-title { "Plugins" }
                (facts(&answer.plugins))
                @if !answer.logs.is_empty() {
                    h4 { "Logged meanwhile" }
                    ul.log { @for line in &answer.logs { li data-level=(line.level) { (line.message) } } }
                }
            }
            @if let Some(prompt) = &answer.prompt {
                details {
                    summary { "The prompt as the model read it" }
                    @for message in prompt { h4 { (message.role) } pre.wrap { (message.content) } }
                }
            }
            @for snippet in &answer.snippets {
                details.snippet {
                    summary { "As " (snippet.name) }
                    pre.wrap { (snippet.code) }
                }
            }
        }
    }
}

fn facts(facts: &[Fact]) -> Markup {
    html! {
        dl.facts {
            @for fact in facts { div { dt { (fact.label) } dd { (fact.value) } } }
        }
    }
}

fn passage_item(passage: &ShownPassage) -> Markup {
    html! {
        li.passage {
            p.passage-title {
                span.number { "[" (passage.number) "] " }
                @match &passage.link {
                    Some(link) => a href=(link) { (passage.title) },
                    None => (passage.title),
                }
                " "
                @match passage.grounded {
                    Some(true) => span.badge.good { "grounded" },
                    Some(false) => span.badge.bad { "not grounded" },
                    None => span.badge { "not cited" },
                }
            }
            @if !passage.place.is_empty() { p.muted { (passage.place) } }
            p.passage-text {
                @for part in &passage.parts { @if part.quoted { mark { (part.text) } } @else { (part.text) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::playground::answer::{Part, ShownLine, ShownMessage, ShownReceipt};

    const SCRIPT: &str = "</textarea><script>hacked()</script>\"'><img src=x onerror=hacked()>";

    fn view<'a>(turns: &'a [Turn], form: &'a PlaygroundForm) -> Playground<'a> {
        Playground {
            models: &[],
            form,
            turns,
            answer: None,
            error: None,
            may_chat: true,
            has_documents: true,
            csrf: html! {},
        }
    }

    fn turn(role: &str) -> Turn {
        Turn {
            role: role.to_owned(),
            content: SCRIPT.to_owned(),
        }
    }

    /// How often it is shown, as text only.
    fn shown(html: &str) -> usize {
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        html.matches("&lt;script&gt;hacked()").count()
    }

    #[test]
    fn what_a_model_says_is_text() {
        let (turns, form) = (["user", "assistant", "tool"].map(turn), PlaygroundForm::default());
        let error = Error::invalid(SCRIPT);
        let view = Playground {
            error: Some(&error),
            ..view(&turns, &form)
        };
        // Three turns, the error, and the turns again for the next question.
        assert_eq!(shown(&page(&view).into_string()), 7);
    }

    fn hostile() -> Answer {
        let text = || SCRIPT.to_owned();
        let fact = || Fact {
            label: text(),
            value: text(),
        };
        let part = |quoted| Part { text: text(), quoted };
        Answer {
            calls: vec![fact()],
            finish: "complete",
            passages: vec![ShownPassage {
                number: 1,
                title: text(),
                place: text(),
                link: None,
                parts: vec![part(false), part(true)],
                grounded: Some(true),
            }],
            facts: vec![fact()],
            prompt: Some(vec![ShownMessage {
                role: "user",
                content: text(),
            }]),
            plugins: vec![fact()],
            logs: vec![ShownLine {
                level: "info",
                message: text(),
            }],
            receipt: ShownReceipt {
                fault: text(),
                request: text(),
                jws: text(),
                ..ShownReceipt::default()
            },
            ..Answer::default()
        }
    }

    #[test]
    fn what_stands_beside_an_answer_is_text() {
        let (turns, form, answer) = ([turn("assistant")], PlaygroundForm::default(), hostile());
        let view = Playground {
            answer: Some(&answer),
            ..view(&turns, &form)
        };
        // The turn, twice; its call, twice of two texts; four of the passage, four of facts, prompt, log line, three of the receipt.
        assert_eq!(shown(&page(&view).into_string()), 2 + 4 + 4 + 4 + 1 + 1 + 3);
    }
}
