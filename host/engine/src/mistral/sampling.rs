//! Our sampling in mistral.rs' words. Not here: validation (`services`).

use mistralrs::{SamplingParams, StopTokens};
use riad_core::chat::Sampling;

/// As near to 1 as upstream's f32 can say.
const BELOW_ONE: f64 = 1.0 - f32::EPSILON as f64;

pub(super) fn params(sampling: &Sampling) -> SamplingParams {
    let greedy = sampling.temperature <= 0.0;
    let base = if greedy {
        SamplingParams::deterministic()
    } else {
        SamplingParams::neutral()
    };
    // Upstream looks at min_p only where top_p cuts too, and takes a 1 for "off".
    let min_p = sampling
        .min_p
        .filter(|min_p| *min_p > 0.0)
        .map(|min_p| f64::from(min_p).min(BELOW_ONE));
    let top_p = match (sampling.top_p.map(f64::from), min_p) {
        (top_p, None) => top_p,
        (top_p, Some(_)) => Some(top_p.unwrap_or(1.0).min(BELOW_ONE)),
    };
    let nonzero = |penalty: f32| (penalty != 0.0).then_some(penalty);
    SamplingParams {
        temperature: (!greedy).then_some(f64::from(sampling.temperature)),
        top_k: if greedy {
            base.top_k
        } else {
            sampling.top_k.map(|k| k as usize)
        },
        top_p: if greedy { base.top_p } else { top_p },
        min_p: if greedy { base.min_p } else { min_p },
        frequency_penalty: nonzero(sampling.frequency_penalty),
        presence_penalty: nonzero(sampling.presence_penalty),
        repetition_penalty: sampling.repetition_penalty,
        stop_toks: (!sampling.stop.is_empty()).then(|| StopTokens::Seqs(sampling.stop.clone())),
        max_len: Some(sampling.max_tokens as usize),
        n_choices: 1,
        ..base
    }
}
