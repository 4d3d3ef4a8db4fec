//! A load of reads and writes through the proxies, and what became of every request.

use super::{
    fleet::Tenant,
    http::{Answer, Connection},
    proxy::Proxy,
};
use anyhow::{Result, anyhow};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Between two requests of a worker.
const PACE: Duration = Duration::from_millis(25);
/// How long a client goes on asking a proxy whose map is old.
const FOLLOW_MAX: Duration = Duration::from_secs(3);
const FOLLOW_PACE: Duration = Duration::from_millis(20);

/// What titles of documents begin with that a load adds; there are no two with the same.
pub const TITLE: &str = "Load";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Search,
    /// A document by its id.
    Open,
    Add,
}

/// One after the other, by one client.
pub struct Worker<'a> {
    pub tenant: &'a Tenant,
    pub proxy: &'a Proxy,
    pub actions: &'static [Action],
    /// Ids of documents that have the tenant's word.
    pub documents: &'a [String],
    /// Words of other tenants.
    pub foreign: Vec<&'a str>,
}

/// A request, with all that its client did for it.
pub struct Outcome {
    pub tenant: String,
    pub action: Action,
    /// Of a document that is added.
    pub title: String,
    pub begun: Instant,
    pub ended: Instant,
    /// Milliseconds since 1970-01-01 UTC.
    pub ended_ms: u64,
    /// `None`: the connection ended before an answer.
    pub status: Option<u16>,
    /// Answers of 421 before this one.
    pub misdirected: u32,
    /// Connections that ended before this one.
    pub reconnected: u32,
    /// What is wrong with an answer.
    pub fault: Option<String>,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        matches!(self.status, Some(200 | 201))
    }

    pub fn is_write(&self) -> bool {
        self.action == Action::Add
    }
}

/// What `work` returns, done while the workers ask, which they also do for some time before and after it.
///
/// # Errors
/// When the work fails.
pub fn during<T>(
    workers: &[Worker<'_>],
    before: Duration,
    after: Duration,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Vec<Outcome>)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let start = |(number, worker)| {
            let stop = &stop;
            scope.spawn(move || run(worker, number, stop))
        };
        let running: Vec<_> = workers.iter().enumerate().map(start).collect();
        thread::sleep(before);
        let done = work();
        thread::sleep(after);
        stop.store(true, Ordering::Relaxed);
        let mut outcomes = Vec::new();
        for worker in running {
            outcomes.extend(worker.join().map_err(|_| anyhow!("a thread of the load panicked"))?);
        }
        outcomes.sort_by_key(|outcome: &Outcome| outcome.ended);
        Ok((done?, outcomes))
    })
}

/// A text in which nearly every sentence is another, so that searches have something to choose from.
pub fn text(word: &str, number: usize, sentences: usize) -> String {
    let things = [
        "lamp", "bridge", "orchard", "engine", "harbor", "violin", "kettle", "glacier",
    ];
    let mut text = format!("The secret word of this house is {word}.\n\n");
    for sentence in 0..sentences {
        let thing = things
            .get((number + sentence) % things.len())
            .copied()
            .unwrap_or_default();
        text += &format!(
            "Report {number}, paragraph {sentence}: the {thing} of section {} was looked at by inspector {}, who wrote that {word} is on \
             it and that {} of its parts must be mended before the winter comes.\n\n",
            number * 31 + sentence,
            (number * 7 + sentence * 13) % 97,
            (number + sentence * 5) % 53
        );
    }
    text
}

fn run(worker: &Worker<'_>, number: usize, stop: &AtomicBool) -> Vec<Outcome> {
    let mut client = Client {
        address: worker.proxy.address,
        header: worker.tenant.header(),
        connection: None,
    };
    let load = now_ms();
    let mut outcomes = Vec::new();
    for (turn, action) in worker.actions.iter().cycle().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let title = format!("{TITLE} {load}, {number}, {turn}");
        outcomes.push(ask(worker, &mut client, *action, title, turn));
        thread::sleep(PACE);
    }
    outcomes
}

fn ask(worker: &Worker<'_>, client: &mut Client, action: Action, title: String, turn: usize) -> Outcome {
    let Worker { tenant, documents, .. } = worker;
    let document = documents
        .get(turn % documents.len().max(1))
        .cloned()
        .unwrap_or_default();
    let begun = Instant::now();
    let asked = match action {
        Action::Search => {
            let query = format!("inspector {} of {}", turn % 97, tenant.word);
            client.ask("POST", "/v1/search", &json!({"query": query}).to_string(), true)
        }
        Action::Open => client.ask("GET", &format!("/v1/documents/{document}"), "", true),
        Action::Add => {
            let text = text(&tenant.word, turn, 2);
            client.ask(
                "POST",
                "/v1/documents",
                &json!({"title": title, "text": text}).to_string(),
                false,
            )
        }
    };
    let expected = match action {
        Action::Search => &tenant.word,
        Action::Open => &document,
        Action::Add => &title,
    };
    let fault = asked.answer.as_ref().and_then(|answer| {
        let Answer { status, body, .. } = answer;
        let is_foreign = worker.foreign.iter().any(|word| body.contains(word));
        let is_wrong = is_foreign || (matches!(status, 200 | 201) && !body.contains(expected.as_str()));
        is_wrong.then(|| format!("{action:?} of {} is answered with {status} {body}", tenant.id))
    });
    Outcome {
        tenant: tenant.id.clone(),
        action,
        title,
        begun,
        ended: Instant::now(),
        ended_ms: now_ms(),
        status: asked.answer.map(|answer| answer.status),
        misdirected: asked.misdirected,
        reconnected: asked.reconnected,
        fault,
    }
}

pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

struct Client {
    address: SocketAddr,
    header: String,
    connection: Option<Connection>,
}

#[derive(Default)]
struct Asked {
    answer: Option<Answer>,
    misdirected: u32,
    reconnected: u32,
}

impl Client {
    /// As HTTP libraries do it: a 421 is asked again on a new connection (RFC 9110, 15.5.20), and what may be sent twice is sent again if the
    /// connection was closed meanwhile.
    fn ask(&mut self, method: &str, path: &str, body: &str, may_repeat: bool) -> Asked {
        let mut asked = Asked::default();
        let begun = Instant::now();
        loop {
            let open = self.connection.take();
            let open = open.and_then(|mut connection| (!connection.is_closed()).then_some(connection));
            let is_new = open.is_none();
            let Some(mut connection) = open.or_else(|| Connection::open(self.address).ok()) else {
                return asked;
            };
            match connection.send(method, path, &self.header, body) {
                Ok(answer) if answer.status == 421 && begun.elapsed() < FOLLOW_MAX => {
                    asked.misdirected += 1;
                    thread::sleep(FOLLOW_PACE);
                }
                Ok(answer) => {
                    if !answer.is_last {
                        self.connection = Some(connection);
                    }
                    asked.answer = Some(answer);
                    return asked;
                }
                Err(_) if may_repeat && !is_new => asked.reconnected += 1,
                Err(_) => return asked,
            }
        }
    }
}
