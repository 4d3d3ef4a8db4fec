//! Logarithms of tokens' probabilities, and which of them go out with a piece of text. Not here: what chooses a token (`sampling`).

use riad_core::{
    Error,
    chat::{Sampling, ScoredToken, TokenLogprobs},
};
use std::{cmp::Ordering, collections::VecDeque};

/// The logarithms of a sampled token's probability and of the likeliest tokens' at its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    pub chosen: f32,
    /// The likeliest first.
    pub top: Vec<(u32, f32)>,
}

impl Scores {
    /// Of the softmax of `logits`. Of equal tokens the last is the likeliest, because a greedy choice takes it.
    pub fn of(logits: &[f32], token: u32, top: u32) -> Self {
        // A logit that is no number is one that cannot be chosen.
        let logit = |token: u32| {
            let logit = logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
            if logit.is_nan() { f32::NEG_INFINITY } else { logit }
        };
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let above_greatest = |logit: f32| f64::from(logit) - f64::from(greatest);
        let sum: f64 = logits
            .iter()
            .filter(|logit| !logit.is_nan())
            .map(|logit| above_greatest(*logit).exp())
            .sum();
        #[expect(clippy::cast_possible_truncation, reason = "the result is an f32, rounded once")]
        let logprob = |token: u32| ((above_greatest(logit(token)) - sum.ln()) as f32).max(ScoredToken::LEAST);
        let likelier = |a: &u32, b: &u32| {
            let by_logit = logit(*b).partial_cmp(&logit(*a)).unwrap_or(Ordering::Equal);
            by_logit.then_with(|| b.cmp(a))
        };
        let mut tokens: Vec<u32> = Vec::new();
        let wanted = (top as usize).min(logits.len());
        if wanted > 0 {
            tokens.extend((0..).zip(logits).map(|(token, _)| token));
            tokens.select_nth_unstable_by(wanted - 1, likelier);
            tokens.truncate(wanted);
            tokens.sort_unstable_by(likelier);
        }
        Self {
            chosen: logprob(token),
            top: tokens.into_iter().map(|token| (token, logprob(token))).collect(),
        }
    }

    /// With the tokens' texts, of which `token` is the sampled one's.
    pub fn with_texts(self, token: u32, score: impl Fn(u32, f32) -> ScoredToken) -> TokenLogprobs {
        TokenLogprobs {
            token: score(token, self.chosen),
            top: self
                .top
                .into_iter()
                .map(|(token, logprob)| score(token, logprob))
                .collect(),
        }
    }
}

/// Tokens' logprobs until the text that they belong to goes out: a stop sequence may still take it away.
#[derive(Debug, Default)]
pub(crate) struct PendingLogprobs {
    tokens: VecDeque<PendingToken>,
    /// Bytes of text that the tokens so far have.
    read: usize,
    /// Bytes of text that went out.
    sent: usize,
}

#[derive(Debug)]
struct PendingToken {
    first_byte: usize,
    end: usize,
    logprobs: TokenLogprobs,
}

impl PendingLogprobs {
    /// A token that adds `bytes` bytes to the text.
    pub fn push(&mut self, bytes: usize, logprobs: Option<TokenLogprobs>) {
        let first_byte = self.read;
        self.read += bytes;
        if let Some(logprobs) = logprobs {
            self.tokens.push_back(PendingToken {
                first_byte,
                end: self.read,
                logprobs,
            });
        }
    }

    /// Those of the tokens whose text is out when `bytes` more bytes are sent.
    pub fn sent(&mut self, bytes: usize) -> Vec<TokenLogprobs> {
        self.sent += bytes;
        let sent = self.sent;
        self.take_while(|token| token.end <= sent)
    }

    /// The same for the last text before a stop sequence, which may begin within a token. What comes after is forgotten.
    pub fn cut(&mut self, bytes: usize) -> Vec<TokenLogprobs> {
        self.sent += bytes;
        let sent = self.sent;
        let before = self.take_while(|token| token.first_byte < sent);
        self.tokens.clear();
        before
    }

    /// The rest, when nothing was cut.
    pub fn finish(&mut self) -> Vec<TokenLogprobs> {
        self.take_while(|_| true)
    }

    fn take_while(&mut self, goes: impl Fn(&PendingToken) -> bool) -> Vec<TokenLogprobs> {
        let count = self.tokens.iter().take_while(|token| goes(token)).count();
        self.tokens.drain(..count).map(|token| token.logprobs).collect()
    }
}

/// # Errors
/// `InvalidRequest` with a token that the model does not have.
pub(crate) fn check_bias(sampling: &Sampling, vocabulary: usize) -> Result<(), Error> {
    match sampling.logit_bias.keys().find(|token| **token as usize >= vocabulary) {
        None => Ok(()),
        Some(token) => Err(Error::invalid(format!(
            "logit_bias names the token {token}, but this model's tokens are 0 to {}",
            vocabulary.saturating_sub(1)
        ))
        .with_param("logit_bias")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with more digits: e^2, e^1, e^0 and e^-1 over their sum.
    #[test]
    fn logprobs_are_those_of_the_softmax() {
        let scores = Scores::of(&[1.0, 0.0, 2.0, -1.0], 1, 4);
        let expected = [
            (2, -0.440_189_7),
            (0, -1.440_189_7),
            (1, -2.440_189_7),
            (3, -3.440_189_7),
        ];
        for ((token, logprob), (expected_token, expected)) in scores.top.iter().zip(expected) {
            assert_eq!(*token, expected_token);
            assert!((logprob - expected).abs() < 1e-6, "{logprob} {expected}");
        }
        assert_eq!(scores.chosen, scores.top[2].1);
        let sum: f64 = scores.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn the_likeliest_are_sorted_and_of_equals_the_last_is_first() {
        let logits = [0.5, 3.0, -1.0, 3.0, 2.0];
        let tokens = |top| {
            Scores::of(&logits, 0, top)
                .top
                .iter()
                .map(|(token, _)| *token)
                .collect::<Vec<_>>()
        };
        assert_eq!(tokens(0), [0_u32; 0]);
        assert_eq!(tokens(3), [3, 1, 4]);
        assert_eq!(tokens(20), [3, 1, 4, 0, 2]);
    }

    #[test]
    fn numbers_that_json_lacks_are_the_least_logprob() {
        let scores = Scores::of(&[f32::NAN, 0.0, f32::NEG_INFINITY], 0, 3);
        assert_eq!(scores.chosen, ScoredToken::LEAST);
        assert_eq!(scores.top[0], (1, 0.0));
        assert!(
            scores.top[1..]
                .iter()
                .all(|(_, logprob)| *logprob == ScoredToken::LEAST)
        );
    }

    fn named(text: &str) -> Option<TokenLogprobs> {
        Some(TokenLogprobs {
            token: ScoredToken {
                text: text.to_owned(),
                bytes: None,
                logprob: 0.0,
            },
            top: Vec::new(),
        })
    }

    fn names(logprobs: Vec<TokenLogprobs>) -> Vec<String> {
        logprobs.into_iter().map(|logprobs| logprobs.token.text).collect()
    }

    #[test]
    fn a_token_goes_out_with_the_last_byte_of_its_text() {
        let mut pending = PendingLogprobs::default();
        pending.push(2, named("ab"));
        pending.push(0, named("half a character"));
        pending.push(3, named("€"));
        assert_eq!(names(pending.sent(1)), [""; 0]);
        assert_eq!(names(pending.sent(1)), ["ab", "half a character"]);
        assert_eq!(names(pending.sent(3)), ["€"]);
        pending.push(1, named("c"));
        assert_eq!(names(pending.finish()), ["c"]);
    }

    #[test]
    fn what_a_stop_sequence_takes_away_never_goes_out() {
        let mut pending = PendingLogprobs::default();
        pending.push(3, named("abS"));
        pending.push(2, named("TO"));
        pending.push(2, named("Px"));
        assert_eq!(names(pending.cut(2)), ["abS"]);
        assert_eq!(names(pending.finish()), [""; 0]);
    }
}
