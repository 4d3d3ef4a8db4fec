//! A vector for a text of which the model knows no word: each three letters in a row count in a few of its dimensions, so that texts
//! with common parts of words are near each other. Without it such a text had zeros, which are near nothing and no direction at all.

use sha2::{Digest, Sha256};

/// Letters of a part, with one space before and behind each word.
const PART: usize = 3;
/// Dimensions in which a part counts.
const SPREAD: usize = 4;

/// A unit vector, always the same for the same text.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    let mut add = |part: &str| {
        let hash = Sha256::digest(part.as_bytes());
        for bytes in hash.as_slice().chunks_exact(4).take(SPREAD) {
            let number = bytes
                .iter()
                .fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
            let sign = if number & 1 == 0 { 1.0 } else { -1.0 };
            if let Some(value) = vector.get_mut((number >> 1) % dimensions.max(1)) {
                *value += sign;
            }
        }
    };
    for word in text.to_lowercase().split_whitespace() {
        let letters: Vec<char> = format!(" {word} ").chars().collect();
        for part in letters.windows(PART) {
            add(&part.iter().collect::<String>());
        }
    }
    let length = |vector: &[f32]| vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    // Of no part, or of parts that took each other away.
    if length(&vector) == 0.0
        && let Some(first) = vector.first_mut()
    {
        *first = 1.0;
    }
    let length = length(&vector);
    vector.iter().map(|value| value / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(a: &str, b: &str) -> f32 {
        let (a, b) = (vector(a, 256), vector(b, 256));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn every_text_has_a_direction_of_its_own() {
        for text in ["東京タワー", "qzxqv", "\u{1F600}", "a", "", " \n"] {
            let length: f32 = vector(text, 256).iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-5, "{text:?}: {length}");
            assert_eq!(vector(text, 256), vector(text, 256));
        }
        assert!(product("東京タワーの高さ", "東京タワー") > 0.3);
        assert!(product("東京タワー", "北海道の雪") < 0.3);
        assert!(product("QZXQV", "qzxqv") > 0.999);
        assert_eq!(vector("x", 1), [1.0_f32].map(|one| one * vector("x", 1)[0]));
    }
}
