//! Sends spans: OTLP over HTTP, protobuf.

use opentelemetry_otlp::{Protocol, SpanExporter as Exporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use riad_core::{Error, Result};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// For a batch, retries included.
const BATCH_TIMEOUT: Duration = Duration::from_secs(3);
const PATH: &str = "v1/traces";

/// Sends on the thread of the batch processor, which is not async. It has a runtime of its own, so that spans are sent even if
/// the server's runtime is busy or has ended.
#[derive(Debug)]
pub(super) struct Sender {
    runtime: Runtime,
    exporter: Exporter,
    /// Whether the last batch failed: an unreachable collector is logged once, not every second.
    failing: AtomicBool,
}

impl Sender {
    /// # Errors
    /// `InvalidRequest` if `endpoint` is no base URL.
    pub(super) fn open(endpoint: &str) -> Result<Self> {
        let url = traces_url(endpoint)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("riad/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(BATCH_TIMEOUT)
            // The runtime runs only while a batch is sent and so would not notice that an idle connection was closed.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(Error::internal)?;
        let exporter = Exporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(BATCH_TIMEOUT)
            .build()
            .map_err(|error| Error::invalid(format!("traces cannot be sent: {error}")).with_source(error))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            runtime,
            exporter,
            failing: AtomicBool::new(false),
        })
    }

    fn log_change(&self, result: &OTelSdkResult) {
        match result {
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => tracing::info!("traces can be sent again"),
            Ok(()) => {}
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "traces cannot be sent; they are lost until they can");
            }
            Err(_) => {}
        }
    }
}

impl SpanExporter for Sender {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.runtime.block_on(self.exporter.export(batch));
        self.log_change(&result);
        result
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

fn traces_url(endpoint: &str) -> Result<String> {
    let is_base = reqwest::Url::parse(endpoint).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            // Would be logged if the collector is unreachable; a secret belongs into a header.
            && url.username().is_empty()
            && url.password().is_none()
    });
    if !is_base {
        // Without the address: it may contain a secret.
        return Err(Error::invalid(
            "the address for traces is not a base URL: write http:// or https://, host and port, such as http://127.0.0.1:4318",
        ));
    }
    Ok(format!("{}/{PATH}", endpoint.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_for_traces_is_added_to_a_base_url() {
        for base in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(traces_url(base).unwrap(), "http://127.0.0.1:4318/v1/traces");
        }
        assert_eq!(
            traces_url("https://otel.example/riad").unwrap(),
            "https://otel.example/riad/v1/traces"
        );
    }

    #[test]
    fn other_addresses_are_rejected_and_not_repeated() {
        for wrong in [
            "",
            "127.0.0.1:4318",
            "localhost:4318",
            "ftp://127.0.0.1",
            "http://",
            "http://h/?token=hunter2",
            "http://h/#hunter2",
            "http://me:hunter2@h/",
            "http://hunter2@h/",
        ] {
            let error = traces_url(wrong).unwrap_err();
            assert!(
                error.to_string().contains("http://127.0.0.1:4318"),
                "{wrong:?}: {error}"
            );
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
