//! What happens when blocks run out.

use super::{finish, limits, of, rows, run, sequence};
use crate::{Batch, Limits, NewSequence, SequenceId, Step};

fn few_blocks(blocks: usize) -> Batch {
    Batch::new(Limits {
        blocks,
        block_size: 2,
        ..limits()
    })
}

fn uncached(new: NewSequence) -> NewSequence {
    NewSequence { namespace: None, ..new }
}

/// Runs until a sequence is preempted.
fn run_to_preemption(batch: &mut Batch) -> Step {
    for _ in 0..1000 {
        let step = run(batch);
        if !step.preempted.is_empty() {
            return step;
        }
    }
    panic!("nothing is preempted");
}

#[test]
fn the_newest_is_preempted() {
    let mut batch = few_blocks(14);
    let ids: Vec<SequenceId> = (0..3)
        .map(|_| batch.add(uncached(sequence(0, 4, 20))).unwrap())
        .collect();
    let step = run_to_preemption(&mut batch);
    assert_eq!(step.preempted, [ids[2]]);
    assert_eq!(batch.block_table(ids[2]), Some(&[][..]));
    let gauges = batch.gauges();
    assert_eq!((gauges.running, gauges.waiting, gauges.preemptions), (2, 1, 1));
}

#[test]
fn sampled_tokens_survive_a_preemption() {
    let mut batch = few_blocks(14);
    let ids: Vec<SequenceId> = (0..3)
        .map(|_| batch.add(uncached(sequence(0, 4, 20))).unwrap())
        .collect();
    run_to_preemption(&mut batch);
    let before = batch.tokens(ids[2]).unwrap().to_vec();
    assert!(before.len() > 4);
    finish(&mut batch);
    let removed = batch.remove(ids[2]).unwrap();
    assert!(removed.tokens.starts_with(&before));
    assert_eq!((removed.tokens.len(), removed.preemptions), (24, 1));
}

#[test]
fn a_preempted_sequence_begins_again_at_its_first_token() {
    let mut batch = few_blocks(14);
    let ids: Vec<SequenceId> = (0..3)
        .map(|_| batch.add(uncached(sequence(0, 4, 20))).unwrap())
        .collect();
    run_to_preemption(&mut batch);
    batch.remove(ids[0]);
    batch.remove(ids[1]);
    let length = batch.tokens(ids[2]).unwrap().len();
    assert_eq!(rows(&batch.plan()), [(ids[2], 0, length)]);
}

#[test]
fn no_block_of_a_preempted_prompt_is_cached_early() {
    let mut batch = Batch::new(Limits {
        rows_per_step: 4,
        blocks: 12,
        block_size: 2,
        ..limits()
    });
    let old = batch.add(of(1, uncached(sequence(0, 4, 20)))).unwrap();
    let new = batch.add(of(2, sequence(50, 12, 1))).unwrap();
    // Blocks are there for rows that are planned, but they are not computed.
    let step = batch.plan();
    let planned = step
        .segments
        .iter()
        .find(|segment| segment.sequence == new)
        .map_or(0, |segment| segment.rows);
    batch.abandon(&step);
    assert!(planned > 0 || batch.block_table(new).unwrap().is_empty());
    batch.remove(new);
    batch.remove(old);
    assert_eq!((batch.gauges().blocks_cached, batch.gauges().blocks_free), (0, 12));
}

#[test]
fn computed_blocks_of_a_preempted_sequence_are_reused() {
    let mut batch = few_blocks(20);
    let old = batch.add(of(1, uncached(sequence(0, 4, 30)))).unwrap();
    let new = batch.add(of(2, sequence(50, 8, 20))).unwrap();
    let step = run_to_preemption(&mut batch);
    assert_eq!(step.preempted, [new]);
    assert!(batch.gauges().blocks_cached > 0);
    batch.remove(old);
    let step = batch.plan();
    assert!(step.segments[0].sequence == new && step.segments[0].first_position > 0);
    finish(&mut batch);
    // What was found after the preemption is not a discount on the prompt.
    assert_eq!(batch.remove(new).unwrap().cached_tokens, 0);
}

#[test]
fn a_preempted_sequence_waits_at_the_front() {
    let mut batch = few_blocks(14);
    let ids: Vec<SequenceId> = (0..5)
        .map(|_| batch.add(uncached(sequence(0, 4, 20))).unwrap())
        .collect();
    let preempted = run_to_preemption(&mut batch).preempted[0];
    let mut started = Vec::new();
    while !batch.is_idle() {
        for segment in run(&mut batch).segments {
            if !started.contains(&segment.sequence) {
                started.push(segment.sequence);
            }
        }
    }
    let place = |id: &SequenceId| started.iter().position(|started| started == id);
    assert!(place(&preempted) < place(&ids[4]));
}

#[test]
fn the_newest_waits_for_a_block_itself() {
    let mut batch = few_blocks(10);
    let old = batch.add(uncached(sequence(0, 4, 11))).unwrap();
    let new = batch.add(uncached(sequence(0, 5, 12))).unwrap();
    let mut stalled = false;
    let mut preempted = 0;
    while batch.tokens(old).is_some_and(|tokens| tokens.len() < 15) {
        let step = run(&mut batch);
        preempted += step.preempted.len();
        let old_ran = step.segments.iter().any(|segment| segment.sequence == old);
        assert!(old_ran, "the oldest has a row in every step");
        stalled |= preempted == 0 && step.segments.iter().all(|segment| segment.sequence != new);
    }
    assert!(stalled);
    finish(&mut batch);
}

#[test]
fn the_oldest_finishes_as_if_it_were_alone() {
    let mut batch = few_blocks(16);
    let oldest = batch.add(uncached(sequence(0, 4, 28))).unwrap();
    for _ in 0..20 {
        batch.add(uncached(sequence(0, 3, 25))).unwrap();
    }
    // One step for the prompt, one for each further token.
    for _ in 0..28 {
        run(&mut batch);
    }
    assert_eq!(batch.remove(oldest).map(|removed| removed.tokens.len()), Some(32));
    finish(&mut batch);
}

/// All sequences use all their tokens and none shares blocks, so that the cache has room for a tenth of them.
#[test]
fn preemption_does_not_thrash() {
    for (blocks, block_size, waste) in [(256, 16, 1.35), (1000, 16, 1.2), (40, 2, 1.0 + 1.0)] {
        let mut batch = Batch::new(Limits {
            rows_per_step: 64,
            sequences: 64,
            blocks,
            block_size,
            context_cost: 0.0,
            prefill_slowdown: None,
            lead_rows: 0,
        });
        let (prompt, most) = (block_size as u32 * 5, block_size * 25);
        let new = || uncached(sequence(0, prompt, most));
        let ids: Vec<SequenceId> = (0..128).map(|_| batch.add(new()).unwrap()).collect();
        let mut computed = 0;
        while !batch.is_idle() {
            computed += run(&mut batch).rows();
        }
        let ratio = computed as f64 / (128 * (block_size * 30 - 1)) as f64;
        let preemptions = ids
            .iter()
            .filter_map(|id| batch.remove(*id))
            .map(|removed| removed.preemptions);
        let most = preemptions.max();
        assert!(ratio < waste && most <= Some(3), "{blocks}: {ratio}, {most:?}");
    }
}
