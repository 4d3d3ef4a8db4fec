//! A configuration file; after a line `---`, variables of the environment as `NAME=VALUE`. What is accepted is within its checks and
//! is the same when it is written as a file and read again; what is refused is said in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_app::config::{Config, Overrides};
use riad_core::{ErrorKind, Result};
use std::{ffi::OsString, fs, path::PathBuf, sync::LazyLock};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder can be made"));

fuzz_target!(|input: &str| {
    let (file, environment) = input.split_once("\n---\n").unwrap_or((input, ""));
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    match load(file, variables.collect()) {
        Ok(config) => {
            let written = toml::to_string(&config).expect("a configuration can be written");
            let again = load(&written, Vec::new()).expect("what was written can be read");
            assert_eq!(again, config);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            assert!(!error.message().contains('\n'), "{error}");
        }
    }
});

fn load(file: &str, environment: Vec<(OsString, OsString)>) -> Result<Config> {
    let path: PathBuf = FOLDER.path().join("riad.toml");
    fs::write(&path, file).expect("the file can be written");
    Config::load(Some(&path), environment, &Overrides::default())
}
