//! The quiet tenant: it asks four kinds of questions at fixed moments and measures how long each takes from that moment on, so that a
//! request which had to wait for its own client would count too.

use reqwest::{Client, Method};
use riad_end_to_end::{Chat, files};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub const KINDS: [&str; 4] = ["chat", "search", "models", "upload"];
/// Between two requests of a kind. No two are multiples of each other, so that the kinds meet at ever other moments.
const EVERY: [Duration; 4] = [
    Duration::from_millis(307),
    Duration::from_millis(149),
    Duration::from_millis(83),
    Duration::from_millis(463),
];
/// A request that takes longer is lost, and counts as so long.
const PATIENCE: Duration = Duration::from_secs(10);
const ADDRESS: [u8; 4] = [127, 0, 0, 3];
const DOCUMENTS: usize = 60;

#[derive(Clone)]
pub struct Victim {
    http: Client,
    url: String,
    key: String,
    uploads: Arc<AtomicU64>,
}

/// Milliseconds by kind, and requests that got no answer or a refusal.
#[derive(Default)]
pub struct Samples {
    pub times: [Vec<f64>; 4],
    pub lost: Vec<String>,
}

impl Victim {
    pub fn new(url: &str, key: &str) -> Self {
        // Each request has a connection of its own: whether one can be had is a part of the question.
        let http = Client::builder()
            .no_proxy()
            .local_address(Some(ADDRESS.into()))
            .pool_max_idle_per_host(0)
            .timeout(PATIENCE);
        Self {
            http: http.build().unwrap(),
            url: url.to_owned(),
            key: key.to_owned(),
            uploads: Arc::default(),
        }
    }

    /// Fills the room, and asks each kind a few times, so that nothing is done for the first time later.
    pub async fn prepare(&self) {
        for (title, text) in files::ACME {
            self.ask_with(
                Method::POST,
                "/v1/documents",
                Some(json!({"title": title, "text": text})),
            )
            .await
            .unwrap();
        }
        for _ in 0..DOCUMENTS {
            self.ask(3).await.unwrap();
        }
        for kind in [0, 1, 2, 0, 1, 2] {
            self.ask(kind).await.unwrap();
        }
    }

    /// Asks for as long, and waits for the last answers.
    pub async fn measure(&self, time: Duration) -> Samples {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for (kind, every) in EVERY.into_iter().enumerate() {
            let victim = self.clone();
            asking.spawn(async move {
                let mut answers = JoinSet::new();
                let mut due = begun + every / 2;
                while due < begun + time {
                    sleep_until(due).await;
                    let (victim, asked) = (victim.clone(), due);
                    answers.spawn(async move { (victim.ask(kind).await, asked.elapsed()) });
                    due += every;
                }
                (kind, answers.join_all().await)
            });
        }
        let mut samples = Samples::default();
        for (kind, answers) in asking.join_all().await {
            for (answer, took) in answers {
                let took = match answer {
                    Ok(()) => took,
                    Err(why) => {
                        samples.lost.push(format!("{}: {why}", KINDS[kind]));
                        PATIENCE
                    }
                };
                samples.times[kind].push(took.as_secs_f64() * 1e3);
            }
        }
        samples
    }

    async fn ask(&self, kind: usize) -> Result<(), String> {
        match kind {
            0 => {
                let chat = Chat::new("How long is the warranty of the Kestrel drill?").with("max_tokens", 16);
                self.ask_with(Method::POST, "/v1/chat/completions", Some(chat.body(false)))
                    .await
            }
            1 => {
                let body = json!({"query": "Who answers e-mails of the support team?", "limit": 5});
                self.ask_with(Method::POST, "/v1/search", Some(body)).await
            }
            2 => self.ask_with(Method::GET, "/v1/models", None).await,
            _ => {
                let number = self.uploads.fetch_add(1, Ordering::Relaxed);
                let text = format!("Order {number} was shipped on time. It holds {} drills. ", number % 7).repeat(40);
                let body = json!({"title": format!("Order {number}"), "text": text});
                self.ask_with(Method::POST, "/v1/documents", Some(body)).await
            }
        }
    }

    async fn ask_with(&self, method: Method, path: &str, body: Option<Value>) -> Result<(), String> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| failure(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| failure(&error))?;
        match status.is_success() {
            true => Ok(()),
            false => Err(format!("{status} {text}")),
        }
    }
}

fn failure(error: &reqwest::Error) -> String {
    match error.is_timeout() {
        true => format!("no answer in {} s", PATIENCE.as_secs()),
        false => format!("{error:?}"),
    }
}

impl Samples {
    pub fn add(&mut self, other: Self) {
        for (mine, theirs) in self.times.iter_mut().zip(other.times) {
            mine.extend(theirs);
        }
        self.lost.extend(other.lost);
    }

    /// Median and 99th percentile of a kind, in milliseconds.
    pub fn percentiles(&self, kind: usize) -> [f64; 2] {
        let mut times = self.times[kind].clone();
        times.sort_by(f64::total_cmp);
        [0.5, 0.99].map(|share| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let rank = (times.len() as f64 * share).ceil() as usize;
            times[rank.saturating_sub(1)]
        })
    }
}
