//! The standard pipeline as native code: what `plugins/standard` does, by the functions that it is made of, with a room in memory like the
//! benchmark's; and the masking of a text.

use peer_protocol::{Answer, Question, Result, serve, time};
use riad_pipeline::AnswerCheck;
use riad_sdk::{Message, Passage, Profile, Request, StageError};
use serde::Deserialize;
use std::hint::black_box;

/// As `plugins/standard` has it.
const QUERY_CHARACTERS: usize = 2000;

#[derive(Deserialize)]
struct World {
    question: String,
    profile: WorldProfile,
    passages: Vec<WorldPassage>,
    /// What the model writes.
    pieces: Vec<String>,
    text: String,
}

#[derive(Deserialize)]
struct WorldProfile {
    id: String,
    context_tokens: u32,
    prompt_tokens: u32,
    passages: u32,
    sentences: u32,
    max_tokens: u32,
}

#[derive(Deserialize)]
struct WorldPassage {
    document: String,
    chunk: u32,
    title: String,
    text: String,
    score: f64,
    metadata: String,
}

struct Room {
    request: Request,
    passages: Vec<Passage>,
    pieces: Vec<String>,
    text: String,
}

fn main() -> Result<()> {
    serve(|world: World| Ok(Room::from(world)), answer)
}

fn answer(room: &mut Room, question: &Question) -> Result<Answer> {
    match question.task.as_str() {
        "pipeline" => time(question.times, || room.pipeline()),
        "mask" => time(question.times, || Ok(masking::mask(black_box(&room.text)))),
        other => Err(format!("there is no task `{other}`").into()),
    }
}

impl From<World> for Room {
    fn from(world: World) -> Self {
        let WorldProfile {
            id,
            context_tokens,
            prompt_tokens,
            passages,
            sentences,
            max_tokens,
        } = world.profile;
        let passage = |passage: WorldPassage| Passage {
            document: passage.document,
            chunk: passage.chunk,
            title: passage.title,
            text: passage.text,
            score: passage.score,
            metadata: passage.metadata,
        };
        Self {
            request: Request {
                messages: vec![Message::user(world.question)],
                profile: Profile {
                    id,
                    context_tokens,
                    prompt_tokens,
                    passages,
                    sentences,
                },
                max_tokens,
            },
            passages: world.passages.into_iter().map(passage).collect(),
            pieces: world.pieces,
            text: world.text,
        }
    }
}

impl Room {
    /// Gives the prompt's last message and the number of grounded citations, for a comparison.
    fn pipeline(&self) -> Result<String> {
        let failed = |error: StageError| format!("{error:?}");
        let request = black_box(&self.request).clone();
        let query: String = request
            .question()
            .map_err(failed)?
            .chars()
            .take(QUERY_CHARACTERS)
            .collect();
        let found = self.search(black_box(&query), riad_pipeline::search_limit(&request.profile));
        let prompt = riad_pipeline::build(&request, found, count_tokens).map_err(failed)?;
        let last = prompt
            .messages
            .last()
            .map(|message| message.content.clone())
            .unwrap_or_default();
        let mut check = AnswerCheck::new(prompt);
        let mut written = 0;
        for piece in &self.pieces {
            check.push(piece);
            written += black_box(piece.clone()).len();
        }
        let grounded = check.finish().iter().filter(|citation| citation.grounded).count();
        Ok(format!("{last}\n{written} bytes, {grounded} grounded"))
    }

    /// Finds all that there is, as the benchmark's room does.
    fn search(&self, _query: &str, limit: u32) -> Vec<Passage> {
        self.passages.iter().take(limit as usize).cloned().collect()
    }
}

/// Words, as the benchmark's room counts them.
fn count_tokens(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}
