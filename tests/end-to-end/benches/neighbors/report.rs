//! The tables: the worst attack first.

use crate::{attacks::Attack, rounds::Row, victim::KINDS};
use riad_core::Limits;
use std::cmp::Ordering;

/// How often the victim's time without the attack its time beside it may be: the median, and the 99th percentile.
const AIM: [f64; 2] = [1.25, 2.0];
/// MiB that the server may have in memory beside guests, with this model and these limits; compiling has a process of its own.
const CEILING: f64 = 1024.0;
/// Of all instances, those that one account can hold. The others are for accounts that hold none.
const SHARE: f64 = 0.75;

/// MiB that the server may have in memory: an attack with guests has their memory too, which two limits bound.
fn ceiling(attack: &Attack) -> f64 {
    if !attack.name.starts_with("guest-") {
        return CEILING;
    }
    let limits = Limits::default();
    CEILING + f64::from(limits.guest_instances) * SHARE * (limits.guest_memory_bytes >> 20) as f64
}

impl Row {
    /// Of a kind: median and 99th percentile beside the attack over those beside the well-behaved tenant.
    fn ratios(&self, kind: usize) -> [f64; 2] {
        let (attacked, well_behaved) = (
            self.attacked.samples.percentiles(kind),
            self.well_behaved.samples.percentiles(kind),
        );
        [attacked[0] / well_behaved[0], attacked[1] / well_behaved[1]]
    }

    /// The worst ratio, as a multiple of what it may be.
    fn worst(&self) -> f64 {
        let all = (0..KINDS.len()).flat_map(|kind| self.ratios(kind).into_iter().zip(AIM));
        all.map(|(ratio, aim)| ratio / aim).fold(0.0, f64::max)
    }

    fn reaches_aim(&self) -> bool {
        self.worst() <= 1.0
            && self.attacked.samples.lost.is_empty()
            && self.settled.after.is_some()
            && self.memory.peak <= ceiling(&self.attack)
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let kinds: Vec<_> = (0..KINDS.len())
            .map(|kind| {
                let [median, most] = self.ratios(kind);
                format!("{} {}", marked(median, AIM[0]), marked(most, AIM[1]))
            })
            .collect();
        let got: Vec<_> = self
            .tally
            .iter()
            .map(|(what, count)| format!("{what} × {count}"))
            .collect();
        let lost = match (self.attacked.samples.lost.len(), self.well_behaved.samples.lost.len()) {
            (0, 0) => "none".to_owned(),
            (lost, 0) => format!("**{lost}**"),
            (lost, without) => format!("**{lost}** (without {without})"),
        };
        let after = match self.settled.after {
            Some(after) => format!("{after:.1} s"),
            None => format!("**never**: {}", self.settled.stuck.join(", ")),
        };
        format!(
            "| {} | {}{} | {:.1} {:.1} | {} | {lost} | {} | {after}, {:+.0} MiB, {:+} threads |",
            self.attack.name,
            if self.happened { "" } else { "**did not happen:** " },
            if got.is_empty() {
                "nothing".to_owned()
            } else {
                got.join(", ")
            },
            self.attacked.cores(),
            self.well_behaved.cores(),
            kinds.join(" | "),
            marked(self.memory.peak, ceiling(&self.attack)),
            self.memory.now - self.memory_before,
            self.threads_after.cast_signed() - self.threads_before.cast_signed(),
        )
    }

    fn times(&self) -> String {
        let kinds: Vec<_> = (0..KINDS.len())
            .map(|kind| {
                let (well_behaved, attacked) = (
                    self.well_behaved.samples.percentiles(kind),
                    self.attacked.samples.percentiles(kind),
                );
                format!(
                    "{:.0} {:.0} → {:.0} {:.0}",
                    well_behaved[0], well_behaved[1], attacked[0], attacked[1]
                )
            })
            .collect();
        format!("| {} | {} |", self.attack.name, kinds.join(" | "))
    }
}

/// Two digits; bold above what it may be.
fn marked(value: f64, most: f64) -> String {
    let text = match value {
        ..10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    };
    if value > most { format!("**{text}**") } else { text }
}

pub fn print(rows: &mut [Row]) {
    rows.sort_by(|one, two| two.worst().partial_cmp(&one.worst()).unwrap_or(Ordering::Equal));
    let kinds = KINDS.join(" | ");
    println!(
        "The victim's median and 99th percentile beside each attack over those beside a well-behaved tenant that keeps as many cores busy"
    );
    println!(
        "(aim: {} and {}); what the attacker got; cores busy in both; the server's peak of memory in MiB (ceiling {CEILING}, and what guests may have);",
        AIM[0], AIM[1]
    );
    println!("how long the server was busy after the attack, and what memory and threads it has more than before.");
    println!();
    println!("| attack | got | cores | {kinds} | lost | peak | after |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for row in rows.iter() {
        println!("{}", row.line());
    }
    println!();
    println!("Milliseconds, median and 99th percentile, beside the well-behaved tenant → beside the attack:");
    println!();
    println!("| attack | {kinds} |");
    println!("| --- | --- | --- | --- | --- |");
    for row in rows.iter() {
        println!("{}", row.times());
    }
    println!();
    let mut lost: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            row.attacked
                .samples
                .lost
                .iter()
                .map(|why| format!("{}: {why}", row.attack.name))
        })
        .collect();
    lost.sort();
    lost.dedup();
    for why in lost {
        println!("lost by the victim in {why}");
    }
    let reach = rows.iter().filter(|row| row.reaches_aim()).count();
    println!("{reach} of {} attacks reach the aim", rows.len());
}
