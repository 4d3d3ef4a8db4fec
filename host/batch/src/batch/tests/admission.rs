//! Which sequences run, and in which order they begin.

use super::{account, finish, limits, of, run, sequence};
use crate::{Batch, Limits, NewSequence, SequenceId};

fn uncached(new: NewSequence) -> NewSequence {
    NewSequence { namespace: None, ..new }
}

fn is_running(batch: &Batch, id: SequenceId) -> bool {
    batch.running.values().any(|running| *running == id)
}

/// Runs all, and tells in which order they got their first rows.
fn order(batch: &mut Batch) -> Vec<SequenceId> {
    let mut started = Vec::new();
    while !batch.is_idle() {
        for segment in run(batch).segments {
            if !started.contains(&segment.sequence) {
                started.push(segment.sequence);
            }
        }
    }
    started
}

#[test]
fn an_account_is_served_in_order_of_arrival() {
    let mut batch = Batch::new(Limits {
        sequences: 2,
        ..limits()
    });
    let ids: Vec<SequenceId> = (0..9)
        .map(|index| batch.add(sequence(0, 3 + index % 4 * 5, 3)).unwrap())
        .collect();
    assert_eq!(order(&mut batch), ids);
}

#[test]
fn one_account_does_not_take_all_places() {
    let mut batch = Batch::new(Limits {
        sequences: 4,
        ..limits()
    });
    for _ in 0..8 {
        batch.add(of(1, sequence(0, 20, 30))).unwrap();
    }
    let others: Vec<SequenceId> = (2..4)
        .map(|number| batch.add(of(number, sequence(0, 20, 30))).unwrap())
        .collect();
    run(&mut batch);
    assert!(others.iter().all(|id| is_running(&batch, *id)));
}

#[test]
fn a_freed_place_goes_to_who_has_fewest() {
    let mut batch = Batch::new(Limits {
        sequences: 3,
        ..limits()
    });
    let mut first: Vec<SequenceId> = (0..6).map(|_| batch.add(of(1, sequence(0, 3, 50))).unwrap()).collect();
    for _ in 0..10 {
        run(&mut batch);
    }
    let other = batch.add(of(2, sequence(0, 3, 50))).unwrap();
    batch.remove(first.remove(0));
    run(&mut batch);
    assert_eq!(batch.tokens(other).map(<[u32]>::len), Some(4));
}

#[test]
fn a_small_sequence_overtakes_one_that_does_not_fit() {
    let mut batch = Batch::new(Limits { blocks: 20, ..limits() });
    batch.add(of(1, uncached(sequence(0, 40, 10)))).unwrap();
    run(&mut batch);
    let large = batch.add(of(2, uncached(sequence(0, 60, 10)))).unwrap();
    let small = batch.add(of(3, uncached(sequence(0, 4, 2)))).unwrap();
    run(&mut batch);
    assert!(!is_running(&batch, large) && is_running(&batch, small));
    finish(&mut batch);
}

#[test]
fn a_large_sequence_is_not_overtaken_for_ever() {
    let mut batch = Batch::new(Limits { blocks: 20, ..limits() });
    let mut small = Vec::new();
    let large = batch.add(of(2, uncached(sequence(0, 70, 1)))).unwrap();
    batch.add(of(1, uncached(sequence(0, 8, 8)))).unwrap();
    // Small ones of many accounts keep coming, faster than they finish.
    for step in 0..200 {
        small.push(batch.add(of(3 + step, uncached(sequence(0, 8, 8)))).unwrap());
        run(&mut batch);
        if batch.tokens(large).is_some_and(|tokens| tokens.len() == 71) {
            return;
        }
    }
    panic!("the large one starves");
}

#[test]
fn all_tokens_must_fit_beside_what_runs() {
    let mut batch = Batch::new(Limits { blocks: 20, ..limits() });
    let first = batch.add(of(1, uncached(sequence(0, 60, 1)))).unwrap();
    let second = batch.add(of(2, uncached(sequence(0, 60, 1)))).unwrap();
    run(&mut batch);
    // Blocks are free, but the first one will need them: the second would be preempted.
    assert!(batch.gauges().blocks_free >= 15 && batch.gauges().running == 1);
    finish(&mut batch);
    assert_eq!(batch.gauges().preemptions, 0);
    assert!(batch.remove(first).is_some() && batch.remove(second).is_some());
}

#[test]
fn shared_blocks_count_once() {
    let mut batch = Batch::new(Limits { blocks: 20, ..limits() });
    batch.add(sequence(0, 61, 4)).unwrap();
    for _ in 0..4 {
        run(&mut batch);
    }
    // Only one block more is needed.
    batch.add(sequence(0, 61, 4)).unwrap();
    run(&mut batch);
    assert_eq!((batch.gauges().running, batch.gauges().blocks_used), (2, 17));
}

#[test]
fn thousands_may_wait() {
    let mut batch = Batch::new(limits());
    for number in 0..5000 {
        batch.add(of(number % 700, sequence(0, 6, 2))).unwrap();
    }
    assert_eq!(batch.gauges().waiting, 5000);
    finish(&mut batch);
    batch.forget_account(account(0));
}
