//! Metrics for Prometheus, traces for OpenTelemetry, and the log. [`SPANS`] lists the spans that the server makes and
//! [`ATTRIBUTES`] the fields that leave the process. Not here: when something is measured (`services`, `api`), and who may
//! read metrics (`api`).

mod log;
mod metrics;
mod trace;

pub use log::LogFormat;
pub use metrics::{Metrics, MetricsConfig};
pub use trace::{ATTRIBUTES, Guard, SPANS, TelemetryConfig, ValueForm, follow, parent_from, start};
