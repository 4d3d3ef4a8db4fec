//! How the benchmark of plugins asks a peer, which is a process of its own: the first line that it reads is the world, each further line a
//! question; each answer is a line too, all of it JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    error::Error,
    io::{BufRead, Write},
    time::{Duration, Instant},
};

#[derive(Deserialize)]
pub struct Question {
    pub task: String,
    /// How often it is done, each time timed by itself.
    pub times: usize,
}

#[derive(Serialize)]
pub struct Answer {
    pub nanoseconds: Vec<u64>,
    /// What the last one gave, for a comparison with other peers' results.
    pub result: String,
}

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Answers questions until the input ends. `prepare` gets the world once, `answer` does a task.
///
/// # Errors
/// Those of the streams, of what is no question, and of the task.
pub fn serve<W: DeserializeOwned, P>(
    prepare: impl FnOnce(W) -> Result<P>,
    mut answer: impl FnMut(&mut P, &Question) -> Result<Answer>,
) -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let world = lines.next().ok_or("no world came")??;
    let mut prepared = prepare(serde_json::from_str(&world)?)?;
    let mut output = std::io::stdout().lock();
    for line in lines {
        let question = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut output, &answer(&mut prepared, &question)?)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

/// Does a task so often and times each.
///
/// # Errors
/// The first of the task's.
pub fn time(times: usize, mut task: impl FnMut() -> Result<String>) -> Result<Answer> {
    let mut nanoseconds = Vec::with_capacity(times);
    let mut result = String::new();
    for _ in 0..times {
        let begun = Instant::now();
        result = task()?;
        nanoseconds.push(as_nanoseconds(begun.elapsed()));
    }
    Ok(Answer { nanoseconds, result })
}

fn as_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
