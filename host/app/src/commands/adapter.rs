//! `riad adapter`.

use super::{date, read_file};
use crate::{
    cli::AdapterCommand,
    client::{Client, Response},
    output::{Output, clean, progress, short_digest, table},
};
use bytes::Bytes;
use futures::stream;
use indicatif::ProgressBar;
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use riad_api_types::adapters::{
    Adapter, AdapterList, AdapterPatch, DeletedAdapter, Generation, GenerationList, Rollback,
};
use riad_core::{
    AdapterAlias, Error, Result, Timestamp,
    adapter::{CONFIG, WEIGHTS},
};
use std::path::Path;

/// The progress bar moves with each piece.
const PIECE_BYTES: usize = 64 << 10;

pub async fn run(command: AdapterCommand, client: &Client, out: &Output) -> Result<()> {
    match command {
        AdapterCommand::Put { alias, folder } => {
            let made = put(client, &alias, &folder).await?;
            out.show(&made, |made| {
                format!(
                    "{alias} points to {}: rank {}, {} tensors, {} bytes",
                    clean(&made.generation),
                    made.rank,
                    made.tensors,
                    made.bytes
                )
            });
        }
        AdapterCommand::List => {
            let list = client.get("/v1/adapters").await?;
            out.show(&list, |list: &AdapterList| {
                let rows: Vec<_> = list
                    .data
                    .iter()
                    .map(|adapter| {
                        vec![
                            adapter.alias.clone(),
                            short_digest(&adapter.generation),
                            adapter.rank.to_string(),
                            adapter.tensors.to_string(),
                            adapter.bytes.to_string(),
                            date(Timestamp::from_seconds(adapter.created)),
                            yes(adapter.pinned),
                        ]
                    })
                    .collect();
                table::render(
                    &["alias", "generation", "rank", "tensors", "bytes", "created", "pinned"],
                    &rows,
                )
            });
        }
        AdapterCommand::Generations { alias } => {
            let kept = client.get(&format!("/v1/adapters/{alias}/generations")).await?;
            out.show(&kept, |kept: &GenerationList| {
                let rows: Vec<_> = kept.data.iter().map(generation_row).collect();
                table::render(&["generation", "rank", "tensors", "bytes", "created", "current"], &rows)
            });
        }
        AdapterCommand::Rollback { alias, generation } => {
            let path = format!("/v1/adapters/{alias}/rollback");
            let changed = client.post(&path, &Rollback { generation }).await?;
            out.show(&changed, |adapter: &Adapter| {
                format!("{alias} points to {}", clean(&adapter.generation))
            });
        }
        AdapterCommand::Pin { alias } => pin(client, out, &alias, true).await?,
        AdapterCommand::Unpin { alias } => pin(client, out, &alias, false).await?,
        AdapterCommand::Delete { alias } => {
            let deleted = client.delete(&format!("/v1/adapters/{alias}")).await?;
            out.show(&deleted, |_: &DeletedAdapter| format!("Deleted adapter {alias}."));
        }
    }
    Ok(())
}

async fn pin(client: &Client, out: &Output, alias: &AdapterAlias, pinned: bool) -> Result<()> {
    let changed = client
        .patch(&format!("/v1/adapters/{alias}"), &AdapterPatch { pinned })
        .await?;
    out.show(&changed, |adapter: &Adapter| match adapter.pinned {
        true => format!("{alias} is pinned."),
        false => format!("{alias} is not pinned."),
    });
    Ok(())
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "" }.to_owned()
}

fn generation_row(kept: &Generation) -> Vec<String> {
    vec![
        short_digest(&kept.generation),
        kept.rank.to_string(),
        kept.tensors.to_string(),
        kept.bytes.to_string(),
        date(Timestamp::from_seconds(kept.created)),
        yes(kept.current),
    ]
}

/// Uploads a PEFT folder; the demo uses it too.
pub async fn put(client: &Client, alias: &AdapterAlias, folder: &Path) -> Result<Response<Adapter>> {
    let config = read_file(&folder.join(CONFIG)).await?;
    let weights = read_file(&folder.join(WEIGHTS)).await?;
    let bar = progress::bytes(weights.len() as u64, "uploading");
    let form = Form::new()
        .part(CONFIG, part(config, CONFIG, "application/json", ProgressBar::hidden())?)
        .part(
            WEIGHTS,
            part(weights, WEIGHTS, "application/octet-stream", bar.clone())?,
        );
    let result = client.put_form(&format!("/v1/adapters/{alias}"), form).await;
    bar.finish_and_clear();
    result
}

fn part(bytes: Bytes, name: &'static str, kind: &str, bar: ProgressBar) -> Result<Part> {
    let length = bytes.len() as u64;
    let pieces = stream::unfold(bytes, move |mut rest| {
        let bar = bar.clone();
        async move {
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            bar.inc(piece.len() as u64);
            (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), rest))
        }
    });
    Part::stream_with_length(Body::wrap_stream(pieces), length)
        .file_name(name)
        .mime_str(kind)
        .map_err(Error::internal)
}
