//! Components, and plans of requests that they serve.

use bytes::Bytes;
use riad_core::{
    Account, Digest,
    manifest::Capability,
    plugin::Stage,
    ports::{PipelinePlan, PlannedComponent},
};
use std::{fs, path::Path, sync::Arc};

#[derive(Clone)]
pub struct Component {
    pub name: String,
    pub bytes: Bytes,
    digest: Digest,
}

impl Component {
    pub fn of(name: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// One of `plugins`.
    pub fn plugin(name: &str) -> Self {
        Self::committed(name, &format!("plugins/{name}/{name}.wasm"))
    }

    /// One of `tests/guests`.
    pub fn guest(name: &str) -> Self {
        Self::committed(name, &format!("tests/guests/{name}.wasm"))
    }

    fn committed(name: &str, path: &str) -> Self {
        let path = Path::new(env!("RIAD_SOURCE")).join(path);
        Self::of(
            name,
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    }

    /// The same code with other bytes: a section that has a number and no meaning.
    pub fn variant(&self, number: u32) -> Self {
        const NAME: &[u8] = b"number";
        let mut bytes = self.bytes.to_vec();
        let content = number.to_le_bytes();
        // Kind, length of the rest, length of the name: all below 128, so each is one byte.
        bytes.extend([0, (1 + NAME.len() + content.len()) as u8, NAME.len() as u8]);
        bytes.extend(NAME);
        bytes.extend(content);
        Self::of(&self.name, bytes)
    }

    /// A request of an account that it serves these stages of.
    pub fn plan(&self, account: u64, stages: &[Stage]) -> PipelinePlan {
        let planned = PlannedComponent {
            digest: self.digest,
            source: Arc::new(self.bytes.clone()),
        };
        PipelinePlan {
            account: Account::new(account),
            weight: 1,
            stages: stages.iter().map(|stage| (*stage, planned.clone())).collect(),
            granted: Capability::ALL.into(),
        }
    }
}
