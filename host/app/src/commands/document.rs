//! `riad document`.

use super::{date, object, read_file};
use crate::{
    cli::{DocumentCommand, Member},
    client::{Client, Response},
    output::{Output, clean, progress, table},
};
use riad_api_types::documents::{
    DeletedDocument, Document, DocumentList, DocumentParams, DocumentWithText, NewDocument, TextFormat,
};
use riad_core::{DocumentId, Error, Result, Timestamp};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Documents of one page of the listing.
const PAGE: u32 = 100;

pub async fn run(command: DocumentCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        DocumentCommand::Add { files, title, metadata } => add(&files, title, &metadata, client, out).await,
        DocumentCommand::List => list(client, out).await,
        DocumentCommand::Show { id } => {
            let document = client.get(&format!("/v1/documents/{id}")).await?;
            out.show(&document, |shown: &DocumentWithText| {
                format!("{}\n{}", rows([&shown.document]), clean(&shown.text))
            });
            Ok(())
        }
        DocumentCommand::Delete { ids } => delete(&ids, client, out).await,
    }
}

fn format_of(path: &Path) -> TextFormat {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "md" | "markdown" => TextFormat::Markdown,
        _ => TextFormat::Text,
    }
}

/// Sends one document; the demo uses it too.
pub async fn send(
    client: &Client,
    title: &str,
    text: &str,
    format: TextFormat,
    metadata: Map<String, Value>,
) -> Result<Response<Document>> {
    let document = NewDocument {
        title: title.to_owned(),
        text: text.to_owned(),
        metadata,
        format,
    };
    client.post("/v1/documents", &document).await
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
        let sent = send(client, &title, content, format_of(file), object(metadata)).await;
        let document = sent.map_err(|error| {
            let message = format!("{}: {}", file.display(), error.message());
            Error::new(error.kind(), message)
        });
        match document {
            Ok(document) if out.is_json() => out.show(&document, |_| String::new()),
            Ok(document) => added.push(document.body),
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
    let mut list = DocumentList {
        object: "list".into(),
        data: Vec::new(),
        has_more: false,
    };
    loop {
        let params = DocumentParams {
            limit: Some(PAGE),
            after: list.data.last().map(|last| last.id.clone()),
        };
        let page: DocumentList = client.get_with("/v1/documents", &params).await?.body;
        let more = page.has_more && !page.data.is_empty();
        list.data.extend(page.data);
        if !more {
            break;
        }
    }
    let json = serde_json::to_value(&list).map_err(Error::internal)?;
    out.show_json(&json, || rows(&list.data));
    Ok(())
}

async fn delete(ids: &[DocumentId], client: &Client, out: &Output) -> Result<()> {
    for id in ids {
        let deleted = client.delete(&format!("/v1/documents/{id}")).await?;
        out.show(&deleted, |_: &DeletedDocument| format!("Deleted document {id}."));
    }
    Ok(())
}

fn rows<'a>(documents: impl IntoIterator<Item = &'a Document>) -> String {
    let rows: Vec<_> = documents
        .into_iter()
        .map(|document| {
            vec![
                document.id.clone(),
                document.title.clone(),
                document.chunks.to_string(),
                document.bytes.to_string(),
                date(Timestamp::from_seconds(document.created)),
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
