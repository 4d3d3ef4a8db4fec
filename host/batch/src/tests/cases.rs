//! Single behaviors, among them each fault that mistral.rs 0.8.1's scheduler has here.

use super::{Memory, limits, rows_of, sequence, step};
use crate::{Batch, Limits, Namespace, NewSequence, Refusal};
use riad_core::Account;

fn prompt(length: u32) -> Vec<u32> {
    (0..length).collect()
}

#[test]
fn a_prompt_is_read_in_chunks_and_then_decodes_row_by_row() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let id = batch.add(sequence(1, prompt(20), 3)).unwrap();
    let rows: Vec<_> = (0..4).map(|_| rows_of(&step(&mut batch, &mut memory, 9), id)).collect();
    assert_eq!(rows, [16, 4, 1, 1]);
    assert_eq!(batch.tokens(id).unwrap()[20..], [9, 9, 9]);
}

#[test]
fn what_can_never_end_is_refused() {
    let mut batch = Batch::new(limits());
    assert_eq!(batch.add(sequence(1, vec![], 5)), Err(Refusal::EmptyPrompt));
    let refusal = Refusal::TooLong {
        needed_blocks: 17,
        blocks: 16,
    };
    assert_eq!(batch.add(sequence(1, prompt(40), 25)), Err(refusal));
    assert!(batch.add(sequence(1, prompt(40), 24)).is_ok());
}

#[test]
fn a_common_beginning_is_computed_once_within_a_namespace() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let first = batch.add(sequence(1, prompt(10), 1)).unwrap();
    step(&mut batch, &mut memory, 9);
    // Also while the first still runs: two whole blocks of the ten tokens.
    let second = batch.add(sequence(1, prompt(10), 1)).unwrap();
    let planned = step(&mut batch, &mut memory, 9);
    assert_eq!(rows_of(&planned, second), 2);
    assert_eq!(
        batch.block_table(first).unwrap()[..2],
        batch.block_table(second).unwrap()[..2]
    );
    assert_eq!(batch.remove(second).unwrap().cached_tokens, 8);
    batch.remove(first);
    // Another account, and another adapter of the same account, share nothing.
    for namespace in [
        Namespace::new(Account::new(2), None),
        Namespace::new(Account::new(1), Some([1; 32])),
    ] {
        let stranger = NewSequence {
            namespace: Some(namespace),
            ..sequence(1, prompt(10), 1)
        };
        let stranger = batch.add(stranger).unwrap();
        assert_eq!(rows_of(&step(&mut batch, &mut memory, 9), stranger), 10);
        assert_eq!(batch.remove(stranger).unwrap().cached_tokens, 0);
    }
    let again = batch.add(sequence(1, prompt(10), 1)).unwrap();
    assert_eq!(rows_of(&step(&mut batch, &mut memory, 9), again), 2);
}

#[test]
fn without_a_namespace_nothing_is_read_or_kept() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let alone = || NewSequence {
        namespace: None,
        ..sequence(1, prompt(10), 1)
    };
    for new in [alone(), sequence(1, prompt(10), 1), alone()] {
        let id = batch.add(new).unwrap();
        assert_eq!(rows_of(&step(&mut batch, &mut memory, 9), id), 10);
        batch.remove(id);
    }
    assert_eq!(batch.gauges().blocks_cached, 2);
}

#[test]
fn a_prompt_that_is_cached_whole_still_computes_its_last_token() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    for expected in [8, 4] {
        let id = batch.add(sequence(1, prompt(8), 1)).unwrap();
        let planned = step(&mut batch, &mut memory, 9);
        assert_eq!(rows_of(&planned, id), expected);
        batch.remove(id);
    }
}

/// Upstream registers the blocks of a preempted prompt before they were computed.
#[test]
fn blocks_that_were_never_computed_are_not_cached() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let id = batch.add(sequence(1, prompt(16), 1)).unwrap();
    let planned = batch.plan();
    assert_eq!(rows_of(&planned, id), 16);
    batch.abandon(&planned);
    batch.remove(id);
    assert_eq!(batch.gauges().blocks_cached, 0);
    let again = batch.add(sequence(1, prompt(16), 1)).unwrap();
    assert_eq!(rows_of(&step(&mut batch, &mut memory, 9), again), 16);
}

/// Upstream counts the block that the last sampled token fills, whose keys and values were never written.
#[test]
fn the_block_of_the_last_sampled_token_is_not_cached() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let id = batch.add(sequence(1, prompt(7), 1)).unwrap();
    step(&mut batch, &mut memory, 9);
    assert_eq!(batch.tokens(id).unwrap().len(), 8, "the second block is full of tokens");
    batch.remove(id);
    assert_eq!(batch.gauges().blocks_cached, 1);
}

/// Upstream preempts the oldest.
#[test]
fn the_newest_is_preempted_and_the_oldest_never() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let old = batch.add(sequence(1, prompt(28), 20)).unwrap();
    let new = batch.add(sequence(2, prompt(28), 20)).unwrap();
    let mut preempted = Vec::new();
    for _ in 0..60 {
        preempted.extend(step(&mut batch, &mut memory, 9).preempted);
        if batch.tokens(old).unwrap().len() == 48 {
            break;
        }
    }
    assert_eq!(batch.tokens(old).unwrap().len(), 48);
    assert_eq!(
        preempted,
        [new],
        "once: it comes back when there is room for all its tokens"
    );
    batch.remove(old);
    for _ in 0..60 {
        step(&mut batch, &mut memory, 9);
    }
    assert!(batch.tokens(new).unwrap().len() >= 48);
    assert_eq!(batch.remove(new).unwrap().preemptions, 1);
}

/// Upstream repeats a failed step for ever.
#[test]
fn a_failed_step_counts_for_nothing_and_its_sequences_can_be_removed() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let [one, two] = [1, 2].map(|account| batch.add(sequence(account, prompt(6), 4)).unwrap());
    let failed = batch.plan();
    batch.abandon(&failed);
    batch.remove(one);
    let next = step(&mut batch, &mut memory, 9);
    assert_eq!((rows_of(&next, one), rows_of(&next, two)), (0, 6));
}

#[test]
fn the_cache_gives_way_to_sequences_the_longest_unused_first() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    let mut run = |batch: &mut Batch, account: u64, length: u32| {
        let id = batch.add(sequence(account, prompt(length), 1)).unwrap();
        let mut rows = 0;
        while batch.tokens(id).unwrap().len() == length as usize {
            rows += rows_of(&step(batch, &mut memory, 9), id);
        }
        batch.remove(id);
        rows
    };
    assert_eq!(run(&mut batch, 1, 33), 33);
    assert_eq!(run(&mut batch, 2, 25), 25);
    assert_eq!(batch.gauges().blocks_cached, 14);
    // Needs eight blocks: the two free ones and six of the first account's, of which the end goes first.
    assert_eq!(run(&mut batch, 3, 32), 32);
    assert_eq!(run(&mut batch, 1, 9), 1, "the first account's beginning is there");
    // Its third block took the place of what was now unused the longest: the end of the second account's.
    assert_eq!(run(&mut batch, 2, 25), 5);
}

#[test]
fn a_forgotten_account_finds_nothing_and_others_do() {
    let (mut batch, mut memory) = (Batch::new(limits()), Memory::default());
    for account in [1, 2] {
        let id = batch.add(sequence(account, prompt(9), 1)).unwrap();
        step(&mut batch, &mut memory, 9);
        batch.remove(id);
    }
    batch.forget_account(Account::new(1));
    assert_eq!(batch.gauges().blocks_cached, 2);
    for (account, rows) in [(1, 9), (2, 1)] {
        let id = batch.add(sequence(account, prompt(9), 1)).unwrap();
        assert_eq!(rows_of(&step(&mut batch, &mut memory, 9), id), rows);
        batch.remove(id);
    }
    batch.clear_cache();
    assert_eq!(batch.gauges().blocks_cached, 0);
    assert_eq!(batch.gauges().blocks_used, 0);
}

#[test]
fn waiting_sequences_of_an_account_run_in_their_order() {
    let mut batch = Batch::new(Limits {
        sequences: 1,
        ..limits()
    });
    let mut memory = Memory::default();
    let ids: Vec<_> = (0..3).map(|_| batch.add(sequence(1, prompt(5), 1)).unwrap()).collect();
    for id in ids {
        let planned = step(&mut batch, &mut memory, 9);
        assert_eq!(planned.segments[0].sequence, id);
        batch.remove(id);
    }
    assert!(batch.is_idle());
    assert!(batch.plan().segments.is_empty());
}
