//! How the next token is chosen: our sampling parameters in upstream's sampler, with a random generator of the sequence's own, so
//! that what a request samples depends on its seed and its prompt, not on the batch. Not here: validation (`services`).

use crate::tokens::{engine_error, grammar::ActiveGrammar, logprobs::Scores};
use candle_core::{DType, Device, Tensor};
use mistralrs::core::Sampler;
use rand::SeedableRng;
use rand_isaac::Isaac64Rng;
use riad_core::{Result, chat::Sampling};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

/// As near to 1 as upstream's f32 can say.
const BELOW_ONE: f64 = 1.0 - f32::EPSILON as f64;

pub(super) struct TokenSampler {
    sampler: Sampler,
    rng: Arc<Mutex<Isaac64Rng>>,
    /// Neither chance nor penalties: the greatest logit is the token.
    plain: bool,
    bias: BTreeMap<u32, f32>,
    /// How many of the likeliest tokens are scored beside the sampled one.
    scored: Option<u32>,
    grammar: Option<Mutex<ActiveGrammar>>,
}

/// To what a grammar applies at this place of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrammarScope {
    /// Not to the next token.
    Reasoning,
    /// Reasoning may still be opened by this token.
    Content { opener: Option<u32> },
}

pub(super) struct Sampled {
    pub token: u32,
    pub scores: Option<Scores>,
}

impl TokenSampler {
    pub fn new(sampling: &Sampling) -> Result<Self> {
        // Without a seed a fresh one, of its own for every choice of a request.
        let seed = sampling.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
        Ok(Self {
            sampler: sampler(sampling)?,
            rng: Arc::new(Mutex::new(Isaac64Rng::seed_from_u64(seed))),
            plain: sampling.temperature <= 0.0 && penalties(sampling) == (None, None, None),
            bias: sampling.logit_bias.clone(),
            scored: sampling.logprobs,
            grammar: match &sampling.grammar {
                Some(grammar) => Some(Mutex::new(ActiveGrammar::start(grammar)?)),
                None => None,
            },
        })
    }

    /// The token after `tokens`, by the logits of their last.
    pub fn sample(&self, logits: &[f32], tokens: &[u32], scope: GrammarScope) -> Result<Sampled> {
        let biased = self.biased(logits);
        let token = match (&self.grammar, scope) {
            (Some(grammar), GrammarScope::Content { opener }) => {
                let mut grammar = grammar.lock().unwrap_or_else(PoisonError::into_inner);
                let mut allowed = biased.into_owned();
                grammar.restrict(&mut allowed, opener)?;
                let token = self.choose(&allowed, tokens)?;
                if opener != Some(token) {
                    grammar.advance(token)?;
                }
                token
            }
            (None, _) | (Some(_), GrammarScope::Reasoning) => self.choose(&biased, tokens)?,
        };
        Ok(Sampled {
            token,
            scores: self.scored.map(|top| Scores::of(logits, token, top)),
        })
    }

    fn biased<'a>(&self, logits: &'a [f32]) -> Cow<'a, [f32]> {
        if self.bias.is_empty() {
            return Cow::Borrowed(logits);
        }
        let mut biased = logits.to_vec();
        for (token, bias) in &self.bias {
            if let Some(logit) = biased.get_mut(*token as usize) {
                *logit += bias;
            }
        }
        Cow::Owned(biased)
    }

    fn choose(&self, logits: &[f32], tokens: &[u32]) -> Result<u32> {
        if self.plain {
            return Ok(greatest(logits));
        }
        let sampled = Tensor::from_slice(logits, logits.len(), &Device::Cpu)
            .and_then(|logits| logits.to_dtype(DType::F32))
            .and_then(|logits| {
                self.sampler
                    .sample(logits, tokens, false, self.rng.clone(), false, true)
            })
            .map_err(|e| engine_error("could not sample", e))?;
        Ok(sampled.token)
    }
}

/// The last of the greatest, as upstream's sampler has it.
fn greatest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in (0..).zip(logits) {
        if *logit >= best.1 {
            best = (token, *logit);
        }
    }
    best.0
}

type Penalties = (Option<f32>, Option<f32>, Option<f32>);

fn penalties(sampling: &Sampling) -> Penalties {
    let nonzero = |penalty: f32| (penalty != 0.0).then_some(penalty);
    (
        nonzero(sampling.frequency_penalty),
        nonzero(sampling.presence_penalty),
        sampling.repetition_penalty.filter(|penalty| *penalty != 1.0),
    )
}

fn sampler(sampling: &Sampling) -> Result<Sampler> {
    let greedy = sampling.temperature <= 0.0;
    // Upstream looks at min_p only where top_p cuts too, and takes a 1 for "off".
    let min_p = sampling
        .min_p
        .filter(|min_p| *min_p > 0.0)
        .map(|min_p| f64::from(min_p).min(BELOW_ONE));
    let top_p = match (sampling.top_p.map(f64::from), min_p) {
        (top_p, None) => top_p,
        (top_p, Some(_)) => Some(top_p.unwrap_or(1.0).min(BELOW_ONE)),
    };
    let (frequency, presence, repetition) = penalties(sampling);
    Sampler::new(
        (!greedy).then_some(f64::from(sampling.temperature)),
        0,
        None,
        frequency,
        presence,
        repetition,
        None,
        sampling.top_k.map_or(-1, i64::from),
        top_p.unwrap_or(1.0),
        min_p.unwrap_or(0.0),
        Vec::new(),
    )
    .map_err(|e| engine_error("could not make a sampler", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: GrammarScope = GrammarScope::Content { opener: None };

    #[test]
    fn the_greatest_logit_wins_and_the_last_of_equals() {
        assert_eq!(greatest(&[0.5, 3.0, -1.0, 3.0, 2.0]), 3);
        assert_eq!(greatest(&[f32::NAN, 1.0]), 1);
        let greedy = TokenSampler::new(&Sampling::greedy(1)).unwrap();
        assert_eq!(greedy.sample(&[0.0, 2.0, 1.0], &[7], FREE).unwrap().token, 1);
    }

    #[test]
    fn a_seed_decides_what_is_sampled() {
        let sampling = |seed| Sampling {
            temperature: 1.0,
            seed: Some(seed),
            ..Sampling::greedy(1)
        };
        let draw = |seed| -> Vec<u32> {
            let sampler = TokenSampler::new(&sampling(seed)).unwrap();
            (0..32)
                .map(|_| sampler.sample(&[0.0; 50], &[7], FREE).unwrap().token)
                .collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_penalty_applies_to_a_greedy_choice_too() {
        let sampling = Sampling {
            presence_penalty: 2.0,
            ..Sampling::greedy(1)
        };
        let sampler = TokenSampler::new(&sampling).unwrap();
        assert_eq!(sampler.sample(&[1.0, 2.0], &[1], FREE).unwrap().token, 0);
    }

    #[test]
    fn a_bias_bans_and_forces_but_changes_no_logprob() {
        let logits = [1.0, 2.0, 3.0];
        for temperature in [0.0, 1.0] {
            let sampled = |token, bias| {
                let sampling = Sampling {
                    temperature,
                    seed: Some(5),
                    logit_bias: [(token, bias)].into(),
                    logprobs: Some(3),
                    ..Sampling::greedy(1)
                };
                let sampler = TokenSampler::new(&sampling).unwrap();
                (0..64)
                    .map(|_| sampler.sample(&logits, &[7], FREE).unwrap())
                    .collect::<Vec<_>>()
            };
            assert!(sampled(2, -100.0).iter().all(|sampled| sampled.token != 2));
            for forced in sampled(0, 100.0) {
                assert_eq!(forced.token, 0);
                assert_eq!(forced.scores, Some(Scores::of(&logits, 0, 3)));
            }
        }
    }

    #[test]
    fn nothing_is_scored_unless_it_is_asked_for() {
        let sampler = TokenSampler::new(&Sampling::greedy(1)).unwrap();
        assert_eq!(sampler.sample(&[0.0, 2.0], &[7], FREE).unwrap().scores, None);
    }
}
