//! Metrics for Prometheus, traces for OpenTelemetry, and the log. Not here: what is measured where (`services`, `api`), and who
//! may read it (`api`).
//!
//! Spans that the server makes, from the outside in; [`ATTRIBUTES`] has the fields that leave the process:
//!
//! | span | around | fields |
//! | --- | --- | --- |
//! | `request` | one HTTP request, to the last byte of its answer; continues the caller's trace by [`follow`] | `id`, `method`, `route`, `status`, `tenant`, `operation`, `model`, `adapter`, `outcome`, `error_kind`, `prompt_tokens`, `completion_tokens`, `embedded_tokens` |
//! | `authorize` | key or token to pass | `error_kind` |
//! | `retrieve`, `build_prompt`, `filter` | a stage of the pipeline, in guests | `plugin`, `fuel` |
//! | `queue` | waiting for a lane | `queue_requests` |
//! | `generate` | one choice, lane taken to last token | `choice`, `prompt_tokens`, `completion_tokens`, `finish_reason` |
//! | `settle` | the entry of the ledger | `outcome` |

pub mod exposition;
mod log;
mod metrics;
mod trace;

pub use log::LogFormat;
pub use metrics::{CONTENT_TYPE, Metrics, MetricsConfig};
pub use trace::{ATTRIBUTES, Form, Guard, TelemetryConfig, follow, parent_from, start};
