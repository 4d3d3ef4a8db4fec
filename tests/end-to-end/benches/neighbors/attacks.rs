//! The attacks: what one tenant can do to a server to slow another, each as hard as a bounded number of clients can. By what they
//! aim at, in `attacks/`.

mod artifacts;
mod changes;
mod connections;
mod documents;
mod engine;
mod guests;
mod questions;
mod texts;

use crate::{attacker::Attacker, neighbor};
use futures::future::BoxFuture;

#[derive(Clone)]
pub struct Attack {
    pub name: &'static str,
    pub about: &'static str,
    pub clients: usize,
    /// What must be counted, one of it at least, or the attack did not happen. Counts are named by the status and the code of an
    /// error, or by what was done with a connection.
    pub shows: &'static [&'static str],
    /// Fills the attacker's room; once, before the first turn.
    pub prepare: fn(Attacker) -> BoxFuture<'static, ()>,
    /// What each client does again and again; the number differs for each time and client.
    pub strike: fn(Attacker, usize) -> BoxFuture<'static, ()>,
}

/// For attacks that need nothing in the room.
const NOTHING: fn(Attacker) -> BoxFuture<'static, ()> = |_| Box::pin(async {});

pub fn all() -> Vec<Attack> {
    let control = Attack {
        name: "control",
        about: "no attack: the well-behaved tenant without a bound; shows how exact the measure is",
        clients: neighbor::CLIENTS,
        shows: &["200"],
        prepare: NOTHING,
        strike: |attacker, number| Box::pin(neighbor::ask(attacker, number)),
    };
    let groups = [
        vec![control],
        documents::attacks(),
        texts::attacks(),
        engine::attacks(),
        guests::attacks(),
        artifacts::attacks(),
        questions::attacks(),
        changes::attacks(),
        connections::attacks(),
    ];
    groups.concat()
}
