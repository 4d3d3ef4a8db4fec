//! Any order of events: what must hold after each.

use super::{Memory, limits};
use crate::{Batch, Limits, Namespace, NewSequence, SequenceId};
use proptest::{collection::vec, prelude::*};
use riad_core::Account;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Event {
    /// Account, tokens of its prompts' common beginning, others, tokens to sample, whether it shares.
    Add(u64, u32, u32, usize, bool),
    Step,
    Fail,
    Remove(usize),
    Forget(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (1..4_u64, 0..20_u32, 1..12_u32, 1..12_usize, any::<bool>()).prop_map(|(a, b, c, d, e)| Event::Add(a, b, c, d, e)),
        8 => Just(Event::Step),
        1 => Just(Event::Fail),
        1 => (0..8_usize).prop_map(Event::Remove),
        1 => (1..4_u64).prop_map(Event::Forget),
    ];
    vec(event, 1..120)
}

/// The batch, and what we know of it from outside.
struct World {
    batch: Batch,
    memory: Memory,
    /// How many tokens each sequence is to have at its end.
    ends: BTreeMap<SequenceId, usize>,
    next_token: u32,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            batch: Batch::new(limits),
            memory: Memory::default(),
            ends: BTreeMap::new(),
            next_token: 1000,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Add(account, common, own, max_tokens, shares) => {
                let mut prompt: Vec<u32> = (0..*common).collect();
                for _ in 0..*own {
                    // Sometimes the same as another's.
                    self.next_token += u32::from(self.next_token % 3 == 0);
                    prompt.push(self.next_token);
                    self.next_token += 1;
                }
                let end = prompt.len() + max_tokens;
                let namespace = Namespace::new(Account::new(*account), (*common % 2 == 1).then_some([7; 32]));
                let added = self.batch.add(NewSequence {
                    account: Account::new(*account),
                    weight: 1 + u32::try_from(*account).unwrap(),
                    namespace: shares.then_some(namespace),
                    prompt,
                    max_tokens: *max_tokens,
                });
                if let Ok(id) = added {
                    self.ends.insert(id, end);
                }
            }
            Event::Step => self.step(),
            Event::Fail => {
                let step = self.batch.plan();
                self.batch.abandon(&step);
            }
            Event::Remove(index) => {
                if let Some(id) = self.ends.keys().nth(*index).copied() {
                    self.batch.remove(id).unwrap();
                    self.ends.remove(&id);
                }
            }
            Event::Forget(account) => self.batch.forget_account(Account::new(*account)),
        }
        self.check();
    }

    fn step(&mut self) {
        let size = self.batch.limits.block_size;
        let step = self.batch.plan();
        let rows: usize = step.segments.iter().map(|segment| segment.rows).sum();
        assert!(rows <= self.batch.limits.rows_per_step);
        assert!(rows > 0 || self.ends.is_empty(), "there is work, and nothing is done");
        // All of whom can be served are, unless the step is full.
        if rows < self.batch.limits.rows_per_step && step.preempted.is_empty() {
            let served: BTreeSet<_> = step.segments.iter().map(|segment| segment.sequence).collect();
            for id in self.batch.accounts.values().flat_map(|state| &state.running) {
                let sequence = &self.batch.sequences[id];
                let has_block = (sequence.computed + sequence.planned) < sequence.blocks.len() * size;
                assert!(served.contains(id) || !has_block, "{id:?} could be served");
                assert!(
                    sequence.pending() == 0 || !has_block && self.batch.pool.available() == 0,
                    "{id:?} could have more"
                );
            }
        }
        let ids: BTreeSet<_> = step.segments.iter().map(|segment| segment.sequence).collect();
        assert_eq!(ids.len(), step.segments.len(), "one segment for each sequence");
        let sampled = self.memory.compute(&self.batch, &step, size);
        let mut tokens = Vec::new();
        for id in sampled {
            self.next_token += 1;
            tokens.push((id, self.next_token));
        }
        self.batch.commit(&step, &tokens);
        for (id, _) in tokens {
            if self.batch.tokens(id).unwrap().len() == self.ends[&id] {
                self.batch.remove(id).unwrap();
                self.ends.remove(&id);
            }
        }
    }

    fn check(&self) {
        let batch = &self.batch;
        let size = batch.limits.block_size;
        let mut users: BTreeMap<u32, u32> = BTreeMap::new();
        let mut writers: BTreeSet<u32> = BTreeSet::new();
        for (id, sequence) in &batch.sequences {
            assert!(self.ends.contains_key(id));
            assert_eq!(sequence.planned, 0);
            assert!(sequence.computed <= sequence.tokens.len() && sequence.computed <= sequence.blocks.len() * size);
            assert!(
                sequence.blocks.is_empty() || sequence.joined > 0,
                "a waiting sequence has no blocks"
            );
            for (index, block) in sequence.blocks.iter().enumerate() {
                *users.entry(*block).or_default() += 1;
                // What is not computed whole may still be written.
                if (index + 1) * size > sequence.computed {
                    assert!(writers.insert(*block), "two may write {block}");
                    assert_eq!(
                        batch.pool.users(*block),
                        1,
                        "a block that is written is its writer's alone"
                    );
                }
            }
        }
        for block in 0..u32::try_from(batch.pool.total()).unwrap() {
            assert_eq!(
                batch.pool.users(block),
                users.get(&block).copied().unwrap_or(0),
                "block {block}"
            );
        }
        assert_eq!(
            batch.pool.available() + users.len(),
            batch.pool.total(),
            "no block is lost"
        );
        let gauges = batch.gauges();
        assert_eq!(gauges.running + gauges.waiting, self.ends.len());
        assert!(gauges.running <= batch.limits.sequences);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// No order of events lets a sequence read what was not computed for exactly its own beginning, lets two own a block, loses a block,
    /// or leaves work undone; and every sequence ends.
    #[test]
    fn no_order_of_events_breaks_the_batch(events in events(), rows in 1..20_usize, blocks in 4..14_usize, sequences in 1..5_usize) {
        let mut world = World::new(Limits { rows_per_step: rows, blocks, sequences, ..limits() });
        for event in &events {
            world.apply(event);
        }
        // Far more than every row of every sequence, computed anew each time that another one ends.
        let bound = 100 + 40 * world.ends.len() * world.ends.len();
        for _ in 0..bound {
            if world.ends.is_empty() {
                break;
            }
            world.apply(&Event::Step);
        }
        prop_assert!(world.ends.is_empty(), "{} sequences never end", world.ends.len());
        prop_assert!(world.batch.is_idle());
        world.batch.clear_cache();
        prop_assert_eq!(world.batch.gauges().blocks_used, 0);
        prop_assert_eq!(world.batch.gauges().blocks_cached, 0);
    }
}
