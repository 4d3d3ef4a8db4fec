//! What the server answers: OpenAI's list of embeddings. Source: <https://platform.openai.com/docs/api-reference/embeddings/create>.

use reqwest::Response;
use serde::Deserialize;

/// Of one number with its comma, as text: `f64` needs up to 24.
const NUMBER_BYTES: usize = 32;
/// What is around the numbers of one vector.
const VECTOR_BYTES: usize = 256;

pub(super) struct Answer {
    /// Unit vectors in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    pub tokens: u64,
}

#[derive(Deserialize)]
struct Body {
    data: Vec<Embedding>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

/// The most that a body of so many vectors may have.
pub(super) fn most_bytes(texts: usize, dimensions: usize) -> usize {
    dimensions
        .saturating_mul(NUMBER_BYTES)
        .saturating_add(VECTOR_BYTES)
        .saturating_mul(texts.saturating_add(1))
}

/// The body, cut behind `most` bytes: what is longer is no answer that [`Answer::read`] takes.
pub(super) async fn read(mut response: Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(piece.get(..most - body.len()).unwrap_or(&piece));
        if body.len() == most {
            break;
        }
    }
    Ok(body)
}

/// For the log: whatever comes of it, in one line.
pub(super) async fn read_beginning(response: Response, most: usize) -> String {
    let body = read(response, most).await.unwrap_or_default();
    String::from_utf8_lossy(&body).replace(char::is_control, " ")
}

impl Answer {
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(body: &[u8], texts: usize, dimensions: usize) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        // What cannot be billed exactly is not used.
        let usage = body.usage.ok_or("it has no usage.prompt_tokens")?;
        let mut data = body.data;
        data.sort_by_key(|embedding| embedding.index);
        if !data.iter().map(|embedding| embedding.index).eq(0..texts) {
            return Err(format!(
                "it has {} vectors for {texts} texts, or their numbers are wrong",
                data.len()
            ));
        }
        let vectors = data.into_iter().map(|embedding| unit(embedding.embedding, dimensions));
        Ok(Self {
            vectors: vectors.collect::<Result<_, _>>()?,
            tokens: usage.prompt_tokens,
        })
    }
}

fn unit(mut vector: Vec<f32>, dimensions: usize) -> Result<Vec<f32>, String> {
    if vector.len() != dimensions {
        return Err(format!(
            "a vector has {} numbers where embeddings.dimensions says {dimensions}",
            vector.len()
        ));
    }
    let length = vector
        .iter()
        .map(|number| f64::from(*number).powi(2))
        .sum::<f64>()
        .sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(format!("a vector has the length {length}"));
    }
    for number in &mut vector {
        #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
        {
            *number = (f64::from(*number) / length) as f32;
        }
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_in_the_order_of_the_texts_and_have_the_length_1() {
        let body = br#"{"object": "list", "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7},
            "data": [{"object": "embedding", "index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]}"#;
        let answer = Answer::read(body, 2, 2).unwrap();
        assert_eq!(answer.vectors, [vec![0.6, 0.8], vec![0.0, 1.0]]);
        assert_eq!(answer.tokens, 7);
    }

    #[test]
    fn what_is_no_answer_is_said() {
        let cases = [
            (r#"{"data": [{"index": 0, "embedding": [1, 0]}]}"#, "usage"),
            (r#"{"data": [], "usage": {"prompt_tokens": 1}}"#, "0 vectors for 1"),
            (
                r#"{"data": [{"index": 1, "embedding": [1, 0]}], "usage": {"prompt_tokens": 1}}"#,
                "numbers are wrong",
            ),
            (
                r#"{"data": [{"index": 0, "embedding": [1]}], "usage": {"prompt_tokens": 1}}"#,
                "1 numbers",
            ),
            (
                r#"{"data": [{"index": 0, "embedding": [0, 0]}], "usage": {"prompt_tokens": 1}}"#,
                "length 0",
            ),
            (
                r#"{"data": [{"index": 0, "embedding": [1e39, 0]}], "usage": {"prompt_tokens": 1}}"#,
                "out of range",
            ),
            (r#"{"data": [{"index": 0, "emb"#, "EOF"),
        ];
        for (body, expected) in cases {
            let error = Answer::read(body.as_bytes(), 1, 2)
                .map(|answer| answer.tokens)
                .unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
