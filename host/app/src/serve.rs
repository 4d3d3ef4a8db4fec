//! `riad serve`: listen, load, say where, and end in order. Not here: what is served (`wire`, `riad_api`), how a
//! connection is bounded (`riad_api::serve`).

mod signals;

use crate::{
    cli::{COMPILE_PLUGIN, ServeArgs},
    config::{Config, Secrets, Telemetry},
    output,
    wire::{self, Finish, Wired},
};
use riad_api::{
    Lifecycle, ServeOptions, Serving,
    tls::{self, Tls},
};
use riad_core::{Error, ErrorKind, Result, Secret};
pub use riad_sandbox::Compiler;
use riad_telemetry::{Guard, TelemetryConfig};
use signals::Signals;
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::AbortHandle};

/// Runs until SIGINT or SIGTERM, then lets what is in flight end; a second signal ends at once, and so does one that comes
/// while the models load. The exit code is 0, or what a shell reports for the signal that ended it at once.
pub async fn run(args: ServeArgs) -> Result<ExitCode> {
    if args.show_config {
        output::line(Config::reference().trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = Config::load(args.config.as_deref(), std::env::vars_os())?;
    let secrets = Secrets::read(std::env::vars_os())?;
    if let Some(data) = args.data {
        config.server.data = data;
    }
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    let telemetry = start_telemetry(&config.telemetry, "riad=info")?;
    let mut signals = Signals::listen().await?;

    let listening = Listening::bind(&config).await?;
    let spinner = output::progress::spinner("loading the models");
    let started = tokio::select! {
        started = listening.load(&config, secrets, compiler()?) => Ok(started),
        signal = signals.next() => Err(signal),
    };
    spinner.finish_and_clear();
    let server = match started {
        Ok(started) => started?,
        // Nothing has been promised to anybody yet.
        Err(signal) => return Ok(signal.exit_code()),
    };
    if let Some(key) = &server.new_operator_key {
        output::line("The operator's key, made now and shown this once (set RIAD_OPERATOR_KEY to choose your own):");
        output::line(key.reveal());
    }
    output::line(&format!("riad listens on {}", server.url()));

    signals.next().await;
    output::note("finishing what is in flight; a second signal ends at once");
    tokio::select! {
        result = server.stop() => result.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => {
            // It would wait for a collector.
            std::mem::forget(telemetry);
            Ok(signal.exit_code())
        }
    }
}

/// A server that listens and does not serve yet: it answers 503, and `/healthz`. Dropping it ends it.
struct Listening {
    address: SocketAddr,
    lifecycle: Lifecycle,
    serving: Serving,
    tls: Option<Watch>,
}

impl Listening {
    /// # Errors
    /// `InvalidRequest` for an address that cannot be listened on, or TLS files that cannot be used.
    async fn bind(config: &Config) -> Result<Self> {
        let tls = match config.server.tls() {
            Some((certificate, key)) => Some(Arc::new(Tls::open(certificate, key)?)),
            None => None,
        };
        let listener = TcpListener::bind(&config.server.listen).await.map_err(|error| {
            let message = format!(
                "cannot listen on {}: {error}; choose another address with --listen or server.listen",
                config.server.listen
            );
            Error::invalid(message).with_source(error)
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let lifecycle = Lifecycle::default();
        let options = ServeOptions::new(&config.limits, tls.clone());
        Ok(Self {
            address,
            serving: riad_api::serve(listener, lifecycle.clone(), options),
            lifecycle,
            tls: tls.map(Watch::begin),
        })
    }

    /// # Errors
    /// Whatever [`wire::wire`] fails with.
    async fn load(self, config: &Config, secrets: Secrets, compiler: Compiler) -> Result<Running> {
        let Wired {
            router,
            new_operator_key,
            finish,
        } = wire::wire(config, secrets, compiler).await?;
        self.lifecycle.set_ready(&router);
        Ok(Running {
            address: self.address,
            new_operator_key,
            listening: self,
            finish,
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
    drain: Duration,
}

impl Running {
    /// Listens first, so that a taken address is known before the models are loaded. `compiler` compiles what tenants upload.
    ///
    /// # Errors
    /// `InvalidRequest` for an address that cannot be listened on or TLS files that cannot be used; whatever
    /// [`wire::wire`] fails with.
    pub async fn start(config: &Config, secrets: impl Into<Secrets>, compiler: Compiler) -> Result<Self> {
        Listening::bind(config)
            .await?
            .load(config, secrets.into(), compiler)
            .await
    }

    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.listening.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Refuses what is new, lets what is in flight end within `limits.drain_ms`, cuts off the rest, and finishes: settles,
    /// closes the rooms.
    ///
    /// # Errors
    /// The first thing that could not be finished properly, and `Timeout` if something was cut off. Nothing acknowledged
    /// is lost even then.
    pub async fn stop(self) -> Result<()> {
        self.listening.lifecycle.start_draining();
        let in_flight = self.listening.serving.in_flight();
        tracing::info!(in_flight, "draining");
        let cut = self.listening.serving.drain(self.drain).await;
        (self.finish)().await?;
        match cut {
            0 => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Timeout,
                format!("requests were still running at the end of limits.drain_ms; {cut} were cut off and settled"),
            )),
        }
    }
}

/// Looks after the certificate as long as it lives.
struct Watch(AbortHandle);

impl Watch {
    fn begin(tls: Arc<Tls>) -> Self {
        Self(tokio::spawn(tls.watch(tls::RELOAD)).abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// This program compiles what tenants upload, in a process of its own.
pub(crate) fn compiler() -> Result<Compiler> {
    // On Linux the program that runs, also when an update has put another one in its place.
    let program = match cfg!(target_os = "linux") {
        true => "/proc/self/exe".into(),
        false => std::env::current_exe().map_err(Error::internal)?,
    };
    Ok(Compiler::Child {
        program,
        arguments: vec![COMPILE_PLUGIN.to_owned()],
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
    })
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn signal() -> Result<()> {
    Signals::listen().await?.next().await;
    Ok(())
}
