//! Vectors for cases: the same on every machine, nearer the more words two texts share. Not here: a real model.

use riad_core::Digest;

const DIMENSIONS: usize = 64;

/// A unit vector; zeros for a text without words.
pub fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    for word in words(text) {
        let digest = Digest::of(word.as_bytes());
        let [place, sign, ..] = digest.as_bytes();
        if let Some(value) = vector.get_mut(usize::from(*place) % DIMENSIONS) {
            *value += if sign & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_the_same_words_are_nearer() {
        let similarity = |one: &str, other: &str| -> f32 {
            embed(one)
                .iter()
                .zip(embed(other))
                .map(|(one, other)| one * other)
                .sum()
        };
        assert!((similarity("The red drill", "the RED drill!") - 1.0).abs() < 1e-5);
        assert!(similarity("the red drill", "the blue drill") > similarity("the red drill", "some other text"));
        assert!(embed("…").iter().all(|value| *value == 0.0));
    }
}
