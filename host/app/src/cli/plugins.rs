//! `riad plugin` as types.

use super::values::stage;
use clap::{Args, Subcommand};
use riad_core::{
    Digest, PluginName,
    manifest::Language,
    plugin::{Stage, StageChoice},
};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Make a folder with a plugin that works: source, tests, manifest, and the SDK
    New {
        /// rust, js or python
        #[arg(long = "lang", value_name = "LANGUAGE")]
        language: Language,
        /// Name of the plugin and of the folder: 1 to 64 of a-z, 0-9, '-' and '_'
        name: PluginName,
    },
    /// Build the component of a plugin's folder, into build/NAME.wasm
    Build(ProjectFolder),
    /// Show what a component imports and exports, its stages, size, API version and manifest
    Inspect {
        /// A WebAssembly component
        file: PathBuf,
    },
    /// Build, and run the cases in tests/*.json in the server's sandbox with a room of their own
    Test {
        #[command(flatten)]
        project: ProjectFolder,
        /// Write what came out into the cases, as what is expected from now on
        #[arg(long)]
        update: bool,
        /// Replay the request of this receipt instead, one to /v1/responses; with --update it becomes a case of its own
        #[arg(long, value_name = "NUMBER")]
        from_receipt: Option<u64>,
    },
    /// Build, and measure each case of tests/*.json
    Bench {
        #[command(flatten)]
        project: ProjectFolder,
        /// How often each case runs
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        runs: u32,
    },
    /// Build the plugin of a folder, upload it and activate its stages; or upload a component that is there
    Deploy {
        /// The plugin's folder; with FILE, the plugin's name
        #[arg(default_value = ".", value_name = "DIR|NAME")]
        target: PathBuf,
        /// A WebAssembly component, to be uploaded under NAME
        file: Option<PathBuf>,
        /// With FILE: a stage to activate
        #[arg(long = "stage", value_name = "STAGE", value_delimiter = ',', value_parser = stage, requires = "file")]
        stages: Vec<Stage>,
        /// Let the version serve this share of the requests, 1 to 100, instead of all. The server ends it by itself if it fails more often
        /// than what serves the others
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
        canary: Option<u32>,
    },
    /// Watch a plugin's folder: build and deploy after each change, and print what the plugin logs
    Dev(ProjectFolder),
    /// List the versions of all plugins
    List,
    /// List the versions of one plugin, and the stages that each serves, of all requests or as a canary
    Versions {
        /// The plugin's name
        name: PluginName,
    },
    /// Let a plugin's canary serve all requests
    Promote {
        /// The plugin's name
        name: PluginName,
    },
    /// Let another version serve every stage that the plugin serves: the one that was uploaded before, or --to. While the plugin has a
    /// canary: end that, and leave the stages as they are
    Rollback {
        /// The plugin's name
        name: PluginName,
        /// sha256:…, as `plugin versions --json` shows it
        #[arg(long, value_name = "VERSION")]
        to: Option<Digest>,
    },
    /// Print what the tenant's plugins have logged
    Logs {
        /// Go on printing what is logged from now on
        #[arg(long, short)]
        follow: bool,
    },
    /// Delete a version that the pipeline does not name
    Delete {
        /// As in a pipeline: name@sha256:…
        #[arg(value_name = "NAME@VERSION")]
        version: StageChoice,
    },
}

#[derive(Debug, Args)]
pub struct ProjectFolder {
    /// The plugin's folder, with riad.toml in it
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
}
