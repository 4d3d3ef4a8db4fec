//! Who gets which share of the steps.

use super::{Memory, limits, rows_of, sequence, step};
use crate::{Batch, Limits, NewSequence, SequenceId};
use riad_core::Account;
use std::collections::BTreeMap;

fn wide() -> Limits {
    Limits {
        sequences: 64,
        blocks: 4096,
        ..limits()
    }
}

/// Rows that each account gets in `steps` steps, in which nobody ends.
fn shares(
    batch: &mut Batch,
    memory: &mut Memory,
    owners: &BTreeMap<SequenceId, u64>,
    steps: usize,
) -> BTreeMap<u64, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..steps {
        let planned = step(batch, memory, 9);
        for (id, owner) in owners {
            *shares.entry(*owner).or_default() += rows_of(&planned, *id);
        }
    }
    shares
}

#[test]
fn many_sequences_do_not_take_more_than_their_accounts_share() {
    let (mut batch, mut memory) = (Batch::new(wide()), Memory::default());
    let mut owners = BTreeMap::new();
    for _ in 0..40 {
        owners.insert(batch.add(sequence(1, vec![7; 4], 900)).unwrap(), 1);
    }
    // The other one reads a long prompt, and could use every row.
    owners.insert(batch.add(sequence(2, (0..800).collect(), 100)).unwrap(), 2);
    let shares = shares(&mut batch, &mut memory, &owners, 40);
    assert!(shares[&1].abs_diff(shares[&2]) <= 16, "{shares:?}");
    assert_eq!(shares[&1] + shares[&2], 40 * 16, "no row is wasted");
}

#[test]
fn a_weight_is_a_share() {
    let (mut batch, mut memory) = (Batch::new(wide()), Memory::default());
    let mut owners = BTreeMap::new();
    for (account, weight) in [(1, 1), (2, 3)] {
        let new = NewSequence {
            weight,
            ..sequence(account, (0..900).collect(), 100)
        };
        owners.insert(batch.add(new).unwrap(), account);
    }
    let shares = shares(&mut batch, &mut memory, &owners, 50);
    let ratio = shares[&2] as f64 / shares[&1] as f64;
    assert!((2.7..3.3).contains(&ratio), "{shares:?}");
}

#[test]
fn a_share_that_is_not_used_goes_to_the_others() {
    let (mut batch, mut memory) = (Batch::new(wide()), Memory::default());
    let mut owners = BTreeMap::new();
    owners.insert(batch.add(sequence(1, vec![7], 900)).unwrap(), 1);
    owners.insert(batch.add(sequence(2, (0..900).collect(), 100)).unwrap(), 2);
    let shares = shares(&mut batch, &mut memory, &owners, 30);
    assert_eq!(shares, BTreeMap::from([(1, 30), (2, 30 * 15)]));
}

#[test]
fn a_long_prompt_of_another_delays_no_token_of_a_stream() {
    let mut batch = Batch::new(wide());
    let mut memory = Memory::default();
    let stream = batch.add(sequence(1, vec![7; 3], 900)).unwrap();
    step(&mut batch, &mut memory, 9);
    let long = batch.add(sequence(2, (0..2000).collect(), 10)).unwrap();
    for _ in 0..100 {
        let planned = step(&mut batch, &mut memory, 9);
        assert_eq!((rows_of(&planned, stream), rows_of(&planned, long)), (1, 15));
    }
}

#[test]
fn who_comes_back_after_idling_has_no_credit_and_no_debt_is_lost_by_leaving() {
    let (mut batch, mut memory) = (Batch::new(wide()), Memory::default());
    let owners = BTreeMap::from([
        (batch.add(sequence(1, (0..1000).collect(), 900)).unwrap(), 1),
        (batch.add(sequence(2, (0..1000).collect(), 900)).unwrap(), 2),
    ]);
    shares(&mut batch, &mut memory, &owners, 20);
    // A newcomer does not catch up with what the others had.
    let mut both = owners.clone();
    both.insert(batch.add(sequence(3, (0..1000).collect(), 900)).unwrap(), 3);
    let after = shares(&mut batch, &mut memory, &both, 21);
    assert!(after.values().all(|rows| rows.abs_diff(21 * 16 / 3) <= 16), "{after:?}");
    // One leaves while it is ahead of the others, and comes back at once: it is still ahead.
    let third = *both.iter().find(|(_, owner)| **owner == 3).unwrap().0;
    batch.accounts.charge(Account::new(3), 500.0);
    batch.remove(third);
    let mut again = owners;
    again.insert(batch.add(sequence(3, (5000..6000).collect(), 900)).unwrap(), 3);
    let after = shares(&mut batch, &mut memory, &again, 20);
    assert_eq!(after[&3], 0, "{after:?}");
}

#[test]
fn what_a_row_sees_counts_if_it_costs() {
    let mut batch = Batch::new(Limits {
        context_cost: 1.0 / 256.0,
        ..wide()
    });
    let mut memory = Memory::default();
    // The first account's rows see a thousand tokens and cost five times as much.
    let long = batch.add(sequence(1, (0..1024).collect(), 900)).unwrap();
    while batch.tokens(long).unwrap().len() == 1024 {
        step(&mut batch, &mut memory, 9);
    }
    let mut owners = BTreeMap::from([(long, 1)]);
    for account in [1, 2] {
        for _ in 0..20 {
            let length = if account == 1 { 1024 } else { 2 };
            let prompt = if account == 1 {
                (0..length).collect()
            } else {
                vec![7; 2]
            };
            owners.insert(batch.add(sequence(account, prompt, 900)).unwrap(), account);
        }
    }
    // Until all decode.
    for _ in 0..200 {
        step(&mut batch, &mut memory, 9);
    }
    let mut rows = BTreeMap::<u64, usize>::new();
    for _ in 0..50 {
        let planned = step(&mut batch, &mut memory, 9);
        for (id, owner) in &owners {
            *rows.entry(*owner).or_default() += rows_of(&planned, *id);
        }
    }
    let ratio = rows[&2] as f64 / rows[&1] as f64;
    assert!(ratio > 2.5, "{rows:?}");
}
