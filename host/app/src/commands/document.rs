//! `riad document`.

mod add;

use super::date;
use crate::{
    cli::DocumentCommand,
    client::{Client, Response},
    output::{Output, clean, table},
};
use riad_api_types::documents::{
    DeletedDocument, Document, DocumentList, DocumentParams, DocumentWithText, NewDocument, TextFormat,
};
use riad_core::{DocumentId, Error, Result, Timestamp};
use serde_json::{Map, Value};
/// Documents of one page of the listing.
const PAGE: u32 = 100;

pub async fn run(command: DocumentCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        DocumentCommand::Add { files, title, metadata } => add::add(&files, title, &metadata, client, out).await,
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
    // Some editors put a mark before the text.
    let text = text.trim_start_matches('\u{FEFF}');
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    first
        .strip_prefix("# ")
        .map(str::trim)
        .filter(|title| !title.is_empty())
}

async fn list(client: &Client, out: &Output) -> Result<()> {
    let list = all(client).await?;
    let json = serde_json::to_value(&list).map_err(Error::internal)?;
    out.show_json(&json, || rows(&list.data));
    Ok(())
}

/// Every document of the room, page by page.
async fn all(client: &Client) -> Result<DocumentList> {
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
            return Ok(list);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::heading;

    #[test]
    fn a_document_is_named_by_its_first_heading() {
        assert_eq!(heading("\n# Kestrel drill\n\ntext"), Some("Kestrel drill"));
        assert_eq!(heading("\u{FEFF}# Merlin saw\r\n"), Some("Merlin saw"));
        assert_eq!(heading("text\n# later"), None);
        assert_eq!(heading("# \n"), None);
        assert_eq!(heading(""), None);
    }
}
