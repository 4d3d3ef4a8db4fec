//! What the product has, read from files that its own tests compare with it: the HTTP surface, the help, the configuration's reference and
//! the list of metrics.

use crate::environment::Environment;
use anyhow::{Context, Result};
use regex::Regex;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use toml::{Table, Value};

const SURFACE: &str = "tests/end-to-end/tests/wire/snapshots/wire__openapi__http_surface.snap";
const HELP: &str = "host/app/src/cli/snapshots/riad_app__cli__tests__help.snap";
const CONFIGURATION: &str = "riad.example.toml";
const METRICS: &str = "host/telemetry/tests/metrics/names.rs";
/// Variables of the Hugging Face tools.
const HUB: &str = "host/outbound/src/hub/config.rs";
/// Served beside what is in it.
const DOCUMENT: &str = "/openapi.json";

#[derive(Default)]
pub struct Known {
    /// As a scrape names its samples.
    pub metrics: BTreeSet<String>,
    pub paths: BTreeSet<String>,
    /// Members of `GET /operator/v1/scale`.
    pub signals: BTreeSet<String>,
    pub keys: BTreeSet<String>,
    pub variables: BTreeSet<String>,
    /// Commands by their words behind `riad`, each with its options. Those that have commands below them are there, too.
    pub commands: BTreeMap<String, Command>,
    pub port: String,
    pub drain_ms: u64,
}

#[derive(Default)]
pub struct Command {
    pub options: BTreeSet<String>,
    pub needs_subcommand: bool,
}

impl Known {
    /// # Errors
    /// When a file is not there, or is not written as expected.
    pub fn read(environment: &Environment) -> Result<Self> {
        let text = |name: &str| {
            fs::read_to_string(environment.root.join(name))
                .with_context(|| format!("cannot read {name}, by which host/deploy is checked"))
        };
        let mut known = Self::default();
        known.add_surface(&text(SURFACE)?).context(SURFACE)?;
        known.add_help(&text(HELP)?).context(HELP)?;
        known.add_configuration(&text(CONFIGURATION)?).context(CONFIGURATION)?;
        known.add_metrics(&text(METRICS)?).context(METRICS)?;
        for found in Regex::new(r#""(HF_[A-Z_]+)""#)?.captures_iter(&text(HUB)?) {
            known.variables.insert(found[1].to_owned());
        }
        Ok(known)
    }

    fn add_surface(&mut self, snapshot: &str) -> Result<()> {
        #[derive(Deserialize)]
        struct Surface {
            paths: BTreeMap<String, serde_json::Value>,
            components: Components,
        }
        #[derive(Deserialize)]
        struct Components {
            schemas: Schemas,
        }
        #[derive(Deserialize)]
        struct Schemas {
            #[serde(rename = "Scale")]
            scale: Schema,
        }
        #[derive(Deserialize)]
        struct Schema {
            properties: BTreeMap<String, serde_json::Value>,
        }
        // Insta's metadata come first, between two lines of dashes.
        let document = snapshot.splitn(3, "---\n").nth(2).context("is no snapshot")?;
        let surface: Surface = serde_json::from_str(document)?;
        self.paths = surface.paths.into_keys().chain([DOCUMENT.to_owned()]).collect();
        self.signals = surface.components.schemas.scale.properties.into_keys().collect();
        Ok(())
    }

    fn add_help(&mut self, snapshot: &str) -> Result<()> {
        let usage = Regex::new(r"(?m)^Usage: riad((?: [a-z-]+)*)(.*)$")?;
        let option = Regex::new(r"(?m)^ +(?:-[a-zA-Z], )?(--[a-z-]+)")?;
        let variable = Regex::new(r"\[env: ([A-Z_]+)")?;
        let starts: Vec<_> = usage.captures_iter(snapshot).collect();
        for (index, start) in starts.iter().enumerate() {
            let begin = start.get(0).map_or(0, |whole| whole.start());
            let end = starts
                .get(index + 1)
                .and_then(|next| next.get(0))
                .map_or(snapshot.len(), |whole| whole.start());
            let help = snapshot.get(begin..end).unwrap_or_default();
            let command = Command {
                options: option.captures_iter(help).map(|found| found[1].to_owned()).collect(),
                needs_subcommand: start[2].contains("<COMMAND>"),
            };
            self.commands.insert(start[1].trim().to_owned(), command);
            self.variables
                .extend(variable.captures_iter(help).map(|found| found[1].to_owned()));
        }
        Ok(())
    }

    fn add_configuration(&mut self, reference: &str) -> Result<()> {
        let (section, key) = (Regex::new(r"^\[(.+)\]$")?, Regex::new(r"^#?([a-z_]+) =")?);
        let secret = Regex::new(r"^#   (RIAD_[A-Z_]+):")?;
        let mut inside = "";
        for line in reference.lines() {
            if let Some(found) = section.captures(line).and_then(|found| found.get(1)) {
                inside = found.as_str();
            } else if let Some(found) = key.captures(line) {
                let path = format!("{inside}.{}", &found[1]);
                self.variables
                    .insert(format!("RIAD_{}", path.replace('.', "__").to_uppercase()));
                self.keys.insert(path);
            } else if let Some(found) = secret.captures(line) {
                self.variables.insert(found[1].to_owned());
            }
        }
        let defaults: Table = reference.parse()?;
        let default = |section: &str, name: &str| defaults.get(section).and_then(|section| section.get(name));
        let listen = default("server", "listen").and_then(Value::as_str);
        self.port = listen
            .and_then(|listen| listen.rsplit(':').next())
            .context("has no server.listen")?
            .to_owned();
        let drain = default("limits", "drain_ms").and_then(Value::as_integer);
        self.drain_ms = drain
            .and_then(|drain| drain.try_into().ok())
            .context("has no limits.drain_ms")?;
        Ok(())
    }

    /// Names of families, which the test compares with a scrape, become those of their samples.
    fn add_metrics(&mut self, test: &str) -> Result<()> {
        let family = Regex::new(r#""([a-z_.]+)",\s*MetricType::(\w+),\s*(?:"([^"]*)")?"#)?;
        for found in family.captures_iter(test) {
            // Of the conventions' names, the unit is written as OpenTelemetry's rules for Prometheus say.
            let unit = if found[1].starts_with("gen_ai.") && found.get(3).is_some_and(|unit| unit.as_str() == "s") {
                "_seconds"
            } else {
                ""
            };
            let name = found[1].replace('.', "_") + unit;
            match &found[2] {
                "Counter" => self.metrics.extend([format!("{name}_total")]),
                "Histogram" => self
                    .metrics
                    .extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}"))),
                _ => self.metrics.extend([name]),
            }
        }
        Ok(())
    }

    /// Keys of a configuration file that the server does not have.
    pub fn unknown_keys(&self, table: &Table) -> impl Iterator<Item = String> {
        let mut paths = Vec::new();
        flatten("", table, &mut paths);
        paths.into_iter().filter(|path| !self.keys.contains(path))
    }

    /// A small product, for tests.
    #[cfg(test)]
    pub fn example() -> Self {
        let mut known = Self::default();
        let surface = r#"{"paths": {"/readyz": {}, "/metrics": {}, "/v1/files/{id}": {}, "/operator/v1/scale": {}},
            "components": {"schemas": {"Scale": {"properties": {"pressure": {}}}}}}"#;
        known.add_surface(&format!("---\nsource: x\n---\n{surface}")).unwrap();
        known
            .add_help(
                "Usage: riad <COMMAND>\n\nUsage: riad serve [OPTIONS]\n\n      --config <FILE>  x\n\nUsage: riad scale [OPTIONS]\n\n\
                 Usage: riad room <COMMAND>\n\nUsage: riad room export [OPTIONS] --data <DIR> <TENANT>\n\n      --data <DIR>\n  -h, --help\n",
            )
            .unwrap();
        known
            .add_configuration(
                "#   RIAD_OPERATOR_KEY: The key.\n[server]\nlisten = \"127.0.0.1:8080\"\n[limits]\ndrain_ms = 60000\n[engine]\n#id =\n",
            )
            .unwrap();
        known
            .add_metrics(
                "(\"riad_requests_shed\", MetricType::Counter, None), (\"riad_queue_requests\", MetricType::Gauge, None),\n\
                 (\n\"riad_queue_time_seconds\", MetricType::Histogram, Some(\"seconds\"))",
            )
            .unwrap();
        known.variables.insert("HF_HOME".to_owned());
        known
    }
}

fn flatten(path: &str, table: &Table, paths: &mut Vec<String>) {
    for (name, value) in table {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match value.as_table() {
            Some(table) => flatten(&path, table, paths),
            None => paths.push(path),
        }
    }
}
