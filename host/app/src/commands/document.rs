//! `riad document`.

use super::{date, object, read_file};
use crate::{
    cli::{DocumentCommand, Member},
    client::Client,
    output::{Output, clean, data, number, progress, table, text},
};
use riad_core::{DocumentId, Error, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Documents of one page of the listing.
const PAGE: usize = 100;

pub async fn run(command: DocumentCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        DocumentCommand::Add { files, title, metadata } => add(&files, title, &metadata, client, out).await,
        DocumentCommand::List => list(client, out).await,
        DocumentCommand::Show { id } => {
            let document = client.get(&format!("/v1/documents/{id}")).await?;
            out.show(&document, |document| {
                format!("{}\n{}", rows(std::slice::from_ref(document)), text(document, "text"))
            });
            Ok(())
        }
        DocumentCommand::Delete { ids } => delete(&ids, client, out).await,
    }
}

/// The format decides where the server splits the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
}

impl Format {
    fn of_file(path: &Path) -> Self {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Self::Markdown,
            _ => Self::Text,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
        }
    }
}

/// Sends one document; the demo uses it too.
pub async fn send(
    client: &Client,
    title: &str,
    text: &str,
    format: Format,
    metadata: Map<String, Value>,
) -> Result<Value> {
    let body = json!({"title": title, "text": text, "format": format.as_str(), "metadata": metadata});
    client.post("/v1/documents", &body).await
}

/// A Markdown text's first heading, if it begins with one.
pub fn heading(text: &str) -> Option<&str> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    first
        .strip_prefix("# ")
        .map(str::trim)
        .filter(|title| !title.is_empty())
}

async fn add(
    files: &[PathBuf],
    title: Option<String>,
    metadata: &[Member],
    client: &Client,
    out: &Output,
) -> Result<()> {
    if title.is_some() && files.len() > 1 {
        return Err(Error::invalid(
            "--title is for a single file; leave it out or add one file",
        ));
    }
    let bar = progress::count(files.len() as u64, "adding documents");
    let mut added = Vec::new();
    for file in files {
        let bytes = read_file(file).await?;
        let content = std::str::from_utf8(&bytes)
            .map_err(|_| Error::invalid(format!("{} is not UTF-8 text; convert it first", file.display())))?;
        let title = title
            .clone()
            .or_else(|| heading(content).map(str::to_owned))
            .unwrap_or_else(|| file_name(file));
        let sent = send(client, &title, content, Format::of_file(file), object(metadata)).await;
        let document = sent.map_err(|error| {
            let message = format!("{}: {}", file.display(), error.message());
            Error::new(error.kind(), message)
        });
        match document {
            Ok(document) if out.is_json() => out.show(&document, |_| String::new()),
            Ok(document) => added.push(document),
            Err(error) => {
                // Documents added before the error stay on the server; the user must know their ids.
                bar.finish_and_clear();
                if !added.is_empty() {
                    crate::output::line(rows(&added).trim_end());
                }
                return Err(error);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !out.is_json() {
        crate::output::line(rows(&added).trim_end());
    }
    Ok(())
}

async fn list(client: &Client, out: &Output) -> Result<()> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all
            .last()
            .map_or_else(String::new, |last| format!("&after={}", text(last, "id")));
        let page = client.get(&format!("/v1/documents?limit={PAGE}{after}")).await?;
        all.extend_from_slice(data(&page));
        let more = page.get("has_more").and_then(Value::as_bool).unwrap_or_default();
        if !more || data(&page).is_empty() {
            break;
        }
    }
    let whole = json!({"object": "list", "data": all, "has_more": false});
    out.show(&whole, |whole| rows(data(whole)));
    Ok(())
}

async fn delete(ids: &[DocumentId], client: &Client, out: &Output) -> Result<()> {
    for id in ids {
        let gone = client.delete(&format!("/v1/documents/{id}")).await?;
        out.show(&gone, |_| format!("Deleted document {id}."));
    }
    Ok(())
}

fn rows(documents: &[Value]) -> String {
    let rows: Vec<_> = documents
        .iter()
        .map(|document| {
            vec![
                text(document, "id"),
                text(document, "title"),
                number(document, "chunks").to_string(),
                number(document, "bytes").to_string(),
                date(number(document, "created")),
            ]
        })
        .collect();
    table::render(&["id", "title", "chunks", "bytes", "created"], &rows)
}

fn file_name(file: &Path) -> String {
    clean(&file.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::heading;

    #[test]
    fn a_document_is_named_by_its_first_heading() {
        assert_eq!(heading("\n# Kestrel drill\n\ntext"), Some("Kestrel drill"));
        assert_eq!(heading("text\n# later"), None);
        assert_eq!(heading("# \n"), None);
        assert_eq!(heading(""), None);
    }
}
