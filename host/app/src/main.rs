//! The binary `riad`.

use std::process::ExitCode;

fn main() -> ExitCode {
    riad_app::run(std::env::args_os())
}
