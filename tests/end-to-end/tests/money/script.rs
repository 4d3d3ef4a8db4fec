//! What shall become of a chat request, as a text that its last message carries to the engine and the guests that play it, and
//! what each of them did. Not here: playing it (`engine`, `guests`).

use parking_lot::Mutex;
use riad_core::price::Usage;
use std::{collections::HashMap, sync::Arc};

/// A tenant and one of its keys, by number.
pub type Payer = (usize, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Ends by itself after `tokens`, or at `max_tokens`.
    Ends,
    /// Fails after `tokens`.
    Fails,
    /// Says nothing more after `tokens`, until nobody listens.
    Hangs,
    /// Does not even begin.
    Refuses,
    /// Ends with a call of the first tool, as long as calls are looked for in its answer: else what it writes is text.
    CallsTool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    Works,
    TrapsInRetrieve,
    TrapsInPrompt,
    /// At the piece with this number.
    TrapsInPush(u32),
    TrapsInFinish,
    /// Embeds a text of this many words while it retrieves.
    Embeds(u32),
    Searches,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    pub payer: Payer,
    pub prompt: u32,
    pub tokens: u32,
    pub engine: Engine,
    pub guest: Guest,
}

const ENGINES: [Engine; 5] = [
    Engine::Ends,
    Engine::Fails,
    Engine::Hangs,
    Engine::Refuses,
    Engine::CallsTool,
];

impl Script {
    pub fn write(&self) -> String {
        let engine = ENGINES.iter().position(|engine| *engine == self.engine).unwrap();
        let (guest, amount) = match self.guest {
            Guest::Works => (0, 0),
            Guest::TrapsInRetrieve => (1, 0),
            Guest::TrapsInPrompt => (2, 0),
            Guest::TrapsInPush(piece) => (3, piece),
            Guest::TrapsInFinish => (4, 0),
            Guest::Embeds(words) => (5, words),
            Guest::Searches => (6, 0),
        };
        let (tenant, key) = self.payer;
        format!(
            "{tenant} {key} {} {} {engine} {guest} {amount}",
            self.prompt, self.tokens
        )
    }

    pub fn read(text: &str) -> Self {
        Self::find(text).unwrap()
    }

    /// `None` for another text, such as what a tool answered.
    pub fn find(text: &str) -> Option<Self> {
        let numbers: Vec<u32> = text
            .split(' ')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            payer: (numbers[0] as usize, numbers[1] as usize),
            prompt: numbers[2],
            tokens: numbers[3],
            engine: ENGINES[numbers[4] as usize],
            guest: match numbers[5] {
                0 => Guest::Works,
                1 => Guest::TrapsInRetrieve,
                2 => Guest::TrapsInPrompt,
                3 => Guest::TrapsInPush(numbers[6]),
                4 => Guest::TrapsInFinish,
                5 => Guest::Embeds(numbers[6]),
                _ => Guest::Searches,
            },
        })
    }
}

/// A text that an embedder takes for a payer's.
pub fn text(payer: Payer, words: u32) -> String {
    format!("{}:{}", payer.0, payer.1) + &" word".repeat(words as usize)
}

/// What was done for each payer: by whoever did it, not by whoever bills it.
#[derive(Clone, Default)]
pub struct Truth(Arc<Mutex<HashMap<Payer, Usage>>>);

impl Truth {
    pub fn add(&self, payer: Payer, used: Usage) {
        let mut all = self.0.lock();
        let sum = all.entry(payer).or_default();
        *sum = sum.plus(&used);
    }

    pub fn of(&self, payer: Payer) -> Usage {
        self.0.lock().get(&payer).copied().unwrap_or_default()
    }
}
