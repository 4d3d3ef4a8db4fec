//! Whatever is added, removed, fails and is forgotten, in whatever order.

use super::{account, world::World};
use crate::{Limits, Namespace, NewSequence, SequenceId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Add(Arrival),
    Step,
    Fail,
    /// Removed before the next step.
    Remove(prop::sample::Index),
    /// Removed while a step is computed, which then succeeds or fails.
    RemoveInFlight(prop::sample::Index, bool),
    /// Added while a step is computed.
    AddInFlight(Arrival),
    /// A step that is neither committed nor abandoned.
    Lose,
    /// Before a step, or while it is computed.
    Clear(bool),
    Forget(u64, bool),
}

#[derive(Debug, Clone)]
struct Arrival {
    account: u64,
    weight: u32,
    /// `None`: no namespace.
    adapter: Option<u8>,
    /// Tokens in common with all of the family.
    family: u32,
    common: usize,
    own: usize,
    max_tokens: usize,
    salt: u32,
}

fn arrivals() -> impl Strategy<Value = Arrival> {
    let sizes = (0..3u32, 0..20usize, 0..12usize, 0..14usize, 0..3u32);
    (0..3u64, 1..4u32, prop::option::weighted(0.8, 0..2u8), sizes).prop_map(
        |(account, weight, adapter, (family, common, own, max_tokens, salt))| Arrival {
            account,
            weight,
            adapter,
            family,
            common,
            own,
            max_tokens,
            salt,
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => arrivals().prop_map(Event::Add),
        16 => Just(Event::Step),
        1 => Just(Event::Fail),
        1 => any::<prop::sample::Index>().prop_map(Event::Remove),
        1 => any::<(prop::sample::Index, bool)>().prop_map(|(which, fails)| Event::RemoveInFlight(which, fails)),
        2 => arrivals().prop_map(Event::AddInFlight),
        1 => Just(Event::Lose),
        1 => any::<bool>().prop_map(Event::Clear),
        1 => (0..3u64, any::<bool>()).prop_map(|(account, in_flight)| Event::Forget(account, in_flight)),
    ];
    prop::collection::vec(event, 1..120)
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (
        1..24usize,
        1..9usize,
        6..40usize,
        1..6usize,
        prop_oneof![Just(0.0f32), Just(0.05)],
        prop_oneof![Just(None), Just(Some(1.0)), Just(Some(2.5))],
        prop_oneof![Just(0usize), Just(20)],
    )
        .prop_map(
            |(rows_per_step, sequences, blocks, block_size, context_cost, prefill_slowdown, lead_rows)| Limits {
                rows_per_step,
                sequences,
                blocks,
                block_size,
                context_cost,
                prefill_slowdown,
                lead_rows,
            },
        )
}

impl Arrival {
    fn sequence(&self) -> NewSequence {
        let common = (0..self.common as u32).map(|index| self.family * 100 + index / 3);
        let own = (0..self.own as u32).map(|index| 1000 + self.salt + index % 2);
        NewSequence {
            account: account(self.account),
            weight: self.weight,
            adapter_cost: f32::from(self.adapter.unwrap_or(0)),
            namespace: self
                .adapter
                .map(|adapter| Namespace::new(account(self.account), (adapter > 0).then_some([adapter; 32]))),
            prompt: common.chain(own).collect(),
            max_tokens: self.max_tokens,
        }
    }
}

impl World {
    fn play(&mut self, event: &Event) {
        match event {
            Event::Add(arrival) => {
                self.add(arrival.sequence(), arrival.salt);
            }
            Event::Step => {
                let step = self.plan();
                self.commit(&step);
                self.remove_finished();
            }
            Event::Fail => {
                let step = self.plan();
                self.abandon(&step);
            }
            Event::Remove(which) => {
                if let Some(id) = self.pick(*which) {
                    self.remove(id);
                }
            }
            Event::RemoveInFlight(which, fails) => {
                let step = self.plan();
                if let Some(id) = self.pick(*which) {
                    self.remove(id);
                }
                if *fails {
                    self.abandon(&step);
                } else {
                    self.commit(&step);
                }
                self.remove_finished();
            }
            Event::AddInFlight(arrival) => {
                let step = self.plan();
                self.add(arrival.sequence(), arrival.salt);
                self.commit(&step);
                self.remove_finished();
            }
            Event::Lose => {
                let lost = self.plan();
                let step = self.plan();
                self.batch.commit(&lost, &[]);
                self.commit(&step);
                self.remove_finished();
            }
            Event::Clear(in_flight) => self.around_step(*in_flight, |world| world.batch.clear_cache()),
            Event::Forget(number, in_flight) => {
                self.around_step(*in_flight, |world| world.batch.forget_account(account(*number)));
            }
        }
    }

    fn around_step(&mut self, in_flight: bool, act: impl FnOnce(&mut Self)) {
        if !in_flight {
            return act(self);
        }
        let step = self.plan();
        act(self);
        self.commit(&step);
        self.remove_finished();
    }

    fn pick(&self, which: prop::sample::Index) -> Option<SequenceId> {
        let ids: Vec<SequenceId> = self.known.keys().copied().collect();
        (!ids.is_empty()).then(|| *which.get(&ids))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_row_reads_its_own_prefix(limits in any_limits(), events in events()) {
        let mut world = World::new(limits);
        for event in &events {
            world.play(event);
        }
        world.drain();
    }

    #[test]
    fn the_same_events_lead_to_the_same_steps(limits in any_limits(), events in events()) {
        let play = |events: &[Event]| {
            let mut world = World::new(limits);
            let mut tables = Vec::new();
            for event in events {
                world.play(event);
                let step = world.plan();
                let table = |segment: &crate::Segment| world.batch.block_table(segment.sequence).map(<[u32]>::to_vec);
                tables.push((step.segments.iter().map(table).collect::<Vec<_>>(), step.clone()));
                world.commit(&step);
                world.remove_finished();
            }
            (tables, world.batch.gauges())
        };
        prop_assert_eq!(play(&events), play(&events));
    }
}
