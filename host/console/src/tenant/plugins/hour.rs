//! The calls of a plugin's stages by the minute, over the last hour: what a new version has changed. Not here: each version's own (`stats`).

use crate::{
    parts::format,
    plot::{self, Series},
};
use maud::{Markup, html};
use riad_core::{Timestamp, plugin::Stage};
use riad_services::{
    call_minutes::{MINUTES, MinuteStats},
    plugins::VersionStats,
};
use std::time::Duration;

const COVERED: Duration = Duration::from_secs(60 * MINUTES as u64);

/// Of all versions together, so that what a stage's callers wait for is one line in time.
pub(super) fn section(stats: &[VersionStats], now: Timestamp) -> Markup {
    let called = Stage::ALL.into_iter().filter_map(|stage| {
        let hour = of_stage(stats, stage, now);
        let sum = sum(&hour);
        (sum.calls > 0).then_some((stage, hour, sum))
    });
    let called: Vec<_> = called.collect();
    html! {
        section aria-labelledby="hour-title" {
            h3 #hour-title { "The last hour, by the minute" }
            @if called.is_empty() { p.muted { "No call ended within the last hour." } } @else {
                ul.legend aria-label="Colors of the plots" {
                    li { span.swatch.(Series::FIRST.class()) {} "mean time, calls" }
                    li { span.swatch.(Series::nth(1).class()) {} "longest time" }
                    li { span.swatch.(Series::BAD.class()) {} "errors: failed, or over a limit" }
                }
            }
            @for (stage, hour, sum) in &called {
                h4 { (stage) }
                div.plots { (latency(*stage, hour, sum)) (errors(*stage, hour, sum)) }
            }
        }
    }
}

fn of_stage(stats: &[VersionStats], stage: Stage, now: Timestamp) -> Vec<MinuteStats> {
    let mut hour = vec![MinuteStats::default(); MINUTES];
    let calls = stats.iter().flat_map(|version| &version.stages);
    for (_, calls) in calls.filter(|(of, _)| *of == stage) {
        for (minute, other) in hour.iter_mut().zip(calls.minutes.last_hour(now)) {
            minute.merge(&other);
        }
    }
    hour
}

fn sum(hour: &[MinuteStats]) -> MinuteStats {
    hour.iter().fold(MinuteStats::default(), |mut sum, minute| {
        sum.merge(minute);
        sum
    })
}

fn latency(stage: Stage, hour: &[MinuteStats], sum: &MinuteStats) -> Markup {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let longest = |minute: &MinuteStats| (minute.calls > 0).then(|| micros(minute.longest));
    let series = [
        (Series::nth(1), hour.iter().map(longest).collect()),
        (
            Series::FIRST,
            hour.iter().map(|minute| minute.mean().map(micros)).collect(),
        ),
    ];
    let top = format::duration(sum.longest);
    let shown = format!(
        "mean {}, longest {top}",
        format::duration(sum.mean().unwrap_or_default())
    );
    html! {
        div {
            p { "Time of a call: " strong { (shown) } }
            (plot::needles(&format!("Time of calls of {stage}, by the minute: {shown}"), &series, &top, COVERED))
        }
    }
}

fn errors(stage: Stage, hour: &[MinuteStats], sum: &MinuteStats) -> Markup {
    let counted = |number: u64| (number > 0).then_some(number);
    let series = [
        (Series::FIRST, hour.iter().map(|minute| counted(minute.calls)).collect()),
        (Series::BAD, hour.iter().map(|minute| counted(minute.errors)).collect()),
    ];
    let most = hour.iter().map(|minute| minute.calls).max().unwrap_or(0);
    let (errors, calls) = (format::count(sum.errors), format::count(sum.calls));
    let shown = format!("{errors} of {calls} calls ({})", format::share(sum.errors, sum.calls));
    html! {
        div {
            p { "Errors: " strong { (shown) } }
            (plot::needles(&format!("Errors among the calls of {stage}, by the minute: {shown}"), &series, &format::count(most), COVERED))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Digest;
    use riad_services::plugin_stats::CallStats;

    #[test]
    fn numbers_stand_beside_their_plots() {
        let minute = MinuteStats {
            calls: 4,
            errors: 1,
            time: Duration::from_millis(80),
            longest: Duration::from_millis(50),
        };
        let hour = [MinuteStats::default(), minute];
        let sum = sum(&hour);
        let html = latency(Stage::Retrieval, &hour, &sum).into_string();
        assert!(html.contains("mean 20 ms, longest 50 ms"), "{html}");
        // Nothing is drawn of a minute without calls.
        assert_eq!(html.matches('V').count(), 2, "{html}");
        let html = errors(Stage::Retrieval, &hour, &sum).into_string();
        assert!(html.contains("1 of 4 calls (25 %)"), "{html}");
    }

    #[test]
    fn an_hour_without_calls_says_so() {
        let stats = VersionStats {
            version: Digest::of(b"x"),
            stages: vec![(Stage::Retrieval, CallStats::default())],
        };
        let html = section(&[stats], Timestamp::from_seconds(7200)).into_string();
        assert!(html.contains("No call ended") && !html.contains("<svg"), "{html}");
    }
}
