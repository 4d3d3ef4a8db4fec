//! The other tenant in a process of its own: it attacks, or it is well-behaved and keeps the processors as busy as it is told. It ends
//! when its standard input does, and then says what came of it.

use crate::{attacker::Attacker, attacks, process::Process, server::Server};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read},
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::sleep,
};

/// The first argument of this program in that process.
pub const CHILD: &str = "neighbor";
/// What `nice` adds: the server and the victim go before.
const NICENESS: &str = "10";
/// Clients of the well-behaved tenant.
pub const CLIENTS: usize = 12;
/// Strikes that one process may make.
const NUMBERS: usize = 1 << 28;
/// How often it looks at how busy the processors are, and over how many looks.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 10;

pub struct Neighbor {
    child: Child,
    pub process: Process,
}

/// What the other tenant does.
pub enum Behavior<'a> {
    Attack(&'a str),
    /// It keeps as many cores busy, those of the server and its own.
    WellBehaved {
        cores: f64,
    },
}

impl Neighbor {
    pub async fn start(server: &Server, key: &str, behavior: &Behavior<'_>) -> Self {
        let mut child = Command::new("nice")
            .args(["-n", NICENESS])
            .arg(std::env::current_exe().unwrap())
            .arg(CHILD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (attack, cores) = match behavior {
            Behavior::Attack(name) => (Some(*name), None),
            Behavior::WellBehaved { cores } => (None, Some(*cores)),
        };
        let order = json!({
            "url": server.url, "key": key, "server": server.process.id(), "attack": attack, "cores": cores,
        });
        let input = child.stdin.as_mut().unwrap();
        input.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        Self {
            process: Process::of(child.id().unwrap()),
            child,
        }
    }

    /// Ends it, with all its connections; returns what it counted.
    pub async fn stop(mut self) -> BTreeMap<String, u64> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .await
            .unwrap();
        self.child.wait().await.unwrap();
        serde_json::from_str(&said).unwrap()
    }
}

/// The process itself.
pub fn run_child() -> ExitCode {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let order: Value = serde_json::from_str(&line).unwrap();
    let text = |name: &str| order[name].as_str().unwrap();
    let attacker = Attacker::new(text("url"), text("key"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match order["attack"].as_str() {
        Some(name) => {
            let attack = attacks::all().into_iter().find(|attack| attack.name == name).unwrap();
            // Those of another round have other numbers.
            let first = std::process::id() as usize * NUMBERS;
            for client in 0..attack.clients {
                let attacker = attacker.clone();
                runtime.spawn(async move {
                    for number in (first + client..).step_by(attack.clients) {
                        (attack.strike)(attacker.clone(), number).await;
                    }
                });
            }
        }
        None => {
            let server = Process::of(u32::try_from(order["server"].as_u64().unwrap()).unwrap());
            let may_ask = Arc::new(AtomicBool::new(false));
            runtime.spawn(pace(server, order["cores"].as_f64().unwrap(), may_ask.clone()));
            for client in 0..CLIENTS {
                runtime.spawn(be_well_behaved(attacker.clone(), may_ask.clone(), client));
            }
        }
    }
    // Until the parent closes it.
    let _ = io::stdin().read_to_string(&mut String::new());
    println!("{}", json!(attacker.tally()));
    // Connections are closed with the process.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn be_well_behaved(attacker: Attacker, may_ask: Arc<AtomicBool>, client: usize) {
    for number in client.. {
        while !may_ask.load(Ordering::Relaxed) {
            sleep(LOOK / 5).await;
        }
        ask(attacker.clone(), number).await;
    }
}

/// What an ordinary tenant asks.
pub async fn ask(attacker: Attacker, number: usize) {
    match number % 4 {
        0 => {
            attacker
                .chat(&format!("Tell me about order {number}."), json!({"max_tokens": 32}))
                .await
        }
        1 => {
            attacker
                .post_json("/v1/search", &json!({"query": format!("order {number}")}))
                .await
        }
        2 => {
            let input: Vec<String> = (0..4)
                .map(|part| format!("Part {part} of order {number} is here."))
                .collect();
            attacker
                .post_json(
                    "/v1/embeddings",
                    &json!({"model": riad_end_to_end::EMBEDDER, "input": input}),
                )
                .await
        }
        _ => {
            let text = format!("Order {number} was packed, paid and shipped. ").repeat(40);
            let body = json!({"title": format!("Order {number}"), "text": text});
            attacker.post_json("/v1/documents", &body).await
        }
    };
}

/// Lets the clients ask while the processors are less busy than they should be.
async fn pace(server: Process, cores: f64, may_ask: Arc<AtomicBool>) {
    let this = Process::of(std::process::id());
    let mut looks = VecDeque::new();
    loop {
        let used = server.seconds() + this.seconds();
        let now = Instant::now();
        let (before, first) = *looks.front().unwrap_or(&(now, used));
        let passed = now.duration_since(before).as_secs_f64();
        may_ask.store(passed == 0.0 || (used - first) / passed < cores, Ordering::Relaxed);
        looks.push_back((now, used));
        if looks.len() > LOOKS {
            looks.pop_front();
        }
        sleep(LOOK).await;
    }
}
