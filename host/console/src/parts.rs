//! Parts that several pages have. Not here: the page around them (`layout`).

pub(crate) mod format;

use crate::sessions::ShownKey;
use maud::{Markup, html};
use riad_core::{Digest, Timestamp};
use riad_services::keys::NewKey;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A point in time, in seconds since 1970-01-01 UTC: absolute, and how far away it is.
pub(crate) fn when(seconds: u64) -> Markup {
    when_seen(seconds, Timestamp::now().as_seconds())
}

fn when_seen(seconds: u64, now: u64) -> Markup {
    let Some(time) = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
    else {
        return html! { "–" };
    };
    let machine = time.format(&Rfc3339).unwrap_or_default();
    let day = time
        .format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"))
        .unwrap_or_default();
    html! { time datetime=(machine) { (day) " " span.muted { "(" (distance(seconds, now)) ")" } } }
}

fn distance(seconds: u64, now: u64) -> String {
    let away = seconds.abs_diff(now);
    let amount = match away {
        0..MINUTE => return "now".to_owned(),
        MINUTE..HOUR => format!("{} min", away / MINUTE),
        HOUR..DAY => format!("{} h", away / HOUR),
        _ => format!("{} d", away / DAY),
    };
    match seconds > now {
        true => format!("in {amount}"),
        false => format!("{amount} ago"),
    }
}

/// The first digits of a digest; the whole one when it is pointed at or selected.
pub(crate) fn digest(digest: &Digest) -> Markup {
    html! { code.digest title=(digest.to_string()) { (format::short_digest(digest)) } }
}

/// A key that was just made, as the page after its form shows it.
pub(crate) fn shown_key(made: NewKey) -> ShownKey {
    ShownKey {
        title: format!("The key {}", made.key.name),
        secret: made.secret,
    }
}

pub(crate) fn new_key(made: &ShownKey) -> Markup {
    html! {
        section.notice.good role="status" aria-labelledby="new-title" {
            h2 #new-title { (made.title) }
            p { "Copy it now: it is shown once, and the server keeps its hash only." }
            p { code #new-key.secret data-copy { (made.secret.reveal()) } }
        }
    }
}

/// A form with nothing but a button. `fields` has the session's token and what the change needs.
pub(crate) fn button_form(action: &str, label: &str, fields: &Markup) -> Markup {
    html! {
        form.inline method="post" action=(action) { (fields) button type="submit" { (label) } }
    }
}

/// As [`button_form`], for a change that cannot be taken back: a second click on what says so.
pub(crate) fn confirmed_form(action: &str, label: &str, question: &str, fields: &Markup) -> Markup {
    html! {
        details.confirm {
            summary.button { (label) }
            form.inline method="post" action=(action) {
                (fields)
                p { (question) }
                button.danger type="submit" { (label) }
            }
        }
    }
}

/// Labels and their values, with units.
pub(crate) fn facts(facts: &[(&str, String)]) -> Markup {
    html! { dl.facts { @for (label, value) in facts { div { dt { (label) } dd { (value) } } } } }
}

/// What a page says that has nothing to show yet, and what to do about it.
pub(crate) fn empty(title: &str, next: &Markup) -> Markup {
    html! { div.empty { p.title { (title) } p { (next) } } }
}

/// Metadata and settings as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Markup {
    html! { pre.wrap { (serde_json::to_string_pretty(value).unwrap_or_default()) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_and_relative() {
        let shown = when_seen(1_700_000_000, 1_700_000_000 + 2 * HOUR).into_string();
        assert!(shown.contains("2023-11-14 22:13 UTC"), "{shown}");
        assert!(shown.contains("2 h ago"), "{shown}");
        assert_eq!(distance(100, 100 - 59), "now");
        assert_eq!(distance(1_000, 1_000 + DAY), "1 d ago");
        assert_eq!(distance(1_000 + 3 * MINUTE, 1_000), "in 3 min");
        assert_eq!(when_seen(u64::MAX, 0).into_string(), "–");
    }
}
