//! `riad serve`: listens, loads the models, serves, and shuts down in order.

mod signals;

use crate::{
    cli::{COMPILE_PLUGIN, ServeArgs},
    config::{Config, Overrides, Secrets, Telemetry},
    output,
    wire::{self, App, Finish},
};
use futures::future::BoxFuture;
use riad_api::{Lifecycle, ServeOptions, Serving, reload, tls::Tls};
use riad_core::{Digest, Error, ErrorKind, Result, Secret};
pub use riad_sandbox::Compiler;
use riad_sandbox::Unconfined;
use riad_telemetry::{Guard, TelemetryConfig};
use signals::Signals;
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::task::AbortHandle;

/// Runs until SIGINT or SIGTERM, then waits for running requests. A second signal stops at once, and so does one that
/// arrives while the models load. The exit code is 0, or what a shell reports for the signal that stopped it at once.
pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    if args.show_config {
        output::data_line(Config::reference().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let overrides =
        Overrides::default()
            .set("server.data", "--data", args.data)
            .set("server.listen", "--listen", args.listen);
    let config = Config::load(args.config.as_deref(), std::env::vars_os(), &overrides)?;
    let secrets = Secrets::read(std::env::vars_os())?;
    let telemetry = start_telemetry(&config.telemetry, "riad=info")?;
    let mut signals = Signals::listen().await?;

    let listening = Listening::bind(&config).await?;
    let spinner = output::progress::spinner("loading the models");
    let started = tokio::select! {
        started = listening.load(&config, secrets, compiler(&config)?) => Ok(started),
        signal = signals.next() => Err(signal),
    };
    spinner.finish_and_clear();
    let mut server = match started {
        Ok(started) => started?,
        // No request has been accepted yet, so there is nothing to settle.
        Err(signal) => return Ok(signal.exit_code()),
    };
    if let Some(key) = &server.new_operator_key {
        output::line(
            "Created the operator's key. It is shown only this once (set RIAD_OPERATOR_KEY to choose your own):",
        );
        output::line(key.reveal());
    }
    output::line(&format!("riad listens on {}", server.url()));
    output::line(&format!("the console is at {}/console", server.url()));
    server.warm();

    signals.next().await;
    output::note("stopping: waiting for running requests; a second signal stops at once");
    tokio::select! {
        result = server.stop() => result.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => {
            // Dropping it would wait for the trace collector.
            std::mem::forget(telemetry);
            Ok(signal.exit_code())
        }
    }
}

/// A server that listens but has no models yet: it answers 503, and `/healthz`. Dropping it stops it.
struct Listening {
    address: SocketAddr,
    lifecycle: Lifecycle,
    serving: Serving,
    tls: Option<CertificateWatcher>,
}

impl Listening {
    /// # Errors
    /// `InvalidRequest` for an address that cannot be used, or TLS files that cannot be used.
    async fn bind(config: &Config) -> Result<Self> {
        let tls = match config.server.tls() {
            Some((certificate, key)) => Some(Arc::new(Tls::open(certificate, key)?)),
            None => None,
        };
        let listener = riad_api::listen(&config.server.listen).await.map_err(|error| {
            let message = format!(
                "cannot listen on {}: {error}; choose another address with --listen or server.listen",
                config.server.listen
            );
            Error::invalid(message).with_source(error)
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let lifecycle = Lifecycle::new(config.server.origins());
        let options = ServeOptions::new(&config.limits, tls.clone());
        Ok(Self {
            address,
            serving: riad_api::serve(listener, lifecycle.clone(), options).map_err(Error::internal)?,
            lifecycle,
            tls: tls.map(CertificateWatcher::start),
        })
    }

    /// # Errors
    /// Whatever [`wire::build`] fails with.
    async fn load(self, config: &Config, secrets: Secrets, compiler: Compiler) -> Result<Running> {
        let App {
            router,
            new_operator_key,
            finish,
            warm,
        } = wire::build(config, secrets, compiler).await?;
        self.lifecycle.set_ready(&router);
        Ok(Running {
            address: self.address,
            new_operator_key,
            listening: self,
            finish,
            warm: Some(warm),
            drain: Duration::from_millis(config.limits.drain_ms),
        })
    }
}

/// A server that serves.
pub struct Running {
    pub address: SocketAddr,
    /// The operator's key if one was made at this start.
    pub new_operator_key: Option<Secret<String>>,
    listening: Listening,
    finish: Finish,
    warm: Option<BoxFuture<'static, Result<()>>>,
    drain: Duration,
}

impl Running {
    /// Listens first, so that an address in use fails before the models load. `compiler` compiles uploaded components.
    ///
    /// # Errors
    /// `InvalidRequest` for an address that cannot be used or TLS files that cannot be used; whatever
    /// [`wire::build`] fails with.
    pub fn start(config: &Config, secrets: Secrets, compiler: Compiler) -> BoxFuture<'_, Result<Self>> {
        // In a box, so that the whole server is compiled here, once, and not into each program that starts one.
        Box::pin(async move { Listening::bind(config).await?.load(config, secrets, compiler).await })
    }

    /// Compiles what the first file would wait for, beside serving.
    pub fn warm(&mut self) {
        if let Some(warm) = self.warm.take() {
            tokio::spawn(async move {
                if let Err(error) = warm.await {
                    tracing::error!(?error, "the extractor of files could not be compiled");
                }
            });
        }
    }

    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.listening.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Rejects new requests, waits up to `limits.drain_ms` for running ones, cuts off the rest, then settles and closes the
    /// rooms.
    ///
    /// # Errors
    /// The first step that failed, and `Timeout` if requests were cut off. Acknowledged changes are never lost.
    pub fn stop(self) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.listening.lifecycle.start_draining();
            let in_flight = self.listening.serving.in_flight();
            tracing::info!(in_flight, "draining");
            let cut = self.listening.serving.drain(self.drain).await;
            (self.finish)().await?;
            match cut {
                0 => Ok(()),
                _ => Err(Error::new(
                    ErrorKind::Timeout,
                    format!("{cut} requests were still running after limits.drain_ms; they were cut off and settled"),
                )),
            }
        })
    }
}

/// Reloads the certificate when its files change, until it is dropped.
struct CertificateWatcher(AbortHandle);

impl CertificateWatcher {
    fn start(tls: Arc<Tls>) -> Self {
        Self(tokio::spawn(tls.watch(reload::INTERVAL)).abort_handle())
    }
}

impl Drop for CertificateWatcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Uploaded components are compiled by this program, in a process of its own.
pub(crate) fn compiler(config: &Config) -> Result<Compiler> {
    // On Linux this is the running program even after an update has replaced its file.
    let program = match cfg!(target_os = "linux") {
        true => "/proc/self/exe".into(),
        false => std::env::current_exe().map_err(Error::internal)?,
    };
    Ok(Compiler::Child {
        program,
        arguments: vec![COMPILE_PLUGIN.to_owned()],
        unconfined: match config.plugins.allow_unconfined_compiler || !cfg!(target_os = "linux") {
            true => Unconfined::Any,
            // Without the standard pipeline no server starts, and it comes with this program.
            false => Unconfined::Only(vec![Digest::of(wire::STANDARD)]),
        },
    })
}

/// The log on stderr and, if there is a collector, traces. `RUST_LOG` changes what the log shows.
pub(crate) fn start_telemetry(telemetry: &Telemetry, default_filter: &str) -> Result<Guard> {
    riad_telemetry::start(TelemetryConfig {
        log_format: telemetry.log_format,
        default_filter,
        otlp_endpoint: telemetry.otlp_endpoint.clone(),
        service_name: "riad",
        service_version: env!("CARGO_PKG_VERSION"),
        sample_ratio: telemetry.sample_ratio,
        trust_traceparent: telemetry.trust_traceparent,
    })
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn signal() -> Result<()> {
    Signals::listen().await?.next().await;
    Ok(())
}
