//! `riad demo`: a real server with two tenants, which gets the same questions from both and shows the answers side by side.
//! It uses the same HTTP client as the commands.

mod answer;
mod attempts;
mod checks;
mod columns;
mod documents;
mod questions;
mod render;
mod setup;

use crate::{
    cli::DemoArgs,
    config::{Config, Secrets},
    output,
    serve::{self, Running},
};
use answer::ask;
use questions::QUESTIONS;
use riad_core::{Error, ErrorKind, Result};
use setup::Tenants;

pub async fn run(args: DemoArgs) -> Result<()> {
    let mut config = Config::default();
    let _log = serve::start_telemetry(&config.telemetry, "riad=warn")?;
    let folder = tempfile::tempdir().map_err(Error::internal)?;
    config.server.listen = "127.0.0.1:0".into();
    config.server.data = folder.path().join("data");
    // The demo's plugins come with this program, so that it runs on every kernel.
    config.plugins.allow_unconfined_compiler = true;

    let spinner = output::progress::spinner("loading the models");
    let started = Running::start(&config, Secrets::default(), serve::compiler(&config)?).await;
    spinner.finish_and_clear();
    let server = started?;
    let result = play(&server).await;
    if let (Ok(tenants), false) = (&result, args.once) {
        output::line(&render::commands_to_try(&server.url(), tenants));
        serve::signal().await?;
    }
    server.stop().await?;
    result.map(|_| ())
}

async fn play(server: &Running) -> Result<Tenants> {
    let key = server
        .new_operator_key
        .clone()
        .ok_or_else(|| Error::internal("a new data folder made no key"))?;
    output::line(&render::opening(&server.url()));
    let tenants = setup::create(&server.url(), key).await?;
    output::line(&render::rooms(&tenants));

    let mut answers = Vec::new();
    for question in QUESTIONS {
        // Both at once: two tenants, one base model, one batch.
        let pair = tokio::try_join!(ask(&tenants.acme, question.text), ask(&tenants.globex, question.text))?;
        let number = answers.len() + 1;
        output::line(&render::question(number, question.text, &tenants, &pair.0, &pair.1));
        answers.push(pair);
    }
    let (acme, globex) = attempts::run(&tenants).await?;
    output::line(&render::attempts(&tenants, &acme, &globex));

    let mut failures = checks::failures(&tenants, &answers);
    let reached = acme.iter().chain(&globex).filter(|attempt| !attempt.prevented);
    failures.extend(reached.map(|attempt| format!("{}: {}", attempt.action, attempt.response)));
    output::line(&render::ending(answers.len() * 2, &failures));
    if failures.is_empty() {
        return Ok(tenants);
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("{} checks of the demo failed; they are listed above", failures.len()),
    ))
}
