//! How much of prompts is read beside sequences that decode.

use super::{limits, of, run, sequence};
use crate::{Batch, Limits, NewSequence, Step, batch::plan::QUANTUM};
use std::time::Duration;

/// What a row takes if a step takes 1 without any.
const ROW: f64 = 0.1;

fn batch(prefill_slowdown: Option<f64>) -> Batch {
    Batch::new(Limits {
        rows_per_step: 256,
        blocks: 100_000,
        sequences: 100,
        prefill_slowdown,
        ..limits()
    })
}

fn seconds(rows: usize) -> f64 {
    1.0 + ROW * rows as f64
}

fn timed(batch: &mut Batch) -> Step {
    let step = run(batch);
    batch.observe(&step, Duration::from_secs_f64(seconds(step.rows())));
    step
}

/// A stream that decodes, and another account's prompt that was just begun.
fn stream_and_prompt(prefill_slowdown: Option<f64>, prompt: NewSequence) -> Batch {
    let mut batch = batch(prefill_slowdown);
    batch.add(of(1, sequence(0, 3, 5000))).unwrap();
    for _ in 0..3 {
        timed(&mut batch);
    }
    batch.add(of(2, prompt)).unwrap();
    timed(&mut batch);
    batch
}

#[test]
fn a_prompt_slows_a_stream_no_more_than_was_set() {
    let mut batch = stream_and_prompt(Some(4.0), sequence(0, 4000, 1));
    for _ in 0..50 {
        let rows = timed(&mut batch).rows();
        let slower = seconds(rows) / seconds(1);
        assert!((3.0..=4.0).contains(&slower), "{rows} rows: {slower}");
    }
}

#[test]
fn without_a_limit_or_a_stream_all_rows_are_used() {
    let mut unlimited = stream_and_prompt(None, sequence(0, 4000, 1));
    assert_eq!(timed(&mut unlimited).rows(), 256);
    let mut alone = batch(Some(4.0));
    alone.add(of(2, sequence(0, 4000, 1))).unwrap();
    assert_eq!(timed(&mut alone).rows(), 256);
}

#[test]
fn a_quantum_is_read_in_any_case() {
    let mut batch = stream_and_prompt(Some(1.0), sequence(0, 4000, 1));
    for _ in 0..50 {
        assert_eq!(timed(&mut batch).rows(), 1 + QUANTUM);
    }
}

#[test]
fn accounts_share_what_may_be_read() {
    let mut batch = stream_and_prompt(Some(4.0), sequence(0, 4000, 1));
    batch.add(of(3, sequence(0, 4000, 1))).unwrap();
    let mut rows = [0usize; 4];
    for _ in 0..50 {
        for segment in timed(&mut batch).segments {
            let account = batch.sequences[&segment.sequence].account.number();
            rows[account as usize] += segment.rows;
        }
    }
    assert_eq!(rows[1], 50);
    assert!(rows[2] > 500 && rows[2].abs_diff(rows[3]) <= 256 + QUANTUM, "{rows:?}");
}

#[test]
fn the_pace_is_found_under_a_steady_flood_of_prompts() {
    let mut batch = batch(Some(4.0));
    batch.add(of(2, sequence(0, 40_000, 1))).unwrap();
    batch.add(of(1, sequence(0, 3, 5000))).unwrap();
    let steps: Vec<Step> = (0..200).map(|_| timed(&mut batch)).collect();
    let mixed = steps.iter().filter(|step| step.segments.len() == 2);
    let slower: Vec<f64> = mixed.map(|step| seconds(step.rows()) / seconds(1)).collect();
    let over = slower.iter().filter(|slower| **slower > 4.0).count();
    assert!(slower.len() > 150, "the stream was never alone: {}", slower.len());
    assert!(over <= 2, "{over} steps were slower before the pace was known");
    assert!(
        slower.iter().skip(5).filter(|slower| **slower > 3.0).count() > 140,
        "{slower:?}"
    );
}

#[test]
fn rows_with_an_adapter_count_for_more() {
    let rows = |adapter_cost| {
        // The pace is learned from a prompt without an adapter.
        let mut batch = stream_and_prompt(Some(4.0), sequence(0, 500, 1));
        for _ in 0..50 {
            timed(&mut batch);
        }
        let prompt = NewSequence {
            adapter_cost,
            ..sequence(0, 4000, 1)
        };
        batch.add(of(3, prompt)).unwrap();
        run(&mut batch).rows() - 1
    };
    let (plain, adapted) = (rows(0.0), rows(1.0));
    assert!(adapted.abs_diff(plain / 2) <= QUANTUM, "{adapted} of {plain}");
}
