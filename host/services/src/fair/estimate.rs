//! How long a request will wait, from what was measured. Before anything was, there is no estimate.
//! Not here: what follows from it (`shed.rs`).

use super::{
    counters::{Active, Ask, Backlog, Key},
    queue::Queue,
    service::work,
};
use riad_core::Account;
use std::time::Duration;

impl Queue {
    /// Wait of a request that is in the queue.
    ///
    /// The queue serves whoever has had the least, so that before this one comes its account's earlier ones, and of every other
    /// account as much as it may have until it has had as much.
    pub(super) fn wait_of(&self, account: Account, key: Key) -> Option<Duration> {
        let own = self.counters.active().get(&account)?;
        let used = self.used_by(own);
        // From the end, where those are that are asked about.
        let behind = own.waiting.range(key..).map(|(_, ask)| Backlog::of(ask));
        let ahead = behind.fold(own.backlog, Backlog::minus);
        let mut ahead_work = ahead.work(used);
        let level = own.counter as f64 + own.due + ahead.charge(used);
        for (other, active) in self.counters.active() {
            let backlog = active.backlog.charge(self.used_by(active));
            if *other != account && backlog > 0.0 {
                let room = level - (active.counter as f64 + active.due);
                ahead_work += active.backlog.work(self.used_by(active)) * (room / backlog).clamp(0.0, 1.0);
            }
        }
        self.time_for(ahead_work)
    }

    /// Wait of a request that comes after all that are here.
    pub(super) fn whole_wait(&self) -> Option<Duration> {
        let active = self.counters.active().values();
        self.time_for(active.map(|active| active.backlog.work(self.used_by(active))).sum())
    }

    /// Time from its first token's work to its last.
    pub(super) fn time_of(&self, ask: &Ask) -> Option<Duration> {
        let used = self.counters.active().get(&ask.account).map(|own| self.used_by(own))?;
        seconds(ask.expected_work(used) / self.lane_speed.value()?)
    }

    /// What will still be charged for those that run.
    pub(super) fn expect(&mut self) {
        let used = self.used.value();
        for run in self.running.values() {
            if let Some(active) = self.counters.get_mut(run.ask.account) {
                active.due = 0.0;
            }
        }
        for run in self.running.values() {
            if let Some(active) = self.counters.get_mut(run.ask.account) {
                let used = active.used.value().or(used).unwrap_or(1.0);
                let left = used * f64::from(run.ask.max_tokens) - run.completion_tokens() as f64;
                active.due += run.ask.charge(work(0, left.max(0.0) as u64)) as f64;
            }
        }
    }

    /// Part of the completion tokens it asks for that an account uses.
    fn used_by(&self, active: &Active) -> f64 {
        active.used.value().or_else(|| self.used.value()).unwrap_or(1.0)
    }

    /// Until that much that waits has been put on lanes, and then one more is free.
    fn time_for(&self, work_ahead: f64) -> Option<Duration> {
        let speed = self.lane_speed.value()?;
        if self.running.len() < self.lanes() {
            return Some(Duration::ZERO);
        }
        let mut running = 0.0;
        for run in self.running.values() {
            let used = self
                .counters
                .active()
                .get(&run.ask.account)
                .map_or(1.0, |own| self.used_by(own));
            let unread = if run.prompt_read() {
                0.0
            } else {
                work(run.ask.prompt_tokens.into(), 0) as f64
            };
            let left = used * f64::from(run.ask.max_tokens) - run.completion_tokens() as f64;
            running += unread + work(0, left.max(0.0) as u64) as f64;
        }
        // Lanes end one after another: the first of n is free after about an n-th of what a lane has left.
        let lanes = self.lanes() as f64;
        seconds((work_ahead + running / lanes) / (speed * lanes))
    }
}

fn seconds(seconds: f64) -> Option<Duration> {
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
