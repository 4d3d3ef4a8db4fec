//! How the rows of a step are shared.

use super::{account, limits, of, run, sequence};
use crate::{
    Batch, Limits, NewSequence, SequenceId,
    batch::plan::QUANTUM,
    cost::{Cost, ROW, least_charge},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn uncached(new: NewSequence) -> NewSequence {
    NewSequence { namespace: None, ..new }
}

fn weighted(weight: u32, new: NewSequence) -> NewSequence {
    NewSequence { weight, ..new }
}

fn plenty() -> Limits {
    Limits {
        blocks: 100_000,
        sequences: 100,
        ..limits()
    }
}

/// Rows by account over some steps.
fn share(batch: &mut Batch, steps: usize) -> BTreeMap<u64, usize> {
    let mut rows = BTreeMap::new();
    for _ in 0..steps {
        for segment in run(batch).segments {
            let account = batch.sequences[&segment.sequence].account.number();
            *rows.entry(account).or_default() += segment.rows;
        }
    }
    rows
}

#[test]
fn an_account_alone_gets_all_rows() {
    let mut batch = Batch::new(plenty());
    batch.add(sequence(0, 1000, 1)).unwrap();
    assert_eq!(share(&mut batch, 10), [(1, 160)].into());
}

#[test]
fn many_sequences_get_no_more_than_one() {
    let mut batch = Batch::new(plenty());
    batch.add(of(1, sequence(0, 3000, 1))).unwrap();
    for _ in 0..50 {
        batch.add(of(2, sequence(0, 3000, 1))).unwrap();
    }
    assert_eq!(share(&mut batch, 100), [(1, 800), (2, 800)].into());
}

#[test]
fn rows_are_shared_by_weight() {
    let mut batch = Batch::new(plenty());
    batch.add(of(1, weighted(3, sequence(0, 3000, 1)))).unwrap();
    batch.add(of(2, weighted(1, sequence(0, 3000, 1)))).unwrap();
    let rows = share(&mut batch, 100);
    assert!(rows[&1].abs_diff(1200) <= 2 * QUANTUM, "{rows:?}");
}

#[test]
fn a_stream_goes_on_beside_a_long_prompt() {
    let mut batch = Batch::new(plenty());
    let stream = batch.add(of(1, sequence(0, 3, 200))).unwrap();
    run(&mut batch);
    batch.add(of(2, sequence(0, 4000, 1))).unwrap();
    for _ in 0..100 {
        let step = run(&mut batch);
        assert!(step.segments.iter().any(|segment| segment.sequence == stream));
        assert_eq!(step.rows(), 16);
    }
}

#[test]
fn idling_earns_no_credit() {
    let mut batch = Batch::new(plenty());
    batch.add(of(1, sequence(0, 9000, 1))).unwrap();
    let idle = batch.add(of(2, sequence(0, 3, 1))).unwrap();
    run(&mut batch);
    batch.remove(idle);
    share(&mut batch, 200);
    batch.add(of(2, sequence(0, 9000, 1))).unwrap();
    let rows = share(&mut batch, 50);
    assert!(rows[&1].abs_diff(rows[&2]) <= 2 * QUANTUM, "{rows:?}");
}

#[test]
fn a_light_load_earns_no_credit() {
    let mut batch = Batch::new(plenty());
    batch.add(of(1, sequence(0, 9000, 1))).unwrap();
    batch.add(of(2, sequence(0, 3, 500))).unwrap();
    share(&mut batch, 200);
    // Until now the second one took one row of sixteen.
    batch.add(of(2, sequence(0, 9000, 1))).unwrap();
    let rows = share(&mut batch, 50);
    assert!(rows[&1].abs_diff(rows[&2]) <= 2 * QUANTUM, "{rows:?}");
}

#[test]
fn spare_rows_are_not_owed() {
    let mut batch = Batch::new(plenty());
    for _ in 0..10 {
        batch.add(of(1, sequence(0, 3, 500))).unwrap();
    }
    batch.add(of(2, sequence(0, 3, 500))).unwrap();
    // Eleven of sixteen rows: nobody has to wait.
    share(&mut batch, 200);
    batch.add(of(3, sequence(0, 9000, 1))).unwrap();
    let rows = share(&mut batch, 50);
    assert!(rows[&1] > 350, "{rows:?}");
}

#[test]
fn going_and_coming_back_is_no_gain() {
    let mut batch = Batch::new(plenty());
    batch.add(of(1, sequence(0, 9000, 1))).unwrap();
    let mut got = 0;
    for step in 0..200 {
        // One token, removed before the next step, in the hope of a fresh start.
        let ids: Vec<SequenceId> = (0..20)
            .map(|index| batch.add(of(2, uncached(sequence(step * 20 + index, 1, 1)))).unwrap())
            .collect();
        let planned = run(&mut batch);
        got += planned
            .segments
            .iter()
            .filter(|segment| ids.contains(&segment.sequence))
            .count();
        for id in ids {
            batch.remove(id);
        }
    }
    assert!(got <= 200 * 8 + 2 * QUANTUM, "{got}");
}

/// Steps until the prompts of accounts 1 … are read, of which each account has one.
fn steps_to_first_token(lead_rows: usize, prompts: &[u32]) -> Vec<usize> {
    let mut batch = Batch::new(Limits { lead_rows, ..plenty() });
    let ids: Vec<SequenceId> = prompts
        .iter()
        .zip(1..)
        .map(|(length, number)| batch.add(of(number, uncached(sequence(0, *length, 1)))).unwrap())
        .collect();
    let mut steps = vec![0; ids.len()];
    for step in 1..=1000 {
        for segment in run(&mut batch).segments.iter().filter(|segment| segment.samples) {
            let index = ids.iter().position(|id| *id == segment.sequence).unwrap();
            steps[index] = step;
        }
    }
    steps
}

#[test]
fn short_prompts_are_read_first_and_long_ones_end_no_later() {
    let prompts = [160, 32, 96, 64, 2000];
    assert_eq!(steps_to_first_token(0, &prompts), [32, 9, 24, 18, 147]);
    assert_eq!(steps_to_first_token(256, &prompts), [22, 2, 12, 6, 147]);
}

#[test]
fn a_long_prompt_is_read_beside_any_number_of_short_ones() {
    let mut batch = Batch::new(Limits {
        lead_rows: 256,
        ..plenty()
    });
    batch.add(of(1, sequence(0, 3000, 1))).unwrap();
    let mut rows = [0usize; 3];
    for step in 0..300 {
        for index in 0..2 {
            batch.add(of(2, uncached(sequence(step * 2 + index, 100, 1)))).unwrap();
        }
        for segment in run(&mut batch).segments {
            rows[batch.sequences[&segment.sequence].account.number() as usize] += segment.rows;
        }
    }
    assert!(rows[1] + 256 + 2 * QUANTUM >= 300 * 8, "{rows:?}");
}

#[test]
fn long_contexts_cost_more() {
    let mut batch = Batch::new(Limits {
        context_cost: 0.01,
        ..plenty()
    });
    batch.add(of(1, sequence(0, 2000, 500))).unwrap();
    share(&mut batch, 130);
    for number in 0..20 {
        batch.add(of(1, sequence(number * 10_000, 2000, 500))).unwrap();
        batch.add(of(2, sequence(number * 10_000, 8, 500))).unwrap();
    }
    let rows = share(&mut batch, 20);
    assert!(rows[&2] > 2 * rows[&1], "{rows:?}");
}

#[test]
fn of_one_account_the_longest_unserved_decodes_first() {
    let mut batch = Batch::new(Limits {
        rows_per_step: 2,
        ..plenty()
    });
    let ids: Vec<SequenceId> = (0..4)
        .map(|index| batch.add(uncached(sequence(index, 1, 50))).unwrap())
        .collect();
    let turns: Vec<SequenceId> = (0..4)
        .flat_map(|_| run(&mut batch).segments)
        .map(|segment| segment.sequence)
        .collect();
    assert_eq!(turns, [&ids[..], &ids[..]].concat());
}

#[derive(Debug, Clone)]
struct Backlog {
    weight: u32,
    sequences: usize,
    prompt: u32,
    max_tokens: usize,
}

fn backlogs() -> impl Strategy<Value = Backlog> {
    (1..8u32, 1..30usize, 1..300u32, 1..60usize).prop_map(|(weight, sequences, prompt, max_tokens)| Backlog {
        weight,
        sequences,
        prompt,
        max_tokens,
    })
}

#[test]
fn rows_with_an_adapter_cost_what_it_adds() {
    let mut batch = Batch::new(Limits {
        rows_per_step: 4 * QUANTUM,
        context_cost: 0.0,
        ..plenty()
    });
    for (number, adapter_cost) in [(1, 0.0), (2, 3.0)] {
        let new = of(number, sequence(number as u32 * 100_000, 50_000, 1));
        batch.add(uncached(NewSequence { adapter_cost, ..new })).unwrap();
    }
    let rows = share(&mut batch, 50);
    // A row of the second is as much work as four of the first.
    let (plain, adapted) = (rows[&1] as i64, rows[&2] as i64);
    assert!(
        (plain - 4 * adapted).abs() <= 5 * QUANTUM as i64,
        "{plain} and {adapted}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Over any time in which both of two accounts always had work left, what they got for their weights differs by at most a
    /// quantum of each, and what an account may be ahead for a short prompt, whatever others do.
    #[test]
    fn backlogged_accounts_get_their_shares(
        accounts in prop::collection::vec(backlogs(), 2..5),
        rows_per_step in 1..40usize,
        context_cost in prop_oneof![Just(0.0f32), Just(0.02)],
        lead_rows in prop_oneof![Just(0usize), Just(100)],
    ) {
        let mut batch = Batch::new(Limits { rows_per_step, context_cost, lead_rows, ..plenty() });
        let lead = 2 * least_charge(lead_rows, 1) as i128;
        let cost = Cost::new(context_cost);
        // What each got, and for each pair the least and greatest difference since both had work.
        let mut got = vec![0i128; accounts.len()];
        let mut quantum = vec![0i128; accounts.len()];
        let mut spans: BTreeMap<(usize, usize), (i128, i128)> = BTreeMap::new();
        let mut next = 0;
        for step in 0..150 {
            for (number, backlog) in accounts.iter().enumerate() {
                // The last one comes and goes.
                let is_away = number == accounts.len() - 1 && step / 20 % 2 == 1;
                let mine = batch.sequences.values().filter(|known| known.account == account(number as u64)).count();
                for _ in mine..if is_away { 0 } else { backlog.sequences } {
                    next += 1000;
                    let new = sequence(next, backlog.prompt, backlog.max_tokens);
                    batch.add(uncached(weighted(backlog.weight, of(number as u64, new)))).unwrap();
                }
            }
            let planned = run(&mut batch);
            for segment in &planned.segments {
                let number = batch.sequences[&segment.sequence].account.number() as usize;
                let weight = accounts[number].weight;
                let (first, rows) = (segment.first_position, segment.rows);
                got[number] += cost.charge(first, rows, ROW, weight) as i128;
                let last = first + rows - rows.min(QUANTUM);
                quantum[number] = quantum[number].max(cost.charge(last, rows.min(QUANTUM), ROW, weight) as i128 + 1000);
            }
            let ended: Vec<SequenceId> = planned.segments.iter().map(|segment| segment.sequence)
                .filter(|id| batch.sequences[id].state == crate::sequence::State::Finished).collect();
            for id in ended {
                batch.remove(id);
            }
            for one in 0..accounts.len() {
                for other in 0..one {
                    let both = [one, other].iter().all(|number| had_work(&batch, *number, &planned));
                    if !both {
                        spans.remove(&(one, other));
                        continue;
                    }
                    let difference = got[one] - got[other];
                    let span = spans.entry((one, other)).or_insert((difference, difference));
                    *span = (span.0.min(difference), span.1.max(difference));
                    prop_assert!(span.1 - span.0 <= quantum[one] + quantum[other] + lead);
                }
            }
        }
    }
}

/// The account had work left when the step was full.
fn had_work(batch: &Batch, number: usize, step: &crate::Step) -> bool {
    let mine = batch
        .running
        .values()
        .filter(|id| batch.sequences[id].account == account(number as u64));
    mine.filter(|id| batch.sequences[id].uncomputed() > 0).any(|id| {
        // Rows that are left of what was planned, or a sequence that had none.
        let segment = step.segments.iter().find(|segment| segment.sequence == *id);
        segment.is_none_or(|segment| !segment.samples)
    })
}
