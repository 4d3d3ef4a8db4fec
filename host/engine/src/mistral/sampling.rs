//! Our sampling in mistral.rs' words. Not here: validation (`services`).

use mistralrs::{SamplingParams, StopTokens};
use riad_core::chat::Sampling;

pub(super) fn params(sampling: &Sampling) -> SamplingParams {
    let greedy = sampling.temperature <= 0.0;
    let base = if greedy {
        SamplingParams::deterministic()
    } else {
        SamplingParams::neutral()
    };
    let nonzero = |penalty: f32| (penalty != 0.0).then_some(penalty);
    SamplingParams {
        temperature: (!greedy).then_some(f64::from(sampling.temperature)),
        top_k: if greedy {
            base.top_k
        } else {
            sampling.top_k.map(|k| k as usize)
        },
        top_p: if greedy {
            base.top_p
        } else {
            sampling.top_p.map(f64::from)
        },
        min_p: if greedy {
            base.min_p
        } else {
            sampling.min_p.map(f64::from)
        },
        frequency_penalty: nonzero(sampling.frequency_penalty),
        presence_penalty: nonzero(sampling.presence_penalty),
        repetition_penalty: sampling.repetition_penalty,
        stop_toks: (!sampling.stop.is_empty()).then(|| StopTokens::Seqs(sampling.stop.clone())),
        max_len: Some(sampling.max_tokens as usize),
        n_choices: 1,
        ..base
    }
}
