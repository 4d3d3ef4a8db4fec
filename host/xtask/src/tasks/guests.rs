//! `cargo xtask guests`: builds the components and puts each, with a digest of what it was built from, where it is
//! committed. `--check` verifies the digests, and the bytes where the same compiler is installed.
//! Not here: which guests there are (`discover`).

mod build;
mod compiler;
mod digest;
mod discover;
mod javascript;

use crate::{environment::Environment, say};
use anyhow::{Context, Result, bail};
use compiler::{Compiler, TARGET};
use digest::Record;
use discover::Guest;
use std::fs;

#[derive(clap::Args)]
pub struct Arguments {
    /// Build nothing that is missing; verify what is committed
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// As `--check`.
    pub fn checking() -> Self {
        Self { check: true }
    }
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let guests = discover::guests(&environment.root)?;
    javascript::check(&guests)?;
    if arguments.check {
        check(environment, &guests)
    } else {
        make(environment, &guests)
    }
}

fn make(environment: &Environment, guests: &[Guest]) -> Result<()> {
    let Some(compiler) = Compiler::find(environment)? else {
        bail!(
            "the installed Rust cannot build guests: run `rustup target add {TARGET}` in this repository, then this again"
        );
    };
    say::line(&format!("guests: {}", compiler.version));
    for guest in guests {
        let component = build::build(environment, guest, &compiler)?;
        let record = Record::of(environment, guest, &component, &compiler.version)?;
        fs::write(&guest.component, &component)
            .with_context(|| format!("cannot write {}", guest.component.display()))?;
        record.write(guest)?;
        say::line(&format!("guests: {} has {} bytes", guest.name, component.len()));
    }
    Ok(())
}

fn check(environment: &Environment, guests: &[Guest]) -> Result<()> {
    let compiler = Compiler::find(environment)?;
    let mut wrong = Vec::new();
    let mut compared = 0;
    for guest in guests {
        let record = Record::read(guest)?;
        let committed =
            fs::read(&guest.component).with_context(|| format!("cannot read {}", guest.component.display()))?;
        let now = Record::of(environment, guest, &committed, &record.compiler)?;
        let differences = record.differences(&now);
        if !differences.is_empty() {
            wrong.push(format!(
                "{}: the {} changed since it was built",
                guest.name,
                differences.join(" and the ")
            ));
            continue;
        }
        if let Some(compiler) = compiler.as_ref().filter(|compiler| compiler.version == record.compiler) {
            compared += 1;
            if build::build(environment, guest, compiler)? != committed {
                wrong.push(format!("{}: building it gives other bytes", guest.name));
            }
        }
    }
    if !wrong.is_empty() {
        bail!(
            "{}\nrun `cargo xtask guests` and commit what it writes",
            wrong.join("\n")
        );
    }
    let left = guests.len() - compared;
    say::line(&format!(
        "guests: {} digests match; {compared} were built again and are the same byte for byte{}",
        guests.len(),
        if left > 0 {
            format!(", for {left} the compiler that built them is not here")
        } else {
            String::new()
        }
    ));
    Ok(())
}
