//! What a step consists of, and what becomes of it.

use super::{account, finish, limits, of, rows, run, sequence};
use crate::{Batch, Limits, Refusal, Step};

#[test]
fn decode_and_prefill_mix_in_one_step() {
    let mut batch = Batch::new(limits());
    let first = batch.add(sequence(0, 3, 9)).unwrap();
    run(&mut batch);
    let second = batch.add(sequence(100, 40, 9)).unwrap();
    let step = run(&mut batch);
    assert_eq!(rows(&step), [(first, 3, 1), (second, 0, 15)]);
    assert!(step.segments[0].samples && !step.segments[1].samples);
    assert_eq!(step.rows(), 16);
}

#[test]
fn a_long_prompt_is_read_in_chunks() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 40, 2)).unwrap();
    let chunks: Vec<_> = (0..4).map(|_| rows(&run(&mut batch))[0]).collect();
    assert_eq!(chunks, [(id, 0, 16), (id, 16, 16), (id, 32, 8), (id, 40, 1)]);
    assert_eq!(batch.tokens(id).unwrap()[40..], [7, 7]);
    assert!(batch.is_idle());
    assert!(run(&mut batch).is_empty());
}

#[test]
fn a_finished_sequence_gives_up_its_blocks() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 8, 1)).unwrap();
    run(&mut batch);
    assert_eq!((batch.gauges().running, batch.gauges().blocks_used), (0, 0));
    let removed = batch.remove(id).unwrap();
    assert_eq!((removed.tokens.len(), removed.prompt_tokens), (9, 8));
    assert_eq!(batch.remove(id), None);
}

#[test]
fn a_sequence_that_can_never_fit_is_refused() {
    let mut batch = Batch::new(limits());
    let refused = batch.add(sequence(0, 200, 57));
    assert_eq!(
        refused,
        Err(Refusal::TooLong {
            needed_blocks: 65,
            blocks: 64
        })
    );
    assert!(batch.add(sequence(0, 200, 56)).is_ok());
    assert!(batch.add(sequence(0, 200, usize::MAX)).is_err());
    assert_eq!(batch.add(sequence(0, 0, 1)), Err(Refusal::EmptyPrompt));
}

#[test]
fn a_step_that_failed_is_planned_again() {
    let mut batch = Batch::new(limits());
    batch.add(sequence(0, 20, 2)).unwrap();
    let failed = batch.plan();
    batch.abandon(&failed);
    assert_eq!(rows(&batch.plan()), rows(&failed));
}

#[test]
fn a_late_commit_counts_for_nothing() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 4, 2)).unwrap();
    let late = batch.plan();
    let step = batch.plan();
    batch.commit(&late, &[(id, 1)]);
    assert_eq!(batch.tokens(id).unwrap().len(), 4);
    batch.commit(&step, &[(id, 1)]);
    batch.commit(&step, &[(id, 1)]);
    assert_eq!(batch.tokens(id).unwrap(), [0, 1, 2, 3, 1]);
}

#[test]
fn a_removal_in_flight_frees_blocks_at_once() {
    let mut batch = Batch::new(limits());
    let kept = batch.add(sequence(0, 4, 2)).unwrap();
    let gone = batch.add(sequence(50, 4, 2)).unwrap();
    let step = batch.plan();
    assert_eq!(step.segments.len(), 2);
    batch.remove(gone);
    assert_eq!(batch.gauges().blocks_used, 1);
    batch.commit(&step, &[(gone, 1), (kept, 2)]);
    assert_eq!(batch.tokens(kept).unwrap().last(), Some(&2));
    assert_eq!(batch.tokens(gone), None);
}

#[test]
fn a_sequence_without_its_token_gets_no_rows() {
    let mut batch = Batch::new(limits());
    let id = batch.add(sequence(0, 4, 5)).unwrap();
    let step = batch.plan();
    batch.commit(&step, &[]);
    assert!(batch.plan().is_empty() && !batch.is_idle());
    batch.remove(id);
    assert!(batch.is_idle());
}

#[test]
fn limits_of_zero_do_not_stop_the_batch() {
    let mut batch = Batch::new(Limits {
        rows_per_step: 0,
        sequences: 0,
        blocks: 10,
        block_size: 0,
        context_cost: f32::NAN,
        prefill_slowdown: None,
        lead_rows: 0,
    });
    batch.add(sequence(0, 3, 2)).unwrap();
    finish(&mut batch);
    let mut none = Batch::new(Limits { blocks: 0, ..limits() });
    assert!(none.add(sequence(0, 1, 1)).is_err());
    assert_eq!(none.plan().segments, Step::default().segments);
}

#[test]
fn gauges_tell_what_the_batch_holds() {
    let mut batch = Batch::new(Limits {
        sequences: 2,
        ..limits()
    });
    for number in 1..=3 {
        batch.add(of(number, sequence(0, 24, 2))).unwrap();
    }
    run(&mut batch);
    let gauges = batch.gauges();
    assert_eq!((gauges.running, gauges.waiting, gauges.prefilling), (2, 1, 2));
    assert_eq!(gauges.tokens, 16, "the rows of one step");
    assert_eq!(
        (gauges.blocks_used, gauges.blocks_cached, gauges.blocks_free),
        (4, 0, 60)
    );
    finish(&mut batch);
    let gauges = batch.gauges();
    assert_eq!(
        (gauges.blocks_used, gauges.blocks_cached, gauges.blocks_free),
        (0, 18, 46)
    );
    assert_eq!((gauges.prefix_hit_tokens, gauges.prefix_lookup_tokens), (0, 72));
    batch.forget_account(account(2));
    assert_eq!((batch.gauges().blocks_cached, batch.gauges().blocks_free), (12, 52));
}
