//! `riad document add`: each file has its line, one that fails keeps none of the others out, and what is there already is not added again.

use crate::{
    cli::Member,
    client::{Client, Response},
    commands::{object, read_file},
    output::{self, Output, clean, progress},
};
use indicatif::ProgressBar;
use reqwest::multipart::{Form, Part};
use riad_api_types::documents::Document;
use riad_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The status of an answer about something that was there before.
const WAS_THERE: u16 = 200;

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
    let metadata = object(metadata);
    let bar = progress::count(files.len() as u64, "adding documents");
    let (mut added, mut failed, mut kind) = (0_usize, 0_usize, None::<ErrorKind>);
    for file in files {
        match send(client, file, title.as_deref(), &metadata).await {
            Ok(sent) => {
                added += usize::from(sent.status != WAS_THERE);
                show(&bar, out, file, &sent);
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

async fn send(
    client: &Client,
    file: &Path,
    title: Option<&str>,
    metadata: &Map<String, Value>,
) -> Result<Response<Document>> {
    let bytes = read_file(file).await?;
    let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let length = bytes.len() as u64;
    let part = Part::stream_with_length(bytes, length).file_name(file_name);
    let metadata = Value::Object(metadata.clone()).to_string();
    let form = Form::new().text("metadata", metadata).part("file", part);
    let form = match title {
        Some(title) => form.text("title", title.to_owned()),
        None => form,
    };
    client.post_form("/v1/documents", form).await
}

fn show(bar: &ProgressBar, out: &Output, file: &Path, sent: &Response<Document>) {
    let document = &sent.body;
    let word = match sent.status {
        WAS_THERE => "is there ",
        _ => "added    ",
    };
    bar.suspend(|| {
        out.show_json(&sent.json, || {
            let chunks = document.chunks;
            format!("{word}{}  {}  {chunks} chunks", clean(&document.id), name(file))
        });
        for warning in &document.warnings {
            output::note(&format!("warning  {}: {}", name(file), clean(warning)));
        }
    });
}

fn name(file: &Path) -> String {
    clean(&file.display().to_string())
}
