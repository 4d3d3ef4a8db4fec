//! What the spy tries, a function per capability. An error is a result too: its text may carry what it should not.

use riad_sdk::{
    Passage, StageError, documents as docs, embeddings as vectors, http, kv as values, settings as room_settings,
    store as sql,
};

/// Bytes of all passages together, below what a stage may return.
const REPORT_BYTES: usize = 700_000;
/// Bytes of one attempt's result.
const NOTE_BYTES: usize = 20_000;

/// What the attempts obtained.
#[derive(Default)]
pub struct Report {
    pub passages: Vec<Passage>,
    bytes: usize,
}

impl Report {
    /// Adds the result of an attempt as a passage.
    pub fn note(&mut self, attempt: &str, result: &str) {
        let text: String = result.chars().take(NOTE_BYTES / 4).collect();
        let metadata = serde_json::json!({ "attempt": attempt }).to_string();
        self.bytes += text.len() + metadata.len();
        if self.bytes <= REPORT_BYTES {
            self.passages.push(Passage {
                document: "spy".to_string(),
                chunk: self.passages.len() as u32,
                title: "spy".to_string(),
                text,
                score: 0.0,
                metadata,
            });
        }
    }
}

fn list(key: &str) -> Result<Vec<String>, StageError> {
    Ok(room_settings::get(key)?.unwrap_or_default())
}

pub fn settings(report: &mut Report) {
    for key in [
        "",
        "*",
        "%",
        ".",
        "/",
        "..",
        "secret",
        "canary",
        "tenant",
        "tenants",
        "operator",
        "spy.needles/../canary",
        "\u{0}",
    ] {
        report.note(
            &format!("settings {key:?}"),
            &format!("{:?}", room_settings::get_json(key)),
        );
    }
}

pub fn documents(report: &mut Report) -> Result<(), StageError> {
    let filters = [
        "{}",
        "null",
        "[]",
        "",
        "{",
        "{\"tenant\":\"*\"}",
        "{\"$or\":[{}]}",
        "{\"' OR 1=1 --\":1}",
        "{\"a\":\"' OR '1'='1\"}",
        "{\"a.b\":null}",
    ];
    for needle in list("spy.needles")? {
        for filter in filters {
            report.note(
                &format!("search {needle:?} {filter:?}"),
                &format!("{:?}", docs::search_filtered(&needle, 100, filter)),
            );
        }
        report.note(&format!("get {needle:?}"), &format!("{:?}", docs::get(&needle)));
    }
    for (query, limit) in [
        ("*", 100),
        ("\" OR \"", 100),
        ("secret canary vault", 100),
        ("", 1),
        ("a", 0),
        ("a", u32::MAX),
    ] {
        report.note(
            &format!("search {query:?} {limit}"),
            &format!("{:?}", docs::search(query, limit)),
        );
    }
    for after in [None, Some(""), Some("0"), Some("../"), Some("' OR '1'='1")] {
        report.note(&format!("list {after:?}"), &format!("{:?}", docs::list(after, 100)));
    }
    report.note("list 4294967295", &format!("{:?}", docs::list(None, u32::MAX)));
    for id in list("spy.ids")? {
        report.note(&format!("list {id:?}"), &format!("{:?}", docs::list(Some(&id), 100)));
        for id in [
            id.clone(),
            id.to_uppercase(),
            format!("../{id}"),
            format!("{id}%"),
            format!("' OR id = '{id}"),
        ] {
            report.note(&format!("get {id:?}"), &format!("{:?}", docs::get(&id)));
        }
    }
    let stores = list("spy.stores")?;
    for needle in list("spy.needles")? {
        for store in &stores {
            for named in [
                store.clone(),
                store.to_uppercase(),
                format!("../{store}"),
                format!("' OR id = '{store}"),
            ] {
                report.note(
                    &format!("search {needle:?} in {named:?}"),
                    &format!("{:?}", docs::search_stores(&[named], &needle, 50, "{}")),
                );
            }
        }
    }
    Ok(())
}

pub fn store(report: &mut Report) -> Result<(), StageError> {
    let mut statements: Vec<String> = [
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_database_list",
        "PRAGMA database_list",
        "PRAGMA journal_mode",
        "PRAGMA writable_schema = 1",
        "PRAGMA temp_store_directory = '/tmp'",
        "SELECT * FROM documents",
        "SELECT * FROM chunks",
        "SELECT * FROM settings",
        "SELECT * FROM main.tenants",
        "SELECT * FROM temp.sqlite_master",
        "SELECT * FROM sqlite_dbpage",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('/tmp/spy', 'x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT * FROM fsdir('.')",
        "VACUUM INTO '/tmp/spy.db'",
        "CREATE TEMP TABLE spy (a)",
        "CREATE VIRTUAL TABLE spy USING fts5(a)",
        "ATTACH ':memory:' AS other",
        "ATTACH 'file:control.db?mode=ro' AS other",
    ]
    .map(str::to_string)
    .to_vec();
    let mut paths = list("spy.paths")?;
    paths.extend(["control.db", "../control.db", "../room.db", "room.db", "/etc/passwd"].map(str::to_string));
    for path in &paths {
        statements.push(format!("ATTACH '{}' AS other", path.replace('\'', "''")));
        statements.push("SELECT * FROM other.sqlite_master".to_string());
    }
    for needle in list("spy.needles")? {
        let needle = needle.replace('\'', "''");
        statements.push(format!("SELECT * FROM sqlite_master WHERE sql LIKE '%{needle}%'"));
    }
    for statement in &statements {
        report.note(
            &format!("query {statement}"),
            &format!("{:?}", sql::query(statement, &[])),
        );
        report.note(
            &format!("execute {statement}"),
            &format!("{:?}", sql::execute(statement, &[])),
        );
    }
    tables(report);
    Ok(())
}

/// Every row of every table that the schema names.
fn tables(report: &mut Report) {
    let Ok(schema) = sql::query("SELECT name FROM sqlite_master", &[]) else {
        return;
    };
    for name in schema.iter().filter_map(|row| row.get::<String>("name").ok()) {
        let statement = format!("SELECT * FROM \"{}\" LIMIT 200", name.replace('"', "\"\""));
        report.note(
            &format!("query {statement}"),
            &format!("{:?}", sql::query(&statement, &[])),
        );
    }
}

/// Values under keys that a neighbor may use, and under keys that may reach out of the room.
pub fn kv(report: &mut Report) -> Result<(), StageError> {
    let mut keys = list("spy.needles")?;
    keys.extend(list("spy.keys")?);
    let reaching = keys
        .iter()
        .flat_map(|key| [format!("../{key}"), format!("{key}%"), format!("' OR key = '{key}")]);
    let reaching: Vec<String> = reaching.collect();
    keys.extend(reaching);
    keys.extend(["*", "%", "' OR '1'='1", "\u{0}"].map(str::to_string));
    for key in &keys {
        report.note(&format!("kv get {key:?}"), &format!("{:?}", values::get_text(key)));
        report.note(
            &format!("kv increment {key:?}"),
            &format!("{:?}", values::increment(key, 1, 1)),
        );
        report.note(&format!("kv delete {key:?}"), &format!("{:?}", values::delete(key)));
    }
    Ok(())
}

/// Where a neighbor's data may be served: the server itself, and addresses that only it reaches.
pub fn outside(report: &mut Report) {
    for url in [
        "http://127.0.0.1/metrics",
        "http://localhost/v1/documents",
        "http://[::1]/v1/documents",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ] {
        let request = http::Request::get(url);
        report.note(&format!("http {url}"), &format!("{:?}", http::send(&request)));
    }
}

pub fn embeddings(report: &mut Report) -> Result<(), StageError> {
    let needles = list("spy.needles")?;
    report.note(
        "embed",
        &format!("{:?}", vectors::embed(&needles).map(|found| found.len())),
    );
    Ok(())
}
