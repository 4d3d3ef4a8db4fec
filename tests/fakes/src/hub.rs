//! A hub of models on this machine, with what it stores on another port, as the real one keeps weights on other hosts.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
};
use futures::stream;
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// Bytes of a piece of an answer.
const PIECE: usize = 64 << 10;

pub type Files = BTreeMap<String, Bytes>;

/// A request that came.
#[derive(Clone, Debug)]
pub struct HubRequest {
    pub method: Method,
    /// With the query.
    pub path: String,
    /// Of the host that stores weights, not of the hub.
    pub to_storage: bool,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

/// How the hub behaves.
#[derive(Clone, Default)]
pub struct Behavior {
    /// Cuts the connection after so many bytes of the next answers of the storage, one each.
    pub cuts: Vec<usize>,
    /// What a request must have.
    pub token: Option<String>,
    /// Answers every request to the hub.
    pub status: Option<StatusCode>,
    /// Between two pieces of what is stored.
    pub pause: Duration,
    /// The list of files has their names only, as some mirrors send it.
    pub names_only: bool,
    pub without_ranges: bool,
    /// Flips the last byte of what is stored.
    pub damaged: bool,
}

pub struct FakeHub {
    pub url: String,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct Shared {
    storage: Mutex<String>,
    id: String,
    revisions: Mutex<BTreeMap<String, String>>,
    commits: Mutex<BTreeMap<String, Files>>,
    behavior: Mutex<Behavior>,
    requests: Mutex<Vec<HubRequest>>,
}

impl FakeHub {
    /// A hub with one model, `owner/name`.
    ///
    /// # Panics
    /// If this machine has no free port.
    pub async fn start(id: &str) -> Self {
        let shared = Arc::new(Shared {
            id: id.to_owned(),
            ..Shared::default()
        });
        let (url, hub) = serve(Router::new().fallback(answer), &shared).await;
        let (storage, stored) = serve(Router::new().fallback(stored), &shared).await;
        *shared.storage.lock().unwrap() = storage;
        Self {
            url,
            shared,
            tasks: [hub, stored],
        }
    }

    /// Adds a commit with these files, and lets the branch or tag name it. Returns the commit.
    ///
    /// # Panics
    /// If another test panicked.
    pub fn push(&self, revision: &str, files: Files) -> String {
        let number = self.shared.commits.lock().unwrap().len() + 1;
        let commit = format!("{number:040x}");
        self.shared.commits.lock().unwrap().insert(commit.clone(), files);
        let mut revisions = self.shared.revisions.lock().unwrap();
        revisions.insert(revision.to_owned(), commit.clone());
        revisions.insert(commit.clone(), commit.clone());
        commit
    }

    /// # Panics
    /// If another test panicked.
    pub fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock().unwrap() = behavior;
    }

    /// The requests since the last call.
    ///
    /// # Panics
    /// If another test panicked.
    pub fn take_requests(&self) -> Vec<HubRequest> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The files of a folder, without those in folders below.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn files_of(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap().into())
        })
        .collect()
}

async fn serve(router: Router<Arc<Shared>>, shared: &Arc<Shared>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = router.with_state(Arc::clone(shared));
    (
        url,
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }),
    )
}

impl Shared {
    fn record(&self, method: Method, uri: &Uri, headers: &HeaderMap, to_storage: bool) -> Behavior {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        self.requests.lock().unwrap().push(HubRequest {
            method,
            path: uri.to_string(),
            to_storage,
            range: text(header::RANGE),
            authorization: text(header::AUTHORIZATION),
        });
        self.behavior.lock().unwrap().clone()
    }

    fn file(&self, commit: &str, name: &str) -> Option<Bytes> {
        self.commits.lock().unwrap().get(commit)?.get(name).cloned()
    }

    fn commit(&self, revision: &str) -> Option<String> {
        self.revisions.lock().unwrap().get(revision).cloned()
    }

    fn list(&self, commit: &str, names_only: bool) -> String {
        let commits = self.commits.lock().unwrap();
        let files = commits.get(commit).unwrap();
        let siblings: Vec<_> = files
            .iter()
            .map(|(name, content)| match (names_only, is_large(name)) {
                (true, _) => json!({"rfilename": name}),
                (false, true) => json!({
                    "rfilename": name, "size": content.len(), "blobId": git_digest(b"a pointer"),
                    "lfs": {"sha256": sha256(content), "size": content.len(), "pointerSize": 134},
                }),
                (false, false) => {
                    json!({"rfilename": name, "size": content.len(), "blobId": git_digest(content)})
                }
            })
            .collect();
        json!({"id": self.id, "sha": commit, "gated": false, "siblings": siblings}).to_string()
    }
}

fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".onnx"].iter().any(|end| name.ends_with(end))
}

async fn answer(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let behavior = shared.record(method.clone(), &uri, &headers, false);
    if let Some(status) = behavior.status {
        return plain(status, "");
    }
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    let wanted = behavior.token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && authorization != wanted.as_deref() {
        return plain(StatusCode::UNAUTHORIZED, "GatedRepo");
    }
    let path = uri.path().trim_start_matches('/');
    let parts: Vec<String> = path.split('/').map(|part| part.replace("%2F", "/")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let is_model = |owner: &str, name: &str| shared.id == format!("{owner}/{name}");
    match parts.as_slice() {
        ["api", "models", owner, name, "revision", revision] if is_model(owner, name) => {
            match shared.commit(revision) {
                Some(commit) => Response::new(Body::from(shared.list(&commit, behavior.names_only))),
                None => plain(StatusCode::NOT_FOUND, "RevisionNotFound"),
            }
        }
        [owner, name, "resolve", revision, file] if is_model(owner, name) => {
            let Some(commit) = shared.commit(revision) else {
                return plain(StatusCode::NOT_FOUND, "RevisionNotFound");
            };
            match shared.file(&commit, file) {
                Some(content) => redirect(&shared, &commit, file, &content),
                None => plain(StatusCode::NOT_FOUND, "EntryNotFound"),
            }
        }
        ["api", "resolve-cache", "models", _, _, commit, file] => {
            let content = shared.file(commit, file).unwrap();
            let response = Response::builder()
                .header(header::ETAG, format!("\"{}\"", git_digest(&content)))
                .header(header::CONTENT_LENGTH, content.len());
            response.body(Body::from(content)).unwrap()
        }
        _ => plain(StatusCode::NOT_FOUND, "RepoNotFound"),
    }
}

/// Large files are on another host, small ones on the hub at another path.
fn redirect(shared: &Shared, commit: &str, file: &str, content: &Bytes) -> Response {
    let response = Response::builder().header("x-repo-commit", commit);
    let response = match is_large(file) {
        true => response
            .status(StatusCode::FOUND)
            .header("x-linked-etag", format!("\"{}\"", sha256(content)))
            .header("x-linked-size", content.len())
            .header(
                header::LOCATION,
                format!("{}/{commit}/{file}?signature=x", shared.storage.lock().unwrap()),
            ),
        false => response.status(StatusCode::TEMPORARY_REDIRECT).header(
            header::LOCATION,
            format!("/api/resolve-cache/models/{}/{commit}/{file}", shared.id),
        ),
    };
    response.body(Body::empty()).unwrap()
}

async fn stored(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let behavior = shared.record(method, &uri, &headers, true);
    let parts: Vec<&str> = uri.path().split('/').collect();
    let mut content = shared.file(parts[1], parts[2]).unwrap().to_vec();
    if let (true, Some(last)) = (behavior.damaged, content.last_mut()) {
        *last ^= 1;
    }
    let from = headers.get(header::RANGE).filter(|_| !behavior.without_ranges);
    let from = from.map(|range| {
        let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
        range.trim_end_matches('-').parse::<usize>().unwrap()
    });
    let size = content.len();
    let rest = content.split_off(from.unwrap_or(0));
    let response = Response::builder().header(header::CONTENT_LENGTH, rest.len());
    let response = match from {
        Some(from) => response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1)),
        None => response,
    };
    let cut = {
        let mut behavior = shared.behavior.lock().unwrap();
        (!behavior.cuts.is_empty()).then(|| behavior.cuts.remove(0))
    };
    response.body(body(rest, cut, behavior.pause)).unwrap()
}

/// Ends the connection early at the cut.
fn body(content: Vec<u8>, cut: Option<usize>, pause: Duration) -> Body {
    let content = Bytes::from(content);
    let end = cut.unwrap_or(content.len()).min(content.len());
    let pieces: Vec<Bytes> = (0..end)
        .step_by(PIECE)
        .map(|from| content.slice(from..end.min(from + PIECE)))
        .collect();
    let mut items: Vec<Result<Bytes, std::io::Error>> = pieces.into_iter().map(Ok).collect();
    if cut.is_some() {
        items.push(Err(std::io::Error::other("cut")));
    }
    Body::from_stream(stream::unfold(items.into_iter(), move |mut items| async move {
        let item = items.next()?;
        // What was sent before a cut must have left.
        let pause = if item.is_err() {
            Duration::from_millis(100)
        } else {
            pause
        };
        tokio::time::sleep(pause).await;
        Some((item, items))
    }))
}

fn plain(status: StatusCode, code: &str) -> Response {
    let response = Response::builder().status(status).header("x-error-code", code);
    response.body(Body::empty()).unwrap()
}

fn sha256(content: &[u8]) -> String {
    to_hex(digest(&SHA256, content).as_ref())
}

fn git_digest(content: &[u8]) -> String {
    let mut blob = format!("blob {}\0", content.len()).into_bytes();
    blob.extend_from_slice(content);
    to_hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &blob).as_ref())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
