//! `kill -9` of a real server during a stream of uploads, a few times on the same data folder: every document that was
//! acknowledged is found, and none twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use reqwest::Client;
use riad_fakes::own_components;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    task::JoinSet,
    time::timeout,
};

const OPERATOR_KEY: &str = "riad_op_kill_nine_tests";
/// Documents that each round waits for before it kills.
const ROUNDS: [usize; 4] = [1, 25, 60, 120];
const UPLOADERS: usize = 4;
/// Against a server that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The binary, serving.
struct Server {
    child: Child,
    url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    async fn start(data: &Path) -> Self {
        own_components::put(data);
        let mut child = Command::new(env!("CARGO_BIN_EXE_riad"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("RIAD_OPERATOR_KEY", OPERATOR_KEY)
            .env("RIAD_ENGINE__MAX_SEQUENCES", "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        assert!(
            timeout(PATIENCE, read).await.unwrap().unwrap() > 0,
            "the server ended at its start"
        );
        let url = line.trim().strip_prefix("riad listens on ").expect(&line).to_owned();
        Self {
            child,
            url,
            _stdout: stdout,
        }
    }

    /// SIGKILL.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

#[derive(Clone)]
struct Tenant {
    http: Client,
    url: String,
    key: String,
}

impl Tenant {
    async fn create(http: &Client, url: &str) -> String {
        let body = json!({"id": "acme", "name": "Acme"});
        let request = http
            .post(format!("{url}/operator/v1/tenants"))
            .bearer_auth(OPERATOR_KEY)
            .json(&body);
        let made: Value = request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap();
        made["key"].as_str().unwrap().to_owned()
    }

    /// The id, if the server has acknowledged.
    async fn upload(&self, word: &str) -> Option<String> {
        let body = json!({
            "title": format!("Entry {word}"),
            "text": format!("The log of the lighthouse names {word} on this day. {}", "The sea was calm. ".repeat(120)),
            "metadata": {"word": word},
        });
        let request = self
            .http
            .post(format!("{}/v1/documents", self.url))
            .bearer_auth(&self.key)
            .json(&body);
        let response = request.send().await.ok()?;
        let status = response.status();
        let answer: Value = response.json().await.ok()?;
        assert_eq!(status.as_u16(), 201, "{answer}");
        Some(answer["id"].as_str().unwrap().to_owned())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// All documents over all pages: word by id.
    async fn list(&self) -> Vec<(String, String)> {
        let mut listed = Vec::new();
        let mut path = "/v1/documents?limit=100".to_owned();
        loop {
            let page = self.get(&path).await;
            for document in page["data"].as_array().unwrap() {
                let id = document["id"].as_str().unwrap().to_owned();
                path = format!("/v1/documents?limit=100&after={id}");
                listed.push((id, document["metadata"]["word"].as_str().unwrap().to_owned()));
            }
            if page["has_more"] == false {
                return listed;
            }
        }
    }

    /// Document and number of each chunk that a search finds.
    async fn search(&self, body: Value) -> Vec<(String, u64)> {
        let request = self
            .http
            .post(format!("{}/v1/search", self.url))
            .bearer_auth(&self.key)
            .json(&body);
        let found: Value = request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap();
        let passages = found["data"].as_array().unwrap().iter();
        passages
            .map(|passage| {
                let document = passage["document"].as_str().unwrap().to_owned();
                (document, passage["chunk"].as_u64().unwrap())
            })
            .collect()
    }
}

/// Uploads from several tasks until the server dies. The last words may have been stored without being acknowledged.
async fn upload_until_killed(server: Server, tenant: &Tenant, round: usize, enough: usize) -> BTreeMap<String, String> {
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let mut uploaders = JoinSet::new();
    for uploader in 0..UPLOADERS {
        let (tenant, acknowledged) = (tenant.clone(), acknowledged.clone());
        uploaders.spawn(async move {
            for n in 0.. {
                let word = format!("r{round}u{uploader}n{n}");
                match tenant.upload(&word).await {
                    Some(id) => acknowledged.lock().unwrap().insert(word, id),
                    None => return,
                };
            }
        });
    }
    let wait = async {
        while acknowledged.lock().unwrap().len() < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
    server.kill().await;
    while let Some(ended) = uploaders.join_next().await {
        ended.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= enough);
    acknowledged.clone()
}

/// `acknowledged`: id by word, over all rounds.
async fn check(tenant: &Tenant, acknowledged: &BTreeMap<String, String>) {
    let listed = tenant.list().await;
    let ids: BTreeMap<&String, &String> = listed.iter().map(|(id, word)| (word, id)).collect();
    assert_eq!(ids.len(), listed.len(), "a document is there twice");
    for (word, id) in acknowledged {
        assert_eq!(ids.get(word), Some(&id), "{word} was acknowledged and is lost");
    }
    for (word, id) in ids {
        let document = tenant.get(&format!("/v1/documents/{id}")).await;
        let text = document["text"].as_str().unwrap();
        assert!(text.contains(&format!("names {word} on")));
        // By its word, and by what stands in the index: all chunks of the document, each once.
        let found = tenant.search(json!({"query": word, "limit": 100})).await;
        assert_eq!(
            found
                .iter()
                .filter(|(document, chunk)| document == id && *chunk == 0)
                .count(),
            1,
            "{word}"
        );
        let mut found = tenant
            .search(json!({"query": "sea", "limit": 100, "filter": {"word": word}}))
            .await;
        found.sort();
        let chunks = document["chunks"].as_u64().unwrap();
        assert!(chunks > 1);
        assert_eq!(
            found,
            (0..chunks).map(|chunk| (id.clone(), chunk)).collect::<Vec<_>>(),
            "{word}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_documents_survive_kill_9_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let http = Client::builder().no_proxy().build().unwrap();
    let mut server = Server::start(&data).await;
    let mut tenant = Tenant {
        key: Tenant::create(&http, &server.url).await,
        url: server.url.clone(),
        http,
    };
    let mut acknowledged = BTreeMap::new();
    for (round, enough) in ROUNDS.into_iter().enumerate() {
        acknowledged.extend(upload_until_killed(server, &tenant, round, enough).await);
        server = Server::start(&data).await;
        tenant.url.clone_from(&server.url);
        check(&tenant, &acknowledged).await;
    }
    assert!(acknowledged.len() >= ROUNDS.iter().sum());
    server.kill().await;
}
