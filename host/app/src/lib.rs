//! The binary `riad` as a library: command line, configuration, composition root and demo.
//!
//! [`wire`] connects the server's parts; the commands are HTTP clients that do not know those parts.

pub mod cli;
pub mod client;
mod commands;
pub mod config;
pub mod demo;
pub mod exit;
mod instance;
mod model_files;
pub mod output;
pub mod serve;
pub mod wire;

/// What the unit tests share with those in `tests/` names the library as those do.
#[cfg(test)]
extern crate self as riad_app;

use clap::Parser;
use cli::{Cli, Command};
use output::Output;
use riad_core::{Error, Result};
use std::{env::ArgsOs, io, process::ExitCode};

/// Parses the command line, runs it and says with the exit code how it went.
pub fn run(args: ArgsOs) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version arrive here too, with code 0. If the output is closed, nobody reads it.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    if matches!(cli.command, Command::CompilePlugin) {
        // Without a runtime: its threads would count against this process's memory limit.
        let compiled = riad_sandbox::compile_child(io::stdin().lock(), io::stdout().lock());
        return ended(compiled.map(|()| ExitCode::SUCCESS));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return ended(Err(Error::internal(error))),
    };
    let result = runtime.block_on(dispatch(cli.command));
    // Blocking work that hangs must not delay the exit; everything that must finish has finished.
    runtime.shutdown_background();
    ended(result)
}

fn ended(result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::from(exit::code(error.kind()))
        }
    }
}

async fn dispatch(command: Command) -> Result<ExitCode> {
    if let Command::Serve(args) = command {
        return serve::run(args).await;
    }
    if let Command::Plugin(call) = command {
        // Its tests say with the exit code whether they hold.
        return commands::plugin::run(call.command, &call.at).await;
    }
    call(command).await.map(|()| ExitCode::SUCCESS)
}

/// The commands that end by themselves.
async fn call(command: Command) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Tenant(call) => {
            commands::tenant::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await
        }
        Command::Key(call) => commands::key::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await,
        Command::Plan(call) => commands::plan::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await,
        Command::Ledger(call) => commands::ledger::run(call.command, &call.at, &Output::new(call.at.json)).await,
        Command::Room(command) => commands::room::run(command).await,
        Command::Cell(command) => commands::cell::run(command).await,
        Command::Audit(args) => commands::audit::run(&args, &args.at.client()?, &Output::new(args.at.json)).await,
        Command::Scale(args) => commands::scale::run(&args.at.client()?, &Output::new(args.at.json)).await,
        Command::Usage(args) => {
            commands::usage::run(&args.question, &args.at.client()?, &Output::new(args.at.json)).await
        }
        Command::Receipt(command) => commands::receipt::run(command).await,
        Command::Model(command) => commands::model::run(command),
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Document(call) => {
            commands::document::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await
        }
        Command::Pipeline(call) => {
            commands::pipeline::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await
        }
        Command::Settings(call) => {
            commands::settings::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await
        }
        Command::Adapter(call) => {
            commands::adapter::run(call.command, &call.at.client()?, &Output::new(call.at.json)).await
        }
        Command::Chat(args) => commands::chat::run(&args, &args.at.client()?, &Output::new(args.at.json)).await,
        Command::Search(args) => commands::search::run(&args, &args.at.client()?, &Output::new(args.at.json)).await,
        Command::CompilePlugin | Command::Plugin(_) | Command::Serve(_) => {
            Err(Error::internal("not one of the commands that are called"))
        }
        Command::Models(args) => commands::models::run(&args.at.client()?, &Output::new(args.at.json)).await,
    }
}
