//! A tenant that goes from one cell to another while both run, step by step, as `riad cell move` asks for them. Slot of globex: 6906.

use super::identity::hello;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::Secret;
use riad_end_to_end::{Caller, TestHost};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::sleep;

const MOVE: &str = "/operator/v1/tenants/globex/move";
const PREFETCH: &str = "/operator/v1/tenants/globex/move/prefetch";
const SNAPSHOT: &str = "/operator/v1/tenants/globex/snapshot";
const FINISH: &str = "/operator/v1/tenants/globex/move/finish";
/// Only its document has it.
const CANARY: &str = "quimpert";

/// Two cells with one map and one object store.
struct Cells {
    west: TestHost,
    east: TestHost,
    folder: TempDir,
}

impl Cells {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_map(&map_of(&folder), "west");
        fs::create_dir(folder.path().join("objects")).unwrap();
        Self {
            west: cell(&folder, "west").await,
            east: cell(&folder, "east").await,
            folder,
        }
    }

    /// Gives globex to a cell, and waits until both have read it.
    async fn assign(&self, owner: &str) {
        write_map(&map_of(&self.folder), owner);
        for (name, host) in [("west", &self.west), ("east", &self.east)] {
            while has_slot(host).await != (name == owner) {
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The first two steps.
    async fn copy(&self) -> Value {
        let leaving = self.west.operator.post(MOVE, &json!({"to": "east"})).await.ok();
        let arriving = json!({"from": "west", "tenant": leaving["tenant"]});
        let answer = self.east.operator.put(MOVE, &arriving).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        leaving
    }
}

fn map_of(folder: &TempDir) -> PathBuf {
    folder.path().join("cells.toml")
}

fn write_map(path: &Path, owner: &str) {
    let (west, east) = match owner {
        "west" => (r#"["0-9999"]"#, r#"["10000-16383"]"#),
        _ => (r#"["0-6905", "6907-9999"]"#, r#"["6906", "10000-16383"]"#),
    };
    let map = format!(
        "default = \"west\"\n[cells.west]\nurl = \"http://10.0.0.1:8080\"\nslots = {west}\n\
         [cells.east]\nurl = \"http://10.0.0.2:8080\"\nslots = {east}\n"
    );
    let new = path.with_extension("new");
    fs::write(&new, map).unwrap();
    fs::rename(new, path).unwrap();
}

async fn cell(folder: &TempDir, name: &str) -> TestHost {
    let url = format!("file://{}", folder.path().join("objects").display());
    let map = map_of(folder);
    TestHost::builder()
        .max_sequences(1)
        .config(|config| {
            config.cell.name = Some(name.parse().unwrap());
            config.cell.map = Some(map);
            config.objects.url = Some(url);
            config.objects.snapshot_interval_s = 100_000;
        })
        .secrets(|secrets| secrets.snapshot_key = Some(Secret::new(STANDARD.encode([7; 32]))))
        .start()
        .await
}

async fn has_slot(host: &TestHost) -> bool {
    let cell = host.operator.get("/operator/v1/cell").await.ok();
    let slots = cell["slots"].as_array().unwrap();
    let has = |range: &Value| (range[0].as_u64().unwrap()..=range[1].as_u64().unwrap()).contains(&6906);
    slots.iter().any(has)
}

async fn finds(caller: &Caller, word: &str) -> bool {
    let found = caller.post("/v1/search", &json!({"query": word})).await.ok();
    found["data"].to_string().contains(word)
}

async fn kinds(host: &TestHost) -> Vec<String> {
    let entries = host.entries("globex").await;
    let kind = |entry: &Value| entry["kind"].as_str().unwrap().to_owned();
    entries.iter().map(kind).collect()
}

async fn verified(host: &TestHost) {
    let report = host.operator.get("/operator/v1/ledger/verify").await.ok();
    assert_eq!(report["faults"], json!([]), "{report}");
}

fn folder_has(folder: &Path, word: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => folder_has(&path, word),
            false => {
                let bytes = fs::read(&path).unwrap();
                bytes.windows(word.len()).any(|window| window == word.as_bytes())
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_was_fetched_before_comes_with_what_changed() {
    let cells = Cells::start().await;
    let (west, east) = (&cells.west, &cells.east);
    let globex = west.tenant("globex").await;
    globex.add_document("Secrets", &format!("The word is {CANARY}.")).await;
    let saved = west.operator.post(SNAPSHOT, &json!({})).await.ok();
    let coming = json!({"from": "west", "saved": saved["saved"]});
    // Twice: the second takes the place of the first.
    for _ in 0..2 {
        let fetched = east.operator.post(PREFETCH, &coming).await.ok();
        assert!(fetched["bytes"].as_u64().unwrap() > 1_000, "{fetched}");
    }
    assert!(folder_has(&east.data().join("rooms"), CANARY));
    east.caller(&globex.key)
        .get("/v1/models")
        .await
        .refused(421, "misdirected_request");
    // Given up, it is gone.
    east.operator.delete(MOVE).await.ok();
    assert!(!folder_has(&east.data(), CANARY));
    east.operator.post(PREFETCH, &coming).await.ok();
    globex.add_document("More", "The other word is florp.").await;
    cells.copy().await;
    let there = east.caller(&globex.key);
    assert!(finds(&there, CANARY).await && finds(&there, "florp").await);
    let rooms = fs::read_dir(east.data().join("rooms")).unwrap();
    assert_eq!(rooms.count(), 1, "what was fetched before is removed");
    // Another room's snapshot, or none.
    let mut other = coming.clone();
    other["saved"]["snapshot"] = json!("snap_01a2321f6f1a7102b647f880bd83f690");
    east.operator.post(PREFETCH, &other).await.refused(404, "not_found");
    cells.assign("east").await;
    east.operator.post(PREFETCH, &coming).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_moves_while_it_is_read_and_nothing_of_it_stays() {
    let cells = Cells::start().await;
    let (west, east) = (&cells.west, &cells.east);
    let policy = json!({"budget": {"total_tokens": 100_000}, "weight": 3});
    let globex = west.tenant_with("globex", policy).await;
    globex.add_document("Secrets", &format!("The word is {CANARY}.")).await;
    globex.chat(&hello()).await;
    let spent = west.operator.get("/operator/v1/tenants/globex").await.ok();
    assert_eq!(spent["weight"], 3);

    let leaving = cells.copy().await;
    assert!(!leaving.to_string().contains(&globex.key), "a key is never told");
    // Reads and chats go on in the old cell, changes do not.
    assert!(finds(&globex, CANARY).await);
    globex.chat(&hello()).await;
    let refused = globex
        .post("/v1/documents", &json!({"title": "Late", "text": "Too late."}))
        .await
        .refused(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    // The new one takes both, before the map says so.
    let there = east.caller(&globex.key);
    assert!(finds(&there, CANARY).await);
    there.add_document("New", "The other word is florp.").await;
    assert_eq!(east.operator.get("/operator/v1/tenants/globex").await.ok()["weight"], 3);

    // Not before the map says so.
    west.operator.post(FINISH, &json!({})).await.refused(409, "conflict");
    cells.assign("east").await;
    globex.get("/v1/models").await.ok();
    west.operator.delete(MOVE).await.refused(409, "conflict");
    east.operator.delete(MOVE).await.refused(409, "conflict");
    // It has changed there.
    let arriving = json!({"from": "west", "tenant": leaving["tenant"]});
    east.operator.put(MOVE, &arriving).await.refused(409, "conflict");
    let saved = east.operator.post(SNAPSHOT, &json!({})).await.ok();
    assert!(saved["saved"]["snapshot"].is_string(), "{saved}");
    let ended = west.operator.post(FINISH, &json!({})).await.ok();
    let again = west.operator.post(FINISH, &json!({})).await.ok();
    assert_eq!(again["closed"], ended["closed"], "it can be asked again");
    for _ in 0..2 {
        let closed = json!({"closed": ended["closed"]});
        east.operator.post(FINISH, &closed).await.ok();
    }
    let answer = globex.get("/v1/models").await.refused(421, "misdirected_request");
    assert_eq!(answer.header("riad-cell"), "east");
    west.operator
        .get("/operator/v1/tenants/globex")
        .await
        .refused(404, "not_found");
    assert!(!folder_has(&west.data().join("rooms"), CANARY));
    assert!(finds(&there, "florp").await && finds(&there, CANARY).await);

    // Both ledgers say what has happened, and are whole.
    let old = kinds(west).await;
    assert_eq!(old.last().unwrap(), "moved");
    assert_eq!(old.iter().filter(|kind| *kind == "chat").count(), 2);
    assert_eq!(kinds(east).await.first().unwrap(), "moved");
    let last = west.entries("globex").await.pop().unwrap();
    assert_eq!(last["number"], ended["closed"]["number"]);
    assert!(last["request"].as_str().unwrap().starts_with("moved_to_east"), "{last}");
    verified(west).await;
    verified(east).await;
    for host in [west, east] {
        let cell = host.operator.get("/operator/v1/cell").await.ok();
        assert_eq!(cell["moves"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_counts_in_the_next_cell() {
    let cells = Cells::start().await;
    let globex = cells.west.tenant("globex").await;
    globex.chat(&hello()).await;
    let entries = cells.west.entries_when("globex", 1).await;
    let tokens = entries[0]["prompt_tokens"].as_u64().unwrap() + entries[0]["completion_tokens"].as_u64().unwrap();
    cells
        .west
        .change("globex", json!({"budget": {"total_tokens": tokens}}))
        .await;
    globex.try_chat(&hello()).await.refused(429, "insufficient_quota");
    cells.copy().await;
    let there = cells.east.caller(&globex.key);
    there.try_chat(&hello()).await.refused(429, "insufficient_quota");
    // And after a restart.
    cells.assign("east").await;
    let ended = cells.west.operator.post(FINISH, &json!({})).await.ok();
    let closed = json!({"closed": ended["closed"]});
    cells.east.operator.post(FINISH, &closed).await.ok();
    let east = cells.east.restart().await;
    let there = east.caller(&globex.key);
    there.try_chat(&hello()).await.refused(429, "insufficient_quota");
    east.change("globex", json!({"budget": {"total_tokens": tokens * 100}}))
        .await;
    there.chat(&hello()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_given_up_or_begun_again_and_loses_nothing() {
    let mut cells = Cells::start().await;
    let globex = cells.west.tenant("globex").await;
    let key = globex.key.clone();
    globex.add_document("Secrets", &format!("The word is {CANARY}.")).await;
    cells.copy().await;
    // Whoever moves it begins again, after a crash of both.
    cells.west = cells.west.restart().await;
    cells.east = cells.east.restart().await;
    let globex = cells.west.caller(&key);
    globex
        .post("/v1/documents", &json!({"title": "Late", "text": "Too late."}))
        .await
        .refused(503, "unavailable");
    assert!(finds(&globex, CANARY).await);
    cells.copy().await;
    let there = cells.east.caller(&key);
    assert!(finds(&there, CANARY).await);
    // The new cell first, then the old one.
    cells.east.operator.delete(MOVE).await.ok();
    there.get("/v1/models").await.refused(421, "misdirected_request");
    cells.east.operator.delete(MOVE).await.refused(404, "not_found");
    cells.west.operator.delete(MOVE).await.ok();
    globex.add_document("Again", "It can be changed again: florp.").await;
    assert!(finds(&globex, "florp").await && finds(&globex, CANARY).await);
    // And it can still move.
    cells.copy().await;
    assert!(finds(&there, "florp").await);
    verified(&cells.west).await;
    verified(&cells.east).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_move_is_refused_with_what_to_do() {
    let cells = Cells::start().await;
    let (west, east) = (&cells.west, &cells.east);
    west.operator
        .post(MOVE, &json!({"to": "east"}))
        .await
        .refused(404, "not_found");
    let globex = west.tenant("globex").await;
    west.operator.post(MOVE, &json!({"to": "west"})).await.refused(400, "");
    west.operator.post(FINISH, &json!({})).await.refused(404, "not_found");
    let leaving = west.operator.post(MOVE, &json!({"to": "east"})).await.ok();
    // To one cell only.
    west.operator
        .post(MOVE, &json!({"to": "north"}))
        .await
        .refused(409, "conflict");
    // A plan that the other cell has not.
    let mut other = leaving["tenant"].clone();
    other["policy"]["plan"] = json!("gold");
    let body = json!({"from": "west", "tenant": other});
    let answer = east.operator.put(MOVE, &body).await.refused(409, "conflict");
    assert!(answer.message().contains("/operator/v1/plans/gold"), "{}", answer.body);
    // Another path than the tenant's.
    let body = json!({"from": "west", "tenant": leaving["tenant"]});
    east.operator
        .put("/operator/v1/tenants/acme/move", &body)
        .await
        .refused(400, "");
    // A tenant that is there.
    east.tenant("acme").await;
    let mut other = leaving["tenant"].clone();
    other["id"] = json!("acme");
    let body = json!({"from": "west", "tenant": other});
    east.operator
        .put("/operator/v1/tenants/acme/move", &body)
        .await
        .refused(409, "conflict");
    // A tenant's key is no operator's.
    for path in [MOVE, PREFETCH, FINISH, SNAPSHOT] {
        globex
            .post(path, &json!({"to": "east"}))
            .await
            .refused(401, "invalid_api_key");
    }
    // A server that is no cell.
    let alone = TestHost::start().await;
    alone.tenant("globex").await;
    let answer = alone
        .operator
        .post(MOVE, &json!({"to": "east"}))
        .await
        .refused(409, "conflict");
    assert!(answer.message().contains("cell.name"), "{}", answer.body);
}
