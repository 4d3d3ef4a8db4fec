//! What a line names, and whether it exists.

use super::known::Known;
use anyhow::Result;
use regex::Regex;
use std::sync::LazyLock;

/// Compiled once: a pattern is used for each line. A pattern that is none is an error of each.
type Pattern = LazyLock<Result<Regex, regex::Error>>;

static METRIC: Pattern = LazyLock::new(|| Regex::new(r"\b(?:riad|gen_ai)_[a-z0-9_]+"));
/// Beginnings of keys, which are written like metrics.
const KEY_PREFIXES: [&str; 2] = ["riad_op_", "riad_sk_"];
static VARIABLE: Pattern = LazyLock::new(|| Regex::new(r"\b(?:RIAD|HF)_[A-Z0-9_]+"));
static CONFIGURATION_KEY: Pattern = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[\s`(])((?:server|cell|auth|scheduler|metering|telemetry|engine|embeddings|search|plugins|limits)\.[a-z_]+(?:\.[a-z_]+)*)\b",
    )
});
/// Paths of the API where a manifest names one, in a URL of the server, and in running text.
static PATH: Pattern = LazyLock::new(|| {
    Regex::new(
        r#"(?:(?:path|value): |:\d+|RIAD_URL\}?|[\s`(])(/(?:[a-z]+z|ready|health|metrics|openapi\.json|v\d|operator)(?:/[\w{}.-]+)*)(?:["`\s),;:.]|$)"#,
    )
});
static PORT: Pattern = LazyLock::new(|| {
    Regex::new(r"(?:^\s*(?:- )?containerPort: |^EXPOSE |\briad[a-z0-9.-]*:|//(?:127\.0\.0\.1|localhost):)(\d+)\b")
});
static SIGNAL: Pattern = LazyLock::new(|| Regex::new(r#"valueLocation: "?([\w.]+)"#));
/// A command: at the beginning of a shell's line or behind one of its words, in backticks, or as a list of arguments.
static COMMAND: Pattern = LazyLock::new(|| {
    Regex::new(r#"(?:^ {4,}|^\s*exec |`|\| |&& |; |\$\(|^\w+=|")(?:/opt/riad/)?riad"?,?((?: +"?[^\s`#|;&")]+"?,?)+)"#)
});
static ARGUMENTS: Pattern = LazyLock::new(|| Regex::new(r"^\s*args: \[(.*)\]$"));

/// Everything that a line names and that does not exist.
pub fn faults(known: &Known, line: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for name in all(&METRIC, line)? {
        if !KEY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !known.metrics.contains(name) {
            faults.push(format!("there is no metric {name}"));
        }
    }
    for name in all(&VARIABLE, line)?
        .into_iter()
        .filter(|name| !known.variables.contains(*name))
    {
        faults.push(format!("there is no variable {name}"));
    }
    for key in all(&CONFIGURATION_KEY, line)?
        .into_iter()
        .filter(|key| !known.keys.contains(*key))
    {
        // A tenant's limits have names of their own.
        if !line.contains("riad tenant set") {
            faults.push(format!("there is no configuration key {key}"));
        }
    }
    for path in all(&PATH, line)?.into_iter().filter(|path| !is_path(known, path)) {
        faults.push(format!("there is no path {path}"));
    }
    for port in all(&PORT, line)?.into_iter().filter(|port| *port != known.port) {
        faults.push(format!("{port} is not the server's port, {}", known.port));
    }
    for signal in all(&SIGNAL, line)?
        .into_iter()
        .filter(|signal| !known.signals.contains(*signal))
    {
        faults.push(format!("/operator/v1/scale has no {signal}"));
    }
    for words in all(&COMMAND, line)?.into_iter().chain(all(&ARGUMENTS, line)?) {
        faults.extend(command_fault(known, words));
    }
    Ok(faults)
}

/// What a pattern finds in a line: its group, or the whole if it has none.
fn all<'a>(pattern: &'static Pattern, line: &'a str) -> Result<Vec<&'a str>> {
    let pattern = pattern.as_ref().map_err(Clone::clone)?;
    let found = pattern.captures_iter(line);
    Ok(found
        .filter_map(|found| found.get(1).or_else(|| found.get(0)))
        .map(|found| found.as_str())
        .collect())
}

/// A path, or what paths begin with: routes name prefixes.
fn is_path(known: &Known, path: &str) -> bool {
    let prefix = format!("{}/", path.trim_end_matches('/'));
    known
        .paths
        .iter()
        .any(|known| known == path || known.starts_with(&prefix))
}

/// The words behind `riad`: its commands, arguments and options.
fn command_fault(known: &Known, words: &str) -> Option<String> {
    let words: Vec<&str> = words.split([' ', ',', '"']).filter(|word| !word.is_empty()).collect();
    let mut name = String::new();
    let mut command = known.commands.get("")?;
    for word in &words {
        if !command.needs_subcommand {
            break;
        }
        // Of the program itself.
        if matches!(*word, "--help" | "--version") {
            return None;
        }
        name = format!("{name} {word}").trim().to_owned();
        let Some(found) = known.commands.get(&name) else {
            return Some(format!("there is no command `riad {name}`"));
        };
        command = found;
    }
    let options = words.iter().filter(|word| word.starts_with("--"));
    let unknown = options
        .map(|option| option.split('=').next().unwrap_or(option))
        .find(|option| !command.options.contains(*option))?;
    Some(format!("`riad {name}` has no option {unknown}"))
}
