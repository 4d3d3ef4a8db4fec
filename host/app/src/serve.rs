//! `riad serve`: listen, say where, and end gracefully. Not here: what is served (`wire`, `riad_api`).

use crate::{
    cli::{COMPILE_PLUGIN, ServeArgs},
    config::{self, Config},
    output,
    wire::{self, Wired},
};
use riad_api::Readiness;
use riad_core::{Error, ErrorKind, Result, Secret};
pub use riad_sandbox::Compiler;
use riad_store::Store;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Runs until SIGINT or SIGTERM, then finishes what is in flight; a second signal ends at once.
pub async fn run(args: ServeArgs) -> Result<()> {
    if args.show_config {
        output::line(Config::reference().trim_end());
        return Ok(());
    }
    start_log("riad=info");
    let mut config = Config::load(args.config.as_deref(), std::env::vars_os())?;
    if let Some(data) = args.data {
        config.server.data = data;
    }
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    let spinner = output::progress::spinner("loading the models");
    let started = Running::start(&config, config::operator_key(std::env::vars_os())?, compiler()?).await;
    spinner.finish_and_clear();
    let server = started?;
    if let Some(key) = &server.new_operator_key {
        output::line("The operator's key, made now and shown this once (set RIAD_OPERATOR_KEY to choose your own):");
        output::line(key.reveal());
    }
    output::line(&format!("riad listens on {}", server.url()));

    signal().await?;
    output::note("finishing what is in flight; a second signal ends at once");
    tokio::select! {
        result = server.stop() => result,
        result = signal() => result,
    }
}

/// A server that listens.
pub struct Running {
    pub address: SocketAddr,
    /// The operator's key if one was made at this start.
    pub new_operator_key: Option<Secret<String>>,
    store: Store,
    readiness: Readiness,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    grace: Duration,
}

impl Running {
    /// Binds first, so that a taken address is known before the models are loaded. `compiler` compiles what tenants upload.
    ///
    /// # Errors
    /// `InvalidRequest` for an address that cannot be listened on; whatever [`wire::wire`] fails with.
    pub async fn start(config: &Config, operator_key: Option<Secret<String>>, compiler: Compiler) -> Result<Self> {
        let listener = TcpListener::bind(&config.server.listen).await.map_err(|error| {
            let message = format!(
                "cannot listen on {}: {error}; choose another address with --listen or server.listen",
                config.server.listen
            );
            Error::invalid(message).with_source(error)
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let Wired {
            router,
            readiness,
            store,
            new_operator_key,
        } = wire::wire(config, operator_key, compiler).await?;
        let (stop, mut stopped) = watch::channel(false);
        let serving = riad_api::serve(listener, router, async move {
            // A sender that is gone means that nobody can ask any more: end as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        Ok(Self {
            address,
            new_operator_key,
            store,
            readiness,
            stop,
            server: tokio::spawn(serving),
            grace: Duration::from_millis(config.limits.request_ms),
        })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts nothing new, waits for requests in flight as long as a request may take, and closes the rooms.
    ///
    /// # Errors
    /// The first thing that could not be closed properly. Nothing acknowledged is lost even then.
    pub async fn stop(self) -> Result<()> {
        self.readiness.drain();
        self.stop.send_replace(true);
        let served = tokio::time::timeout(self.grace, self.server).await;
        self.store.close().await?;
        match served {
            Ok(Ok(result)) => result.map_err(Error::internal),
            Ok(Err(error)) => Err(Error::internal(error)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                "requests were still running at the end of their time and were cut off",
            )),
        }
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

/// Log lines go to stderr; `RUST_LOG` changes what is shown.
pub(crate) fn start_log(ours: &str) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    let filter = match ours.parse() {
        Ok(directive) if std::env::var_os("RUST_LOG").is_none() => filter.add_directive(directive),
        _ => filter,
    };
    // A test that starts several servers has the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Waits for SIGINT or SIGTERM.
pub(crate) async fn signal() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.map_err(Error::internal),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(Error::internal)
}
