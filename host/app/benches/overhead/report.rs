//! Times as tables of quantiles.

use crate::stopwatch::{Lap, Part};
use std::time::{Duration, Instant};

/// The value that the share `q` of the values is not above.
pub fn quantile(times: &[Duration], q: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = ((times.len() as f64 * q).ceil() as usize).clamp(1, times.len());
    times[at - 1]
}

pub fn median(times: &[Duration]) -> Duration {
    quantile(times, 0.5)
}

/// What was measured, each with a name; all have the same rounds.
pub struct Row<'a> {
    pub name: &'a str,
    pub times: &'a [Duration],
}

/// `floors` are what all others are compared with: the engine, and HTTP to it.
pub fn compare(rows: &[Row<'_>], [engine, http]: [&[Duration]; 2]) {
    println!("| µs | p50 | p95 | p99 | p50 over the engine | p50 over HTTP | × HTTP |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Row { name, times } in rows {
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            micros(median(times)),
            micros(quantile(times, 0.95)),
            micros(quantile(times, 0.99)),
            micros(median(times)) - micros(median(engine)),
            micros(median(times)) - micros(median(http)),
            micros(median(times)) / micros(median(http)),
        );
    }
}

/// The parts of the requests to one room.
#[derive(Default)]
pub struct Parts {
    pub name: String,
    requests: Vec<(Duration, Vec<Lap>)>,
}

impl Parts {
    pub fn new(name: String) -> Self {
        Self {
            name,
            requests: Vec::new(),
        }
    }

    pub fn add(&mut self, whole: Duration, laps: Vec<Lap>) {
        self.requests.push((whole, laps));
    }

    /// Over all requests, of what `of` makes of one.
    fn median(&self, of: impl Fn(Duration, &[Lap]) -> Duration) -> f64 {
        let times: Vec<_> = self.requests.iter().map(|(whole, laps)| of(*whole, laps)).collect();
        micros(median(&times))
    }

    fn calls(&self, part: Part) -> usize {
        let (_, laps) = self.requests.last().unwrap();
        laps.iter().filter(|lap| lap.part == part).count()
    }
}

/// Where the time goes, in each of the rooms.
pub fn explain(rooms: &[Parts]) {
    let names: Vec<_> = rooms.iter().map(|room| format!(" {} |", room.name)).collect();
    println!("| p50, µs | calls |{}", names.concat());
    println!("| --- | ---: |{}", " ---: |".repeat(rooms.len()));
    for part in Part::ALL {
        let calls = rooms.iter().map(|room| room.calls(part)).max().unwrap_or(0);
        let time = |laps: &[Lap]| laps.iter().filter(|lap| lap.part == part).map(|lap| lap.time).sum();
        row(part.name(), &calls.to_string(), rooms, |room| {
            room.median(|_, laps| time(laps))
        });
    }
    row(
        "HTTP, JSON, signing, tasks: what is in none of them",
        "",
        rooms,
        |room| room.median(|whole, laps| whole.saturating_sub(covered(laps))),
    );
    row("whole", "", rooms, |room| room.median(|whole, _| whole));
}

fn row(name: &str, calls: &str, rooms: &[Parts], value: impl Fn(&Parts) -> f64) {
    let values: Vec<_> = rooms.iter().map(|room| format!(" {:.0} |", value(room))).collect();
    println!("| {name} | {calls} |{}", values.concat());
}

/// The time in which at least one call ran: some run side by side, and some within others.
fn covered(laps: &[Lap]) -> Duration {
    let mut spans: Vec<(Instant, Instant)> = laps.iter().map(|lap| (lap.begun, lap.begun + lap.time)).collect();
    spans.sort_unstable();
    let (mut sum, mut until) = (Duration::ZERO, None);
    for (begun, ended) in spans {
        let begun = until.map_or(begun, |until: Instant| until.max(begun));
        sum += ended.saturating_duration_since(begun);
        until = Some(until.map_or(ended, |until| until.max(ended)));
    }
    sum
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
