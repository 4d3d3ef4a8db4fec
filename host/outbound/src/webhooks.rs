//! Notices to the operator's systems: queued, sent by a task in the background, tried again, and given up with a line in the
//! log. Not here: when there is something to tell (`services`), what a notice looks like on the wire (`event`).

mod event;

use crate::client;
use aws_lc_rs::hmac;
use event::Event;
use reqwest::{StatusCode, Url, header};
use riad_core::{
    Secret,
    ports::{BudgetNotice, Webhooks},
};
use std::time::Duration;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::{AbortHandle, JoinSet},
};

/// Notices that wait. There are few of them, and a receiver that is down must not cost memory.
const QUEUE: usize = 1024;
/// Notices that are being sent: a receiver that hangs does not hold up the others'.
const AT_ONCE: usize = 8;
const TRY_LIMIT: Duration = Duration::from_secs(10);
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

const CONTENT_TYPE: &str = "application/cloudevents+json";
const SIGNATURE: &str = "riad-signature";

/// Posts notices as `CloudEvents`. Dropping it ends the task with whatever it still has to send.
pub struct HttpWebhooks {
    queue: Sender<Job>,
    task: AbortHandle,
}

struct Job {
    url: Url,
    body: Vec<u8>,
    /// For the log. The URL is not: its path may be a secret.
    tenant: String,
    budget: &'static str,
}

#[derive(Clone)]
struct Courier {
    client: reqwest::Client,
    secret: Option<hmac::Key>,
    pauses: [Duration; 2],
}

impl HttpWebhooks {
    /// With a secret that is not empty, requests have `riad-signature: sha256=` and the HMAC-SHA256 (RFC 2104) of their body
    /// in hex digits. Called within a tokio runtime, which runs the task.
    #[must_use]
    pub fn new(secret: Option<Secret<String>>) -> Self {
        Self::with_pauses(secret, PAUSES)
    }

    /// As `new`, with other pauses between the three tries.
    #[must_use]
    pub fn with_pauses(secret: Option<Secret<String>>, pauses: [Duration; 2]) -> Self {
        let secret = secret
            .filter(|secret| !secret.reveal().is_empty())
            .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let task = tokio::spawn(work(jobs, secret, pauses)).abort_handle();
        Self { queue, task }
    }
}

impl Webhooks for HttpWebhooks {
    fn notify(&self, url: &str, notice: BudgetNotice) {
        let (tenant, budget) = (notice.tenant.to_string(), notice.budget);
        let job = Url::parse(url)
            .map_err(|error| error.to_string())
            .and_then(|url| {
                let body = serde_json::to_vec(&Event::of(&notice)).map_err(|error| error.to_string())?;
                let tenant = tenant.clone();
                Ok(Job {
                    url,
                    body,
                    tenant,
                    budget,
                })
            })
            .and_then(|job| self.queue.try_send(job).map_err(|error| error.to_string()));
        if let Err(error) = job {
            tracing::warn!(
                tenant,
                budget,
                error,
                "a webhook is not told: its notice cannot be queued"
            );
        }
    }
}

impl Drop for HttpWebhooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(mut jobs: Receiver<Job>, secret: Option<hmac::Key>, pauses: [Duration; 2]) {
    // Made here: a machine without root certificates must not keep a server without webhooks from starting.
    let mut courier = None;
    let mut under_way = JoinSet::new();
    while let Some(job) = jobs.recv().await {
        if courier.is_none() {
            match client::open(TRY_LIMIT) {
                Ok(client) => {
                    let secret = secret.clone();
                    courier = Some(Courier { client, secret, pauses });
                }
                Err(error) => tracing::error!(%error, tenant = job.tenant, "a webhook is not told: no HTTP client"),
            }
        }
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        if let Some(courier) = courier.clone() {
            under_way.spawn(async move { courier.deliver(job).await });
        }
    }
}

impl Courier {
    async fn deliver(self, job: Job) {
        let mut failure = String::new();
        for pause in std::iter::once(Duration::ZERO).chain(self.pauses) {
            tokio::time::sleep(pause).await;
            match self.post(&job).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => failure = format!("status {status}"),
                Err(error) => failure = client::describe(error),
            }
        }
        let (tenant, budget, host) = (job.tenant, job.budget, job.url.host_str().unwrap_or_default());
        tracing::warn!(
            tenant,
            budget,
            host,
            failure,
            "a webhook was not told; its notice is dropped"
        );
    }

    async fn post(&self, job: &Job) -> reqwest::Result<StatusCode> {
        let mut request = self
            .client
            .post(job.url.clone())
            .header(header::CONTENT_TYPE, CONTENT_TYPE);
        if let Some(secret) = &self.secret {
            let signature = hex::encode(hmac::sign(secret, &job.body));
            request = request.header(SIGNATURE, format!("sha256={signature}"));
        }
        Ok(request.body(job.body.clone()).send().await?.status())
    }
}
