//! What the prefix cache shares, and with whom. The faults named here were upstream's, or are the usual ones.

use super::{account, finish, limits, namespace, of, rows, run, sequence};
use crate::{Batch, Limits, Namespace, NewSequence, SequenceId};

/// Runs a sequence to its end. Prompt tokens that it did not have to compute.
fn cached(batch: &mut Batch, new: NewSequence) -> usize {
    let id = batch.add(new).unwrap();
    finish(batch);
    batch.remove(id).unwrap().cached_tokens
}

fn in_namespace(namespace: Option<Namespace>) -> NewSequence {
    NewSequence {
        namespace,
        ..sequence(0, 16, 1)
    }
}

#[test]
fn a_prompt_that_comes_again_is_reused() {
    let mut batch = Batch::new(limits());
    assert_eq!(cached(&mut batch, sequence(0, 18, 1)), 0);
    assert_eq!(cached(&mut batch, sequence(0, 18, 1)), 16);
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 16);
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 28);
    let gauges = batch.gauges();
    assert_eq!((gauges.prefix_hit_tokens, gauges.prefix_lookup_tokens), (60, 96));
}

#[test]
fn at_least_one_row_is_computed() {
    let mut batch = Batch::new(limits());
    cached(&mut batch, sequence(0, 16, 1));
    let id = batch.add(sequence(0, 16, 1)).unwrap();
    let step = batch.plan();
    // Three whole blocks; the fourth is computed for its last row's logits.
    assert_eq!(rows(&step), [(id, 12, 4)]);
    assert!(step.segments[0].samples);
}

#[test]
fn only_whole_blocks_are_reused() {
    let mut batch = Batch::new(limits());
    cached(&mut batch, sequence(0, 15, 1));
    assert_eq!(cached(&mut batch, sequence(0, 20, 1)), 12);
}

#[test]
fn a_completion_is_part_of_the_next_prompt() {
    let mut batch = Batch::new(limits());
    let first = batch.add(sequence(0, 4, 9)).unwrap();
    finish(&mut batch);
    let conversation = batch.remove(first).unwrap().tokens;
    assert_eq!(conversation.len(), 13);
    let next = NewSequence {
        prompt: conversation,
        ..sequence(0, 0, 1)
    };
    assert_eq!(cached(&mut batch, next), 12);
}

#[test]
fn the_last_sampled_token_is_not_cached() {
    let mut batch = Batch::new(limits());
    // The eighth token is sampled, but its K/V is never written: only the first block may be shared.
    let first = batch.add(sequence(0, 4, 4)).unwrap();
    finish(&mut batch);
    let tokens = batch.remove(first).unwrap().tokens;
    assert_eq!(tokens.len(), 8);
    assert_eq!(batch.gauges().blocks_cached, 1);
    let prompt = tokens.into_iter().chain([1, 2]).collect();
    let next = NewSequence {
        prompt,
        ..sequence(0, 0, 1)
    };
    assert_eq!(cached(&mut batch, next), 4);
}

#[test]
fn a_running_sequence_shares_what_it_computed() {
    let mut batch = Batch::new(limits());
    let first = batch.add(sequence(0, 33, 5)).unwrap();
    run(&mut batch);
    let second = batch.add(sequence(0, 33, 5)).unwrap();
    let step = batch.plan();
    assert_eq!(rows(&step), [(first, 16, 16)]);
    assert_eq!(
        batch.block_table(second).unwrap(),
        &batch.block_table(first).unwrap()[..4]
    );
    assert_eq!(batch.gauges().blocks_used, 8);
}

#[test]
fn equal_prompts_at_once_are_computed_once() {
    let mut batch = Batch::new(Limits {
        rows_per_step: 32,
        ..limits()
    });
    let ids: Vec<SequenceId> = (0..8).map(|_| batch.add(sequence(0, 33, 2)).unwrap()).collect();
    let mut computed = 0;
    while !batch.is_idle() {
        computed += run(&mut batch).rows();
    }
    // The first one's 33 rows; of each other one row, and what was left over in the first step; one decode row each.
    assert!(computed <= 33 + 7 + 8 + 4, "{computed}");
    for id in ids.iter().skip(1) {
        assert!(batch.remove(*id).unwrap().cached_tokens >= 28);
    }
}

#[test]
fn duplicates_computed_in_one_step_are_merged() {
    let mut batch = Batch::new(limits());
    let first = batch.add(sequence(0, 6, 5)).unwrap();
    let second = batch.add(sequence(0, 6, 5)).unwrap();
    let step = batch.plan();
    assert_eq!(step.rows(), 12);
    assert_eq!(batch.gauges().blocks_used, 4);
    batch.commit(&step, &[(first, 1), (second, 2)]);
    assert_eq!(batch.gauges().blocks_used, 3);
    let (first, second) = (batch.block_table(first).unwrap(), batch.block_table(second).unwrap());
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

#[test]
fn namespaces_never_share() {
    let adapter = |byte: u8| Namespace::new(account(1), Some([byte; 32]));
    let mut other_end = [1; 32];
    other_end[31] = 2;
    let mut batch = Batch::new(limits());
    assert_eq!(cached(&mut batch, in_namespace(Some(namespace()))), 0);
    assert_eq!(cached(&mut batch, of(2, sequence(0, 16, 1))), 0);
    assert_eq!(cached(&mut batch, in_namespace(Some(adapter(1)))), 0);
    assert_eq!(cached(&mut batch, in_namespace(Some(adapter(0)))), 0);
    assert_eq!(
        cached(
            &mut batch,
            in_namespace(Some(Namespace::new(account(1), Some(other_end))))
        ),
        0
    );
    assert_eq!(cached(&mut batch, in_namespace(None)), 0);
    assert_eq!(cached(&mut batch, in_namespace(Some(namespace()))), 12);
    assert_eq!(cached(&mut batch, in_namespace(Some(adapter(1)))), 12);
}

#[test]
fn without_a_namespace_nothing_is_looked_up_or_kept() {
    let mut batch = Batch::new(limits());
    for _ in 0..2 {
        assert_eq!(cached(&mut batch, in_namespace(None)), 0);
        let gauges = batch.gauges();
        assert_eq!((gauges.blocks_cached, gauges.prefix_lookup_tokens), (0, 0));
    }
}

#[test]
fn the_namespace_of_another_account_is_not_used() {
    let mut batch = Batch::new(limits());
    cached(&mut batch, sequence(0, 16, 1));
    let thief = NewSequence {
        account: account(2),
        ..sequence(0, 16, 1)
    };
    assert_eq!(cached(&mut batch, thief), 0);
}

#[test]
fn no_block_of_a_failed_step_is_cached() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 16, 1)).unwrap();
    let step = batch.plan();
    assert_eq!(step.rows(), 16);
    batch.abandon(&step);
    batch.remove(id);
    assert_eq!(batch.gauges().blocks_cached, 0);
    assert_eq!(cached(&mut batch, sequence(0, 16, 1)), 0);
}

#[test]
fn no_block_of_a_removed_row_is_cached() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 16, 1)).unwrap();
    let step = batch.plan();
    batch.remove(id);
    batch.commit(&step, &[(id, 1)]);
    assert_eq!((batch.gauges().blocks_cached, batch.gauges().blocks_free), (0, 64));
}

#[test]
fn blocks_used_longest_ago_are_evicted_first() {
    let mut batch = Batch::new(Limits { blocks: 12, ..limits() });
    cached(&mut batch, sequence(0, 17, 1));
    cached(&mut batch, sequence(100, 17, 1));
    assert_eq!(cached(&mut batch, sequence(0, 17, 1)), 16);
    // Needs four more blocks than are free.
    cached(
        &mut batch,
        NewSequence {
            namespace: None,
            ..sequence(200, 28, 1)
        },
    );
    assert_eq!(cached(&mut batch, sequence(0, 17, 1)), 16);
    assert_eq!(cached(&mut batch, sequence(100, 17, 1)), 4);
}

#[test]
fn a_prefix_is_evicted_from_its_end() {
    let mut batch = Batch::new(Limits { blocks: 8, ..limits() });
    cached(&mut batch, sequence(0, 24, 1));
    cached(
        &mut batch,
        NewSequence {
            namespace: None,
            ..sequence(100, 20, 1)
        },
    );
    assert_eq!(cached(&mut batch, sequence(0, 24, 1)), 12);
}

#[test]
fn what_is_forgotten_is_computed_again() {
    let mut batch = Batch::new(limits());
    cached(&mut batch, sequence(0, 16, 1));
    cached(&mut batch, of(2, sequence(0, 16, 1)));
    batch.forget_account(account(1));
    assert_eq!(cached(&mut batch, of(2, sequence(0, 16, 1))), 12);
    assert_eq!(cached(&mut batch, sequence(0, 16, 1)), 0);
    batch.clear_cache();
    assert_eq!(cached(&mut batch, of(2, sequence(0, 16, 1))), 0);
}

#[test]
fn a_forgotten_accounts_sequences_share_nothing_more() {
    let mut batch = Batch::new(Limits {
        sequences: 1,
        ..limits()
    });
    let running = batch.add(sequence(0, 30, 3)).unwrap();
    run(&mut batch);
    let waiting = batch.add(sequence(100, 30, 3)).unwrap();
    batch.forget_account(account(1));
    finish(&mut batch);
    for id in [running, waiting] {
        assert_eq!(batch.remove(id).unwrap().tokens.len(), 33);
    }
    assert_eq!((batch.gauges().blocks_cached, batch.gauges().blocks_free), (0, 64));
    // Those that come later do.
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 0);
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 28);
}

#[test]
fn what_was_computed_before_a_clear_is_not_shared() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 30, 3)).unwrap();
    run(&mut batch);
    batch.clear_cache();
    finish(&mut batch);
    batch.remove(id);
    assert_eq!((batch.gauges().blocks_cached, batch.gauges().blocks_free), (0, 64));
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 0);
    assert_eq!(cached(&mut batch, sequence(0, 30, 1)), 28);
}
