//! `riad demo`: a real server with two tenants who are asked the same questions, over HTTP, side by side.
//! Not here: anything that only the demo could do; it uses the same client as the commands.

mod columns;
mod documents;
mod doors;
mod questions;
mod show;
mod stage;
mod verdict;

use crate::{
    cli::DemoArgs,
    commands::chat,
    config::Config,
    output::{self, Output},
    serve::{self, Running},
};
use questions::QUESTIONS;
use riad_core::{Error, ErrorKind, Result};
use serde_json::Value;
use stage::{Cast, Guest};
use std::time::{Duration, Instant};

/// An answer of one tenant's model.
pub struct Asked {
    pub text: String,
    /// Receipt, passages and citations.
    pub riad: Value,
    pub took: Duration,
}

pub async fn run(args: DemoArgs) -> Result<()> {
    let mut config = Config::default();
    let _log = serve::start_telemetry(&config.telemetry, "riad=warn")?;
    let folder = tempfile::tempdir().map_err(Error::internal)?;
    config.server.listen = "127.0.0.1:0".into();
    config.server.data = folder.path().join("data");

    let out = Output::new(false);
    let spinner = output::progress::spinner("loading the models");
    let started = Running::start(&config, None, serve::compiler()?).await;
    spinner.finish_and_clear();
    let server = started?;
    let result = play(&server, &out).await;
    if let (Ok(cast), false) = (&result, args.once) {
        output::line(&show::try_lines(&server.url(), cast, &out));
        serve::signal().await?;
    }
    server.stop().await?;
    result.map(|_| ())
}

async fn play(server: &Running, out: &Output) -> Result<Cast> {
    let key = server
        .new_operator_key
        .clone()
        .ok_or_else(|| Error::internal("a new data folder made no key"))?;
    output::line(&show::opening(&server.url(), out));
    let cast = stage::set(&server.url(), key).await?;
    output::line(&show::rooms(&cast, out));

    let mut asked = Vec::new();
    for question in QUESTIONS {
        // Both at once: two tenants, one base model, each in its own lane.
        let pair = tokio::try_join!(ask(&cast.acme, question.text), ask(&cast.globex, question.text))?;
        output::line(&show::question(
            asked.len() + 1,
            question.text,
            &cast,
            &pair.0,
            &pair.1,
            out,
        ));
        asked.push(pair);
    }
    let (acme, globex) = doors::try_all(&cast).await?;
    output::line(&show::doors(&cast, &acme, &globex, out));

    let mut faults = verdict::faults(&cast, &asked);
    let open = acme.iter().chain(&globex).filter(|door| !door.shut);
    faults.extend(open.map(|door| format!("a door is open: {}: {}", door.tried, door.got)));
    output::line(&show::ending(asked.len() * 2, &faults, out));
    if faults.is_empty() {
        return Ok(cast);
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("the demo found {} faults; they are listed above", faults.len()),
    ))
}

async fn ask(guest: &Guest, question: &str) -> Result<Asked> {
    let begun = Instant::now();
    let mut body = chat::request(&guest.model, question);
    body.insert("temperature".into(), 0.into());
    let answer = chat::ask(&guest.client, body, |_| ()).await?;
    Ok(Asked {
        text: answer.text,
        riad: answer.riad,
        took: begun.elapsed(),
    })
}
