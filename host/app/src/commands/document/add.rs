//! `riad document add`: each file has its line, one that fails keeps none of the others out, and what is there already is not added again.

use super::{all, heading, send};
use crate::{
    cli::Member,
    client::{Client, Response},
    commands::{object, read_file},
    output::{self, Output, clean, progress},
};
use indicatif::ProgressBar;
use riad_api_types::documents::{Document, DocumentWithText, TextFormat};
use riad_core::{Error, ErrorKind, Result, document::normalize_text};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What was done with a file.
enum Outcome {
    Added(Response<Document>),
    /// A document with the same title, text and metadata.
    IsThere(Response<DocumentWithText>),
}

struct Adding<'a> {
    client: &'a Client,
    title: Option<String>,
    metadata: Map<String, Value>,
    /// The room's documents, and those that were added.
    documents: Vec<Document>,
}

pub(super) async fn add(
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
    let mut adding = Adding {
        client,
        title,
        metadata: object(metadata),
        documents: all(client).await?.data,
    };
    let bar = progress::count(files.len() as u64, "adding documents");
    let (mut added, mut failed, mut kind) = (0_usize, 0_usize, None::<ErrorKind>);
    for file in files {
        match adding.add(file).await {
            Ok(outcome) => {
                added += usize::from(matches!(outcome, Outcome::Added(_)));
                show(&bar, out, file, &outcome);
            }
            Err(error) => {
                failed += 1;
                kind = kind.or(Some(error.kind()));
                let line = format!("failed   {}: {}", name(file), clean(error.message()));
                bar.suspend(|| output::note(&line));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let summary = format!(
        "{added} added, {} there already, {failed} failed",
        files.len().saturating_sub(added + failed)
    );
    match kind {
        Some(kind) => Err(Error::new(
            kind,
            format!("{summary}; run it again for those that failed"),
        )),
        None => {
            if files.len() > 1 && !out.is_json() {
                output::line(&summary);
            }
            Ok(())
        }
    }
}

impl Adding<'_> {
    async fn add(&mut self, file: &Path) -> Result<Outcome> {
        let bytes = read_file(file).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("is not UTF-8 text; convert it first"))?;
        // As the server keeps it, so that it is found again.
        let text = normalize_text(text.to_owned());
        let title = self.title.clone().or_else(|| heading(&text).map(str::to_owned));
        let title = title.unwrap_or_else(|| clean(&file.file_name().unwrap_or_default().to_string_lossy()));
        if let Some(there) = self.find(title.trim(), &text).await? {
            return Ok(Outcome::IsThere(there));
        }
        let sent = send(self.client, &title, &text, format_of(file), self.metadata.clone()).await?;
        self.documents.push(sent.body.clone());
        Ok(Outcome::Added(sent))
    }

    /// By content: only a document of the same size is read.
    async fn find(&self, title: &str, text: &str) -> Result<Option<Response<DocumentWithText>>> {
        let bytes = text.len() as u64;
        let is_like = |document: &&Document| {
            document.bytes == bytes && document.title == title && document.metadata == self.metadata
        };
        for document in self.documents.iter().filter(is_like) {
            let found: Response<DocumentWithText> = self.client.get(&format!("/v1/documents/{}", document.id)).await?;
            if found.body.text == text {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn show(bar: &ProgressBar, out: &Output, file: &Path, outcome: &Outcome) {
    let (json, word, document) = match outcome {
        Outcome::Added(added) => (&added.json, "added    ", &added.body),
        Outcome::IsThere(there) => (&there.json, "is there ", &there.body.document),
    };
    bar.suspend(|| {
        out.show_json(json, || {
            format!(
                "{word}{}  {}  {} chunks",
                clean(&document.id),
                name(file),
                document.chunks
            )
        });
    });
}

fn name(file: &Path) -> String {
    clean(&file.display().to_string())
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
