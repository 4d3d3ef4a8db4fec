//! A room's canary: which requests it serves, whether they ended well, and ending it when they do not. Not here: counting (`canary_windows`).

use crate::{audit, canary_windows::Comparison, metering::RequestMeter, shared::Shared};
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass, Timestamp,
    ledger::Outcome,
    pipeline::{Canary, EndedCanary, Pipeline},
    plugin::Stage,
    ports::LogLevel,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, time::sleep};
use tracing::Instrument;

/// Between attempts to write to the audit log.
const AUDIT_WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(600),
];

/// A request of a room that has a canary, and that would call a component of the canary's if the canary serves it.
pub(crate) struct CanaryRequest {
    shared: Arc<Shared>,
    pass: TenantPass,
    trial: Digest,
    canary: Canary,
    served_by_canary: bool,
    could_not_start: AtomicBool,
    /// Requests end on any thread.
    runtime: Handle,
}

/// The pipeline of a request that calls these stages: with the choices of the canary if it serves the request. Decided once per request,
/// by its id.
pub(crate) fn choose(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    pipeline: Pipeline,
    meter: &RequestMeter,
    stages: &[Stage],
) -> (Pipeline, Option<Arc<CanaryRequest>>) {
    let Some((trial, canary)) = pipeline.trial().zip(pipeline.canary.as_ref()) else {
        return (pipeline, None);
    };
    let served_by_canary = canary.serves(&trial, meter.request());
    let request = stages.iter().any(|stage| canary.stages.contains_key(stage)).then(|| {
        shared.canary_windows.begin(pass.account(), trial);
        let request = Arc::new(CanaryRequest {
            shared: Arc::clone(shared),
            pass: pass.clone(),
            trial,
            canary: canary.clone(),
            served_by_canary,
            could_not_start: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        let observer = Arc::clone(&request);
        meter.observe_outcome(move |outcome| observer.record(outcome));
        request
    });
    match served_by_canary {
        true => (pipeline.of_canary(), request),
        false => (pipeline, request),
    }
}

/// Notes a component that could not be started or lacks a grant, which fails every request and is the client's error in the ledger.
///
/// # Errors
/// The result's own.
pub(crate) fn record_start<T>(request: Option<&Arc<CanaryRequest>>, started: Result<T>) -> Result<T> {
    started.inspect_err(|error| {
        if let (Some(request), ErrorKind::Forbidden) = (request, error.kind()) {
            request.could_not_start.store(true, Ordering::Relaxed);
        }
    })
}

impl CanaryRequest {
    fn record(&self, outcome: Outcome) {
        let failed = match outcome {
            Outcome::PluginFailed => true,
            Outcome::Completed => false,
            Outcome::Refused if self.could_not_start.load(Ordering::Relaxed) => true,
            // These say nothing about the plugin: the client, a limit or budget of the tenant's, the engine or the time ended the request.
            Outcome::Refused | Outcome::Cancelled | Outcome::TimedOut | Outcome::EngineFailed | Outcome::Abandoned => {
                return;
            }
        };
        let windows = &self.shared.canary_windows;
        let (account, trial) = (self.pass.account(), self.trial);
        let Some(found) = windows.record(account, trial, self.served_by_canary, failed) else {
            return;
        };
        let (shared, pass, ended) = (Arc::clone(&self.shared), self.pass.clone(), self.ended(found));
        // The client does not wait for it, and it goes on without one. There is one such task per room.
        let ending = async move {
            if let Err(error) = end(&shared, &pass, &trial, ended).await {
                tracing::error!(?error, %trial, "ending a canary has failed");
                shared.canary_windows.retry(account, trial);
            }
        };
        self.runtime.spawn(ending.in_current_span());
    }

    fn ended(&self, found: Comparison) -> EndedCanary {
        let Comparison { canary, stable } = found;
        EndedCanary {
            stages: self.canary.stages.clone(),
            requests: canary.requests(),
            failures: canary.failures(),
            stable_requests: stable.requests(),
            stable_failures: stable.failures(),
            reason: format!(
                "a plugin failed {} of the latest {} requests that the canary served, and {} of the latest {} others",
                canary.failures(),
                canary.requests(),
                stable.failures(),
                stable.requests()
            ),
            ended: Timestamp::now().as_seconds(),
        }
    }
}

/// Ends the canary, unless the tenant has changed the pipeline meanwhile.
async fn end(shared: &Shared, pass: &TenantPass, trial: &Digest, mut ended: EndedCanary) -> Result<()> {
    let room = shared.rooms.open(pass).await?;
    if let Some(last) = room.plugins.pipeline().await?.last_canary {
        // Clients show by the time which end they have read of.
        ended.ended = ended.ended.max(last.ended.saturating_add(1));
    }
    let detail = serde_json::to_value(&ended).map_err(Error::internal)?;
    let audit_line = audit::by_server(pass, "pipeline.end_canary", "pipeline", Some(&detail));
    let is_ended = room.plugins.end_canary(trial, &ended, &audit_line).await?;
    // Before anything waits: the tenant may put the same canary again, whose requests are counted from the beginning.
    shared.canary_windows.forget_trial(pass.account(), *trial);
    if !is_ended {
        return Ok(());
    }
    let line = format!(
        "The server has ended the canary {}: {}.",
        ended.settings(),
        ended.reason
    );
    shared.logs.open(pass).write(LogLevel::Error, &line);
    move_audit_line(shared, pass).await;
    Ok(())
}

/// The line is safe in the room already; an audit log that cannot be written now gets it later.
async fn move_audit_line(shared: &Shared, pass: &TenantPass) {
    for wait in AUDIT_WAITS.iter().map(Some).chain([None]) {
        let error = match try_move(shared, pass).await {
            Ok(()) => return,
            // The tenant has been deleted, and its room with it.
            Err(error) if error.kind() == ErrorKind::Unauthenticated => return,
            Err(error) => error,
        };
        match wait {
            Some(wait) => {
                tracing::warn!(?error, ?wait, "the end of a canary is not in the audit log yet");
                sleep(*wait).await;
            }
            None => tracing::error!(
                ?error,
                "the end of a canary is not in the audit log; the next opening of its room tries again"
            ),
        }
    }
}

/// Opens the room again, which may have been closed since the last attempt.
async fn try_move(shared: &Shared, pass: &TenantPass) -> Result<()> {
    let plugins = shared.rooms.open(pass).await?.plugins;
    let moving = async move { plugins.move_audit_lines().await };
    shared.control.write(pass.account(), moving).await
}
