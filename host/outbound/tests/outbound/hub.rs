//! Models from a hub on this machine into a cache of their own. The hub serves the model that ships.

mod errors;

use axum::http::Method;
use riad_fakes::hub::{Behavior, FakeHub, Files, HubRequest, files_of};
use riad_outbound::{Hub, HubConfig, HubModel};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const ID: &str = "acme/tiny";
const WEIGHTS: &str = "model.safetensors";
const PAUSES: &[Duration] = &[Duration::from_millis(10); 2];
const SHIPPED: &str = concat!(env!("RIAD_SOURCE"), "/host/models/chat/base");
const TOKEN: &str = "hf_secret";

fn shipped() -> Files {
    files_of(Path::new(SHIPPED))
}

/// Files of these names whose content is their name.
fn named(names: &[&str]) -> Files {
    names
        .iter()
        .map(|name| ((*name).to_owned(), (*name).to_owned().into()))
        .collect()
}

fn model(revision: &str) -> HubModel {
    HubModel::parse(&format!("{ID}{revision}")).unwrap()
}

/// Another process could not share more than this: the address, the folder and the environment.
fn hub_with(url: &str, home: &Path, more: &[(&str, &str)], pauses: &[Duration]) -> Hub {
    let home = home.to_str().unwrap();
    let variables = [("HF_ENDPOINT", url), ("HF_HOME", home)]
        .into_iter()
        .chain(more.iter().copied());
    let config = HubConfig::read(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
    Hub::with_pauses(config, pauses)
}

fn hub(fake: &FakeHub, home: &Path) -> Hub {
    hub_with(&fake.url, home, &[], PAUSES)
}

#[track_caller]
fn has(folder: &Path, files: &Files) {
    assert_eq!(
        &files_of(folder),
        files,
        "other files than these, or with other content"
    );
}

fn to_storage(requests: &[HubRequest]) -> Vec<&HubRequest> {
    requests.iter().filter(|request| request.to_storage).collect()
}

/// The only blob with this end, such as `.incomplete`.
fn blob(home: &Path, end: &str) -> Option<PathBuf> {
    let blobs = std::fs::read_dir(home.join("hub/models--acme--tiny/blobs")).ok()?;
    blobs
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with(end))
}

async fn started() -> (FakeHub, tempfile::TempDir) {
    let fake = FakeHub::start(ID).await;
    fake.push("main", shipped());
    (fake, tempfile::tempdir().unwrap())
}

#[tokio::test]
async fn what_a_model_needs_is_fetched_and_nothing_else() {
    let (fake, home) = (FakeHub::start(ID).await, tempfile::tempdir().unwrap());
    let mut files = shipped();
    files.extend(named(&["chat_template.jinja"]));
    let mut all = files.clone();
    all.extend(named(&[
        "README.md",
        ".gitattributes",
        "pytorch_model.bin",
        "consolidated.safetensors",
        "onnx/model.onnx",
        "original/model.safetensors",
        "../tokenizer.json",
    ]));
    let commit = fake.push("main", all);
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &files);
    let repository = home.path().join("hub/models--acme--tiny");
    assert_eq!(folder, repository.join("snapshots").join(&commit));
    assert_eq!(std::fs::read_to_string(repository.join("refs/main")).unwrap(), commit);
    let other_tool = hf_hub::Cache::new(home.path().join("hub")).model(ID.into());
    assert_eq!(other_tool.get(WEIGHTS), Some(folder.join(WEIGHTS)));
    assert!(std::fs::symlink_metadata(folder.join(WEIGHTS)).unwrap().is_symlink());
    assert_eq!(blob(home.path(), ".incomplete"), None);
}

#[tokio::test]
async fn shards_are_those_that_the_index_names() {
    let (fake, home) = (FakeHub::start(ID).await, tempfile::tempdir().unwrap());
    let (index, shards) = (
        "model.safetensors.index.json",
        ["model-1-of-2.safetensors", "model-2-of-2.safetensors"],
    );
    let mut files = named(&["config.json", "tokenizer.json", shards[0], shards[1]]);
    let map = format!(r#"{{"weight_map": {{"a": "{}", "b": "{}"}}}}"#, shards[0], shards[1]);
    files.insert(index.to_owned(), map.into());
    let mut all = files.clone();
    all.extend(named(&["model.fp16.safetensors", WEIGHTS]));
    fake.push("main", all);
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &files);
    // The weights are the last, so that a snapshot with them has the rest.
    let requests = fake.take_requests();
    let first = requests.iter().position(|request| request.to_storage).unwrap();
    assert!(requests[first..].iter().all(|request| request.path.contains("model-")));
}

#[tokio::test]
async fn the_next_start_goes_on_where_a_download_was_cut() {
    let (fake, home) = started().await;
    let cut = 5_000_000;
    fake.behave(Behavior {
        cuts: vec![cut],
        ..Behavior::default()
    });
    let error = hub_with(&fake.url, home.path(), &[], &[])
        .fetch(&model(""))
        .await
        .unwrap_err();
    assert!(error.message().contains("cannot be reached"), "{error}");
    let part = std::fs::metadata(blob(home.path(), ".incomplete").unwrap())
        .unwrap()
        .len();
    assert_eq!(part, cut as u64);
    fake.take_requests();

    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
    let requests = fake.take_requests();
    let [rest] = to_storage(&requests)[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(rest.range.as_deref(), Some(&*format!("bytes={cut}-")));
}

#[tokio::test]
async fn a_start_goes_on_by_itself_after_cuts() {
    let (fake, home) = started().await;
    // More cuts than pauses: each attempt brings something.
    fake.behave(Behavior {
        cuts: vec![1_000_000; 4],
        ..Behavior::default()
    });
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
    let requests = fake.take_requests();
    let ranges: Vec<_> = to_storage(&requests)
        .iter()
        .map(|request| request.range.clone())
        .collect();
    assert_eq!(ranges.len(), 5);
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[4].as_deref(), Some("bytes=4000000-"));
}

#[tokio::test]
async fn a_hub_without_ranges_sends_the_file_again() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        cuts: vec![1_000_000],
        without_ranges: true,
        ..Behavior::default()
    });
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
}

#[tokio::test]
async fn the_second_start_asks_for_the_list_only() {
    let (fake, home) = started().await;
    hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    fake.take_requests();
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
    let requests = fake.take_requests();
    let [list] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(list.path, "/api/models/acme/tiny/revision/main?blobs=true");
}

#[tokio::test]
async fn a_new_commit_fetches_what_changed() {
    let (fake, home) = started().await;
    let before = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    let mut files = shipped();
    files.extend(named(&["chat_template.jinja"]));
    fake.push("main", files.clone());
    fake.take_requests();
    let after = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&after, &files);
    has(&before, &shipped());
    assert!(to_storage(&fake.take_requests()).is_empty(), "the weights are the same");
}

#[tokio::test]
async fn a_revision_is_pinned() {
    let fake = FakeHub::start(ID).await;
    let first = fake.push("v1", shipped());
    let mut files = shipped();
    files.extend(named(&["chat_template.jinja"]));
    fake.push("feature/x", files.clone());
    for (revision, files) in [
        ("@v1", &shipped()),
        ("@feature/x", &files),
        (&format!("@{first}"), &shipped()),
    ] {
        let home = tempfile::tempdir().unwrap();
        let folder = hub(&fake, home.path()).fetch(&model(revision)).await.unwrap();
        has(&folder, files);
        assert_eq!(hub(&fake, home.path()).cached(&model(revision)).unwrap(), folder);
    }
}

#[tokio::test]
async fn a_commit_that_is_there_needs_no_request() {
    let (fake, home) = (FakeHub::start(ID).await, tempfile::tempdir().unwrap());
    let commit = fake.push("main", shipped());
    let pinned = model(&format!("@{commit}"));
    hub(&fake, home.path()).fetch(&pinned).await.unwrap();
    fake.take_requests();
    hub(&fake, home.path()).fetch(&pinned).await.unwrap();
    assert!(fake.take_requests().is_empty());
}

#[tokio::test]
async fn offline_nothing_is_requested() {
    let (fake, home) = started().await;
    let offline = hub_with(&fake.url, home.path(), &[("HF_HUB_OFFLINE", "1")], PAUSES);
    let error = offline.fetch(&model("@v1")).await.unwrap_err();
    assert!(
        error.message().contains("acme/tiny@v1") && error.message().contains("HF_HUB_OFFLINE"),
        "{error}"
    );
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    fake.take_requests();
    assert_eq!(offline.fetch(&model("")).await.unwrap(), folder);
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let error = offline.fetch(&model("")).await.unwrap_err();
    assert!(error.message().contains("has no tokenizer.json"), "{error}");
    assert!(fake.take_requests().is_empty());
}

#[tokio::test]
async fn the_token_goes_to_the_hub_only() {
    let (fake, home) = started().await;
    for names_only in [false, true] {
        fake.behave(Behavior {
            token: Some(TOKEN.to_owned()),
            names_only,
            ..Behavior::default()
        });
        let home = home.path().join(names_only.to_string());
        let hub = hub_with(&fake.url, &home, &[("HF_TOKEN", TOKEN)], PAUSES);
        has(&hub.fetch(&model("")).await.unwrap(), &shipped());
        let requests = fake.take_requests();
        assert!(!to_storage(&requests).is_empty());
        for request in requests {
            let expected = (!request.to_storage).then(|| format!("Bearer {TOKEN}"));
            assert_eq!(request.authorization, expected, "{}", request.path);
        }
    }
}

#[tokio::test]
async fn a_list_without_sizes_is_completed_file_by_file() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        names_only: true,
        ..Behavior::default()
    });
    let folder = hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    has(&folder, &shipped());
    let requests = fake.take_requests();
    assert!(requests.iter().any(|request| request.method == Method::HEAD));
    assert_eq!(to_storage(&requests).len(), 1);
    hub(&fake, home.path()).fetch(&model("")).await.unwrap();
    let again = fake.take_requests();
    let is_metadata = |request: &HubRequest| request.method == Method::HEAD || request.path.starts_with("/api/models/");
    assert!(again.iter().all(is_metadata), "{again:?}");
}

#[tokio::test]
async fn two_that_start_at_once_fetch_the_weights_once() {
    let (fake, home) = started().await;
    fake.behave(Behavior {
        pause: Duration::from_millis(3),
        ..Behavior::default()
    });
    let (first, second) = (hub(&fake, home.path()), hub(&fake, home.path()));
    let branch = model("");
    let (first, second) = tokio::join!(first.fetch(&branch), second.fetch(&branch));
    assert_eq!(first.unwrap(), second.unwrap());
    let folder = hub(&fake, home.path()).cached(&branch).unwrap();
    has(&folder, &shipped());
    assert_eq!(to_storage(&fake.take_requests()).len(), 1);
}
