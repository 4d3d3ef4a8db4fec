//! Notices to the operator's systems. A background task sends them, retries twice, and then drops a notice with a line in the
//! log. Not here: when a notice is due (`services`), its wire format (`event`).

mod event;
mod queue;

use crate::client;
use aws_lc_rs::hmac;
use event::Event;
use parking_lot::Mutex;
use queue::{Bounds, Queue};
use reqwest::{StatusCode, Url, header};
use riad_core::{
    Secret,
    ports::{BudgetNotice, Webhooks},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
};

/// `resources::WEBHOOKS`.
const BOUNDS: Bounds = Bounds {
    waiting: 1024,
    waiting_per_tenant: 64,
    sending: 8,
    sending_per_tenant: 2,
};
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

const CONTENT_TYPE: &str = "application/cloudevents+json";
const SIGNATURE: &str = "riad-signature";

/// Posts notices as `CloudEvents`. Dropping it discards notices that are not sent yet.
pub struct HttpWebhooks {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    queue: Mutex<Queue<Delivery>>,
    pushed: Notify,
}

/// A notice that is being sent, until it is dropped.
struct Sending {
    shared: Arc<Shared>,
    tenant: String,
}

struct Delivery {
    url: Url,
    body: Vec<u8>,
    /// For the log, unlike the URL: its path may be a secret.
    tenant: String,
    budget: &'static str,
}

#[derive(Clone)]
struct WebhookClient {
    client: reqwest::Client,
    secret: Option<hmac::Key>,
    pauses: [Duration; 2],
}

impl HttpWebhooks {
    /// With a secret that is not empty, requests have `riad-signature: sha256=` and the HMAC-SHA256 (RFC 2104) of their body
    /// in hex digits. Called within a tokio runtime, which runs the task.
    #[must_use]
    pub fn new(secret: Option<Secret<String>>) -> Self {
        Self::with_pauses(secret, RETRY_PAUSES)
    }

    /// As `new`, with other pauses before the two retries.
    #[must_use]
    pub fn with_pauses(secret: Option<Secret<String>>, pauses: [Duration; 2]) -> Self {
        let secret = secret
            .filter(|secret| !secret.reveal().is_empty())
            .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(BOUNDS)),
            pushed: Notify::new(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), secret, pauses)).abort_handle();
        Self { shared, task }
    }
}

impl Webhooks for HttpWebhooks {
    fn notify(&self, url: &str, notice: BudgetNotice) {
        let (tenant, budget) = (notice.tenant.to_string(), notice.budget);
        let queued = Url::parse(url)
            .map_err(|error| error.to_string())
            .and_then(|url| {
                let body = serde_json::to_vec(&Event::of(&notice)).map_err(|error| error.to_string())?;
                let tenant = tenant.clone();
                Ok(Delivery {
                    url,
                    body,
                    tenant,
                    budget,
                })
            })
            .and_then(|delivery| Ok(self.shared.queue.lock().push(&tenant, delivery)?));
        self.shared.pushed.notify_one();
        if let Err(error) = queued {
            tracing::warn!(
                tenant,
                budget,
                error,
                "a webhook is not sent: its notice cannot be queued"
            );
        }
    }
}

impl Drop for HttpWebhooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, secret: Option<hmac::Key>, pauses: [Duration; 2]) {
    // Created at first use: a server without webhooks must start on a machine without root certificates.
    let mut sender = None;
    let mut in_flight = JoinSet::new();
    loop {
        let next = shared.queue.lock().next();
        let Some((tenant, delivery)) = next else {
            tokio::select! {
                () = shared.pushed.notified() => {}
                Some(_) = in_flight.join_next() => {}
            }
            continue;
        };
        if sender.is_none() {
            match client::open(ATTEMPT_TIMEOUT) {
                Ok(client) => {
                    let secret = secret.clone();
                    sender = Some(WebhookClient { client, secret, pauses });
                }
                Err(error) => tracing::error!(%error, tenant, "a webhook is not sent: no HTTP client"),
            }
        }
        let sending = Sending {
            shared: Arc::clone(&shared),
            tenant,
        };
        if let Some(sender) = sender.clone() {
            in_flight.spawn(async move {
                sender.deliver(delivery).await;
                drop(sending);
            });
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.shared.queue.lock().end(&self.tenant);
    }
}

impl WebhookClient {
    async fn deliver(self, delivery: Delivery) {
        let mut failure = String::new();
        for pause in std::iter::once(Duration::ZERO).chain(self.pauses) {
            tokio::time::sleep(pause).await;
            match self.post(&delivery).await {
                Ok(status) if status.is_success() => return,
                Ok(status) => failure = format!("status {status}"),
                Err(error) => failure = client::describe(error),
            }
        }
        let (tenant, budget, host) = (
            delivery.tenant,
            delivery.budget,
            delivery.url.host_str().unwrap_or_default(),
        );
        tracing::warn!(
            tenant,
            budget,
            host,
            failure,
            "a webhook could not be delivered; its notice is dropped"
        );
    }

    async fn post(&self, delivery: &Delivery) -> reqwest::Result<StatusCode> {
        let mut request = self
            .client
            .post(delivery.url.clone())
            .header(header::CONTENT_TYPE, CONTENT_TYPE);
        if let Some(secret) = &self.secret {
            let signature = hex::encode(hmac::sign(secret, &delivery.body));
            request = request.header(SIGNATURE, format!("sha256={signature}"));
        }
        Ok(request.body(delivery.body.clone()).send().await?.status())
    }
}
