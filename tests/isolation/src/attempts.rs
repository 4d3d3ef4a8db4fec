//! Everything that B tries, in an order that matters: first what names nothing of A's, then what names A's things, last what
//! leaves things of the same names in B's own room, and the spy: until then, A's names in an answer are A's.
//! Not here: judging the answers (`attempt`).

mod console;
mod listing;
mod messages;
mod money;
mod naming;
mod objects;
mod operator;
mod paths;
pub mod spy;

use crate::{
    attempt::Attempt,
    canary::Canaries,
    client::Request,
    plant::{self, AdapterFiles, Planted},
    room::Own,
};

/// What B knows: its own room, and of A's whatever could be guessed or overheard. No secret is among it.
pub struct Target<'a> {
    pub a: &'a Planted,
    pub alias: &'a str,
    pub plugin: &'a str,
    /// Words that stand beside A's secrets.
    pub needle: &'a str,
    /// The beginning of A's key, as listings show it to the operator.
    pub key_prefix: &'a str,
    pub run: &'a str,
    pub own: &'a Own,
}

impl<'a> Target<'a> {
    pub fn new(a: &'a Planted, own: &'a Own, canaries: &'a Canaries, key_a: &'a str) -> Self {
        Self {
            a,
            alias: &canaries.alias,
            plugin: &canaries.plugin,
            needle: &canaries.needle,
            key_prefix: key_a.get(..12).unwrap_or(key_a),
            run: &canaries.run,
            own,
        }
    }

    /// A question that only A's documents can answer.
    pub fn question(&self) -> String {
        format!("What is the code of the {} vault?", self.needle)
    }

    /// What A asked under its idempotency key, word for word.
    pub fn own_question(&self) -> Request {
        plant::question(&self.own.model, self.needle)
    }

    /// A's plugin as a pipeline names it.
    pub fn choice(&self) -> String {
        format!("{}@{}", self.plugin, self.a.version)
    }
}

/// All but the spy.
pub fn all(target: &Target<'_>, adapter: &AdapterFiles) -> Vec<Attempt> {
    let mut attempts = listing::attempts(target);
    attempts.extend(naming::attempts(target));
    attempts.extend(messages::attempts(target));
    attempts.extend(paths::attempts(target));
    attempts.extend(operator::attempts(target));
    attempts.extend(money::attempts(target));
    if let Some(session) = &target.own.console {
        attempts.extend(console::attempts(target, session));
    }
    attempts.extend(objects::attempts(target, adapter));
    attempts
}
