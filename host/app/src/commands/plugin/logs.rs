//! `riad plugin logs`.

use crate::{
    client::Client,
    commands::date,
    output::{Output, clean, data_line, dim, line, note},
};
use riad_api_types::logs::{LogLine, LogList};
use riad_core::{Error, Result, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Between two questions for what is new.
const PAUSE: Duration = Duration::from_millis(700);

pub async fn run(follow: bool, client: &Client, out: &Output) -> Result<()> {
    let mut log = Log::new(client);
    loop {
        let news = log.news().await?;
        for found in &news {
            show(found, out)?;
        }
        if !follow {
            if news.is_empty() {
                note("No plugin of this tenant has logged anything since the server started.");
            }
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Text for people, a line of JSON for programs.
pub fn show(found: &LogLine, out: &Output) -> Result<()> {
    if out.is_json() {
        let json: Value = serde_json::to_value(found).map_err(Error::internal)?;
        data_line(&json.to_string());
    } else {
        let time = date(Timestamp::from_seconds(found.time));
        line(&format!(
            "{} {:5} {}",
            dim(&time),
            clean(&found.level),
            clean(&found.message)
        ));
    }
    Ok(())
}

/// The tenant's log as far as it was read. The server keeps the latest few hundred lines, and they have no number.
pub struct Log<'a> {
    client: &'a Client,
    known: Vec<LogLine>,
}

impl<'a> Log<'a> {
    pub fn new(client: &'a Client) -> Self {
        Self {
            client,
            known: Vec::new(),
        }
    }

    /// What was logged since the last call; everything at the first.
    pub async fn news(&mut self) -> Result<Vec<LogLine>> {
        let mut found: LogList = self.client.get("/v1/logs").await?.body;
        let news = found.data.split_off(overlap(&self.known, &found.data));
        // What the server has dropped meanwhile is forgotten here too.
        self.known = std::mem::take(&mut found.data);
        self.known.extend(news.iter().map(copy));
        Ok(news)
    }
}

fn copy(line: &LogLine) -> LogLine {
    LogLine {
        time: line.time,
        level: line.level.clone(),
        message: line.message.clone(),
    }
}

/// How many lines at the beginning of `new` are the end of `old`: as many as can be.
fn overlap(old: &[LogLine], new: &[LogLine]) -> usize {
    let same = |(one, other): (&LogLine, &LogLine)| {
        one.time == other.time && one.level == other.level && one.message == other.message
    };
    (0..old.len())
        .filter_map(|start| old.get(start..))
        .find(|rest| rest.len() <= new.len() && rest.iter().zip(new).all(same))
        .map_or(0, <[_]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(messages: &[&str]) -> Vec<LogLine> {
        let line = |message: &&str| LogLine {
            time: 1,
            level: "info".into(),
            message: (*message).to_owned(),
        };
        messages.iter().map(line).collect()
    }

    #[test]
    fn lines_that_were_shown_are_not_shown_again() {
        for (old, new, known) in [
            (&[][..], &["a", "b"][..], 0),
            (&["a", "b"], &["a", "b"], 2),
            (&["a", "b"], &["a", "b", "c"], 2),
            (&["a", "b"], &["b", "c"], 1),
            (&["a", "b"], &["c", "d"], 0),
            (&["a", "a"], &["a", "a", "a"], 2),
            (&["a"], &[], 0),
        ] {
            assert_eq!(overlap(&lines(old), &lines(new)), known, "{old:?} {new:?}");
        }
    }
}
