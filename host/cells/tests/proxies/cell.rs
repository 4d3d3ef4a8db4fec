//! Cells that are fakes: each answers with its name, or with 421 as a server does.

use crate::http::{header, read_message};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_cells::{CellMap, CellUrl};
use riad_core::{CellName, Secret, TenantId, slot::Slot};
use std::{
    collections::HashMap,
    io::Write,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Cells {
    shared: Arc<Mutex<Shared>>,
    /// As it was in the beginning, which proxies know.
    first: CellMap,
}

struct Shared {
    map: CellMap,
    asked: HashMap<String, usize>,
    ended: Vec<String>,
    /// The name of whatever cell a 421 names.
    renamed: Option<String>,
}

impl Cells {
    pub fn start(names: &[&str]) -> Self {
        let listeners: Vec<_> = names
            .iter()
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let cell = |(name, listener): (&&str, &TcpListener)| -> (CellName, CellUrl) {
            let url = format!("http://{}", listener.local_addr().unwrap());
            (name.parse().unwrap(), url.parse().unwrap())
        };
        let map = CellMap::even(names.iter().zip(&listeners).map(cell).collect()).unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            map: map.clone(),
            asked: HashMap::new(),
            ended: Vec::new(),
            renamed: None,
        }));
        for (name, listener) in names.iter().zip(listeners) {
            let (name, shared) = ((*name).to_owned(), Arc::clone(&shared));
            thread::spawn(move || serve(&name, listener, &shared));
        }
        Self { shared, first: map }
    }

    /// The map that the cells have now.
    pub fn map(&self) -> CellMap {
        self.shared.lock().unwrap().map.clone()
    }

    /// Which cell served a slot in the beginning.
    pub fn owner(&self, slot: Slot) -> &str {
        self.first.owner(slot).name.as_str()
    }

    pub fn assign(&self, range: &str, cell: &str) {
        let mut shared = self.shared.lock().unwrap();
        shared
            .map
            .assign(&[range.parse().unwrap()], &cell.parse().unwrap())
            .unwrap();
    }

    /// From now on every request is another cell's.
    pub fn rename_all(&self, name: &str) {
        self.shared.lock().unwrap().renamed = Some(name.to_owned());
    }

    /// How many requests a cell got.
    pub fn asked(&self, cell: &str) -> usize {
        self.shared.lock().unwrap().asked.get(cell).copied().unwrap_or_default()
    }

    /// From now on its connections are refused.
    pub fn end(&self, cell: &str) {
        let map = self.map();
        let url = map
            .cells()
            .find(|found| found.name.as_str() == cell)
            .unwrap()
            .url
            .authority();
        self.shared.lock().unwrap().ended.push(cell.to_owned());
        // Whereby its loop ends, and its listener.
        while TcpStream::connect(&url).is_ok() {
            thread::yield_now();
        }
    }
}

fn serve(name: &str, listener: TcpListener, shared: &Arc<Mutex<Shared>>) {
    for socket in listener.incoming() {
        if shared.lock().unwrap().ended.iter().any(|ended| ended == name) {
            return;
        }
        let (name, shared, mut socket) = (name.to_owned(), Arc::clone(shared), socket.unwrap());
        thread::spawn(move || {
            while let Some((head, body)) = read_message(&mut socket) {
                let answer = answer(&name, &head, &body, &mut shared.lock().unwrap());
                if socket.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}

fn answer(name: &str, head: &str, body: &[u8], shared: &mut Shared) -> String {
    *shared.asked.entry(name.to_owned()).or_default() += 1;
    let owner = slot_of(head).map(|slot| shared.map.owner(slot).name.to_string());
    let other = shared.renamed.clone().or(owner).filter(|owner| owner != name);
    let (status, header, text) = match other {
        Some(other) => (
            "421 Misdirected Request",
            format!("riad-cell: {other}"),
            r#"{"code": "misdirected"}"#,
        ),
        None => ("200 OK", format!("x-body-bytes: {}", body.len()), "{}"),
    };
    format!(
        "HTTP/1.1 {status}\r\nx-answered-by: {name}\r\n{header}\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// Of a key, or of a token's claim, which a server would have verified.
fn slot_of(head: &str) -> Option<Slot> {
    let bearer = header(head, "authorization").and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let key = bearer.map(|(_, key)| key).or_else(|| header(head, "x-api-key"))?;
    let claims = key.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    match claims {
        Some(claims) => {
            let claims = String::from_utf8(claims).ok()?;
            let (_, tenant) = claims.split_once(r#""tenant":""#)?;
            let tenant: TenantId = tenant.split('"').next()?.parse().ok()?;
            Some(Slot::of(&tenant))
        }
        None => Slot::of_key(&Secret::new(key.to_owned())),
    }
}
