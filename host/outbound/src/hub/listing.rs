//! The files of a revision, and which of them a model needs.

use super::{
    cache::{self, INDEX, NEEDED, SINGLE},
    digest::ExpectedDigest,
    failure::Failure,
    model::{HubModel, is_commit},
    transport::Transport,
};
use reqwest::{Response, header::HeaderMap};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Of the list; one with ten thousand files has about 3 MB.
const LIST_MAX_BYTES: usize = 32 << 20;

/// A revision's files in its folder itself, without those in folders below.
pub(super) struct Listing {
    pub(super) commit: String,
    files: Vec<ListedFile>,
}

#[derive(Clone)]
struct ListedFile {
    name: String,
    /// Mirrors may leave it out.
    content: Option<Content>,
}

/// A file to fetch.
#[derive(Clone, Debug)]
pub(super) struct HubFile {
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) size: u64,
    /// The name of its blob in the cache.
    pub(super) etag: String,
    pub(super) digest: Option<ExpectedDigest>,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

impl Listing {
    pub(super) async fn fetch(transport: &Transport, model: &HubModel) -> Result<Self, Failure> {
        let json = read(transport.info(model).await?).await?;
        let strange = || {
            Failure::refused(format!(
                "{} does not describe the files of {} as a Hugging Face hub does; check HF_ENDPOINT",
                transport.endpoint(),
                model.id()
            ))
        };
        let info: Info = serde_json::from_slice(&json).map_err(|_| strange())?;
        if !is_commit(&info.sha) {
            return Err(strange());
        }
        let listing = Self {
            files: info.siblings.into_iter().filter_map(ListedFile::of).collect(),
            commit: info.sha,
        };
        listing.check(model)?;
        Ok(listing)
    }

    /// Before gigabytes come, of which the engine could load none.
    fn check(&self, model: &HubModel) -> Result<(), Failure> {
        let lacks = |what: &str| {
            Err(Failure::refused(format!(
                "{model} has no {what}; choose a chat model in Hugging Face's layout, with weights in safetensors"
            )))
        };
        if let Some(name) = NEEDED.iter().find(|name| self.find(name).is_none()) {
            return lacks(name);
        }
        match self.find(INDEX).is_some() || self.files.iter().any(|file| cache::is_weights(&file.name)) {
            true => Ok(()),
            false => lacks("*.safetensors"),
        }
    }

    fn find(&self, name: &str) -> Option<&ListedFile> {
        self.files.iter().find(|file| file.name == name)
    }

    pub(super) fn has_index(&self) -> bool {
        self.find(INDEX).is_some()
    }

    /// The names to fetch, the weights last: where they are, the rest is too. `index` is the content of the file of this name.
    pub(super) fn choose(&self, model: &HubModel, index: Option<&[u8]>) -> Result<Vec<String>, Failure> {
        let small = self.files.iter().map(|file| &file.name).filter(|name| is_wanted(name));
        let small: BTreeSet<String> = small.cloned().collect();
        let weights: BTreeSet<String> = match index {
            Some(index) => cache::indexed(index)
                .ok_or_else(|| Failure::refused(format!("{model}: {INDEX} names no files; choose another revision")))?,
            None if self.find(SINGLE).is_some() => BTreeSet::from([SINGLE.to_owned()]),
            None => {
                let names = self.files.iter().map(|file| &file.name);
                names.filter(|name| cache::is_weights(name)).cloned().collect()
            }
        };
        if let Some(name) = weights.iter().find(|name| self.find(name).is_none()) {
            return Err(Failure::refused(format!(
                "{model} has no {name}, which its {INDEX} names; choose another revision"
            )));
        }
        Ok(small.into_iter().chain(weights).collect())
    }

    /// With its size and digest, for which the hub is asked again if the list does not have them.
    pub(super) async fn file(&self, transport: &Transport, model: &HubModel, name: &str) -> Result<HubFile, Failure> {
        let content = match self.find(name).and_then(|file| file.content.clone()) {
            Some(content) => content,
            None => {
                let response = transport.head(model, &self.commit, name).await?;
                content_of(response.headers()).ok_or_else(|| {
                    Failure::refused(format!(
                        "{} does not say how large {name} of {} is, or has no etag for it; check HF_ENDPOINT",
                        transport.endpoint(),
                        model.id()
                    ))
                })?
            }
        };
        Ok(HubFile {
            name: name.to_owned(),
            content,
        })
    }
}

impl ListedFile {
    fn of(sibling: Sibling) -> Option<Self> {
        cache::is_file_name(&sibling.rfilename).then(|| Self {
            content: Content::of(&sibling),
            name: sibling.rfilename,
        })
    }
}

impl Content {
    fn of(sibling: &Sibling) -> Option<Self> {
        let (etag, size, digest) = match &sibling.lfs {
            Some(lfs) => (&lfs.sha256, lfs.size, ExpectedDigest::sha256(&lfs.sha256)),
            None => {
                let (id, size) = (sibling.blob_id.as_ref()?, sibling.size?);
                (id, size, ExpectedDigest::git(id, size))
            }
        };
        digest.map(|digest| Self {
            size,
            etag: etag.clone(),
            digest: Some(digest),
        })
    }
}

/// As the Python package reads them. An etag is a SHA-256 if it looks like one; that of another kind may be of any kind.
fn content_of(headers: &HeaderMap) -> Option<Content> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = text("x-linked-etag").or_else(|| text("etag"))?;
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    let size = text("x-linked-size").or_else(|| text("content-length"))?;
    let is_name = !etag.is_empty() && etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name.then_some(())?;
    Some(Content {
        size: size.parse().ok()?,
        digest: ExpectedDigest::sha256(etag),
        etag: etag.to_owned(),
    })
}

/// Besides the weights.
fn is_wanted(name: &str) -> bool {
    matches!(
        name,
        "config.json" | "generation_config.json" | "special_tokens_map.json" | INDEX
    ) || (name.starts_with("tokenizer") && name.ends_with(".json"))
        || name.starts_with("chat_template")
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Failure::request)? {
        if bytes.len().saturating_add(piece.len()) > LIST_MAX_BYTES {
            return Err(Failure::refused(
                "the hub's list of files is too long; check HF_ENDPOINT",
            ));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
