//! The binary `riad`. Not here: everything it does (`riad_app`).

use std::process::ExitCode;

fn main() -> ExitCode {
    riad_app::run(std::env::args_os())
}
