//! One file into the cache: goes on where an earlier attempt stopped, and checks size and digest before the file counts.

use super::{
    cache::{self, ModelCache},
    digest::RunningDigest,
    failure::Failure,
    listing::HubFile,
    model::HubModel,
    progress::Progress,
    transport::Transport,
};
use reqwest::{Response, StatusCode, header};
use std::{io, path::Path, time::Duration};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

const READ_BYTES: usize = 1 << 20;

pub(super) struct Download<'a> {
    pub(super) transport: &'a Transport,
    pub(super) cache: &'a ModelCache,
    pub(super) model: &'a HubModel,
    pub(super) commit: &'a str,
    pub(super) progress: &'a Progress,
    /// Before each further attempt of which the one before brought nothing.
    pub(super) pauses: &'a [Duration],
}

impl Download<'_> {
    /// Makes the file part of the snapshot.
    pub(super) async fn fetch(&self, file: &HubFile) -> Result<(), Failure> {
        let (content, blob) = (&file.content, self.cache.blob(&file.content.etag));
        if cache::size_of(&blob) != Some(content.size) {
            cache::create_parent(&blob).map_err(|error| Failure::disk(error, &blob))?;
            let _lock = self.cache.lock(&content.etag).await?;
            // Another process may have brought it in the meantime.
            if cache::size_of(&blob) != Some(content.size) {
                self.download(file, &blob).await?;
            }
        }
        self.progress.finish_file(content.size);
        let linked = self.cache.link(self.commit, &file.name, &content.etag);
        linked.map_err(|error| Failure::disk(error, &self.cache.snapshot(self.commit)))
    }

    async fn download(&self, file: &HubFile, blob: &Path) -> Result<(), Failure> {
        let incomplete = self.cache.incomplete(&file.content.etag);
        let mut pauses = self.pauses.iter();
        let mut had = 0;
        loop {
            let why = match self.attempt(file, &incomplete).await {
                Ok(()) => {
                    let moved = tokio::fs::rename(&incomplete, blob).await;
                    return moved.map_err(|error| Failure::disk(error, blob));
                }
                Err(Failure::Unreachable(why)) => why,
                Err(refused) => return Err(refused),
            };
            let has = cache::size_of(&incomplete).unwrap_or(0);
            if has > had {
                pauses = self.pauses.iter();
            }
            had = has;
            let Some(pause) = pauses.next() else {
                return Err(Failure::Unreachable(why));
            };
            tracing::warn!(file = file.name, why, "a download was cut; trying again");
            tokio::time::sleep(*pause).await;
        }
    }

    /// The whole content is in `incomplete` if this succeeds.
    async fn attempt(&self, file: &HubFile, incomplete: &Path) -> Result<(), Failure> {
        let disk = |error| Failure::disk(error, incomplete);
        let content = &file.content;
        let mut digest = content.digest.as_ref().map(super::digest::ExpectedDigest::start);
        let mut has = match cache::size_of(incomplete).unwrap_or(0) {
            has if has <= content.size => read_into(digest.as_mut(), incomplete, has).await.map_err(disk)?,
            _ => 0,
        };
        let is_resumed = has > 0;
        self.progress.set(has);
        if has < content.size || content.size == 0 {
            let mut response = self.transport.get(self.model, self.commit, &file.name, has).await?;
            if is_resumed && !continues(&response, has) {
                if response.status() != StatusCode::OK {
                    remove(incomplete).await.map_err(disk)?;
                    return Err(Failure::Unreachable(format!("it does not go on at byte {has}")));
                }
                has = 0;
                digest = content.digest.as_ref().map(super::digest::ExpectedDigest::start);
            }
            let mut output = open(incomplete, has).await.map_err(disk)?;
            let received = self
                .receive(file, &mut response, &mut output, digest.as_mut(), &mut has)
                .await;
            // Before the next attempt looks at the file's length.
            output.flush().await.map_err(disk)?;
            received?;
            // A crash of the machine must not leave a blob of the right name without its content.
            output.sync_all().await.map_err(disk)?;
        }
        if has < content.size {
            let why = format!("the connection ended after {has} of {} bytes", content.size);
            return Err(Failure::Unreachable(why));
        }
        if has > content.size {
            remove(incomplete).await.map_err(disk)?;
            return Err(self.mismatch(file, &format!("more than the {} bytes that it announced", content.size)));
        }
        let is_right = match (&content.digest, digest) {
            (Some(expected), Some(digest)) => expected.is(digest),
            _ => true,
        };
        if is_right {
            return Ok(());
        }
        remove(incomplete).await.map_err(disk)?;
        match is_resumed {
            // The part that was there may be damaged, by a crash of the machine or another tool.
            true => Err(Failure::Unreachable("the resumed file has the wrong digest".to_owned())),
            false => Err(self.mismatch(file, "content with another digest than it announced")),
        }
    }

    /// Writes what comes, up to the first byte too many.
    async fn receive(
        &self,
        file: &HubFile,
        response: &mut Response,
        output: &mut File,
        mut digest: Option<&mut RunningDigest>,
        has: &mut u64,
    ) -> Result<(), Failure> {
        while let Some(piece) = response.chunk().await.map_err(Failure::request)? {
            *has = has.saturating_add(piece.len() as u64);
            if *has > file.content.size {
                return Ok(());
            }
            if let Some(digest) = &mut digest {
                digest.update(&piece);
            }
            let written = output.write_all(&piece).await;
            written.map_err(|error| Failure::disk(error, &self.cache.incomplete(&file.content.etag)))?;
            self.progress.set(*has);
        }
        Ok(())
    }

    fn mismatch(&self, file: &HubFile, what: &str) -> Failure {
        Failure::refused(format!(
            "{} sent {what} for {} of {}; start again, and check HF_ENDPOINT and proxies if it stays so",
            self.transport.endpoint(),
            file.name,
            self.model
        ))
    }
}

/// Whether the answer is the rest of the file, from this byte on.
fn continues(response: &Response, from: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    response.status() == StatusCode::PARTIAL_CONTENT
        && range
            .and_then(|range| range.to_str().ok()?.strip_prefix("bytes ")?.split('-').next())
            .is_some_and(|start| start.trim().parse() == Ok(from))
}

async fn open(path: &Path, has: u64) -> io::Result<File> {
    match has {
        0 => File::create(path).await,
        _ => OpenOptions::new().append(true).open(path).await,
    }
}

/// Returns how many bytes there are.
async fn read_into(digest: Option<&mut RunningDigest>, path: &Path, has: u64) -> io::Result<u64> {
    let Some(digest) = digest.filter(|_| has > 0) else {
        return Ok(has);
    };
    let mut file = File::open(path).await?.take(has);
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let mut read = 0;
    loop {
        buffer.clear();
        (&mut file).take(READ_BYTES as u64).read_to_end(&mut buffer).await?;
        if buffer.is_empty() {
            return Ok(read);
        }
        read += buffer.len() as u64;
        digest.update(&buffer);
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
