//! One attack against one server: rounds in which the attacker and the well-behaved tenant take turns.

use crate::{
    attacker::Attacker,
    attacks::Attack,
    neighbor::{Behavior, Neighbor},
    process::Memory,
    server::{Server, Settled},
    victim::{Samples, Victim},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// From the start of the other tenant until the measuring begins.
const WARM_UP: Duration = Duration::from_millis(1500);
/// How long the first strike may take.
const TRIAL: Duration = Duration::from_secs(5);
/// Of the first strike: no process gets as far.
const TRIAL_NUMBER: usize = 1 << 60;

/// What was measured of one attack.
pub struct Row {
    pub attack: Attack,
    pub tally: BTreeMap<String, u64>,
    /// Whether the tally shows what the attack must show.
    pub happened: bool,
    /// Beside the attack, and beside the well-behaved tenant.
    pub attacked: Measured,
    pub well_behaved: Measured,
    pub memory_before: f64,
    /// At the end.
    pub memory: Memory,
    pub threads_before: usize,
    pub threads_after: usize,
    /// The longest that the server took to be idle after an attack.
    pub settled: Settled,
}

/// What was measured beside one behavior of the other tenant.
#[derive(Default)]
pub struct Measured {
    pub samples: Samples,
    /// Cores that the server and the other tenant's clients kept busy, by round.
    cores: Vec<f64>,
}

struct Bench<'a> {
    server: &'a Server,
    victim: &'a Victim,
    time: Duration,
}

pub async fn run(attack: &Attack, rounds: usize, time: Duration) -> Row {
    let server = Server::start().await;
    let victim = Victim::new(&server.url, &server.tenant("victim").await);
    victim.prepare().await;
    let (attacker, neighbor) = (server.tenant("attacker").await, server.tenant("well-behaved").await);
    let mut tally = try_once(attack, Attacker::new(&server.url, &attacker)).await;
    server.settle().await;
    let (memory_before, threads_before) = (server.process.memory().now, server.process.threads());

    let bench = Bench {
        server: &server,
        victim: &victim,
        time,
    };
    let (mut attacked, mut well_behaved) = (Measured::default(), Measured::default());
    let mut settled = Settled {
        after: Some(0.0),
        stuck: Vec::new(),
    };
    for round in 0..rounds {
        // Whoever is first in one round is last in the next. The first round must say how busy the attack keeps the server.
        for attacks in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
            if attacks {
                let counted = bench
                    .measure(&attacker, &Behavior::Attack(attack.name), &mut attacked)
                    .await;
                for (what, count) in counted {
                    *tally.entry(what).or_default() += count;
                }
                settled = settled.worse(server.settle().await);
            } else {
                let cores = attacked.cores();
                bench
                    .measure(&neighbor, &Behavior::WellBehaved { cores }, &mut well_behaved)
                    .await;
                server.settle().await;
            }
        }
    }
    let threads_after = server.threads_left(threads_before).await;
    let shown = |what: &&str| tally.keys().any(|counted| counted.starts_with(what));
    Row {
        happened: attack.shows.iter().any(shown),
        attack: attack.clone(),
        tally,
        attacked,
        well_behaved,
        memory_before,
        memory: server.process.memory(),
        threads_before,
        threads_after,
        settled,
    }
}

/// Prepares the attack and strikes once, alone, so that a strike which takes longer than a measurement beside others is counted too.
async fn try_once(attack: &Attack, attacker: Attacker) -> BTreeMap<String, u64> {
    (attack.prepare)(attacker.clone()).await;
    // One that never ends has been counted by then.
    let _ = timeout(TRIAL, (attack.strike)(attacker.clone(), TRIAL_NUMBER)).await;
    attacker.tally()
}

impl Bench<'_> {
    /// Measures the victim beside what the other tenant does; returns what that counted.
    async fn measure(&self, key: &str, behavior: &Behavior<'_>, measured: &mut Measured) -> BTreeMap<String, u64> {
        let neighbor = Neighbor::start(self.server, key, behavior).await;
        sleep(WARM_UP).await;
        let used = || self.server.process.seconds() + neighbor.process.seconds();
        let busy = async {
            let (begun, before) = (Instant::now(), used());
            sleep(self.time).await;
            (used() - before) / begun.elapsed().as_secs_f64()
        };
        let (samples, cores) = tokio::join!(self.victim.measure(self.time), busy);
        measured.samples.add(samples);
        measured.cores.push(cores);
        neighbor.stop().await
    }
}

impl Measured {
    /// The mean.
    pub fn cores(&self) -> f64 {
        self.cores.iter().sum::<f64>() / self.cores.len().max(1) as f64
    }
}

impl Settled {
    fn worse(self, other: Self) -> Self {
        match (self.after, other.after) {
            (None, _) => self,
            (Some(one), Some(two)) if one >= two => self,
            (Some(_), _) => other,
        }
    }
}
