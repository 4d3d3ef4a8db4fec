//! The log on stderr.

use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, filter::LevelFilter, fmt, registry::LookupSpan};

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line: `timestamp`, `level`, `target`, `message` and the other fields; `spans` has the surrounding spans with
    /// their fields, the outermost first, of which `request` has the request's id.
    Json,
}

/// Writes lines to stderr, filtered by `RUST_LOG` or, without it, by `default_filter` and warnings of other targets.
pub(crate) fn layer<S>(format: LogFormat, default_filter: &str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into());
    let filter = match std::env::var_os(EnvFilter::DEFAULT_ENV) {
        Some(_) => filter.from_env_lossy(),
        // A default directive applies only if there is no other.
        None => filter.parse_lossy(format!("warn,{default_filter}")),
    };
    // Colors only on a terminal, not in a file or a collector.
    let colors = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colors);
    match format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .with_filter(filter)
            .boxed(),
    }
}
