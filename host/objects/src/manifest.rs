//! What a snapshot says: its files, and the blocks that each is of.

use crate::keys::{Damaged, OVERHEAD};
use riad_core::{Digest, SnapshotId, Timestamp, snapshot::Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Changes with anything that makes older programs read a snapshot wrongly.
const FORMAT: u32 = 1;
/// Of blocks that make up 200 GB.
pub(crate) const MANIFEST_BYTES: u64 = 64 << 20;
/// A name is in the path of an object.
const NAME_DIGITS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// The schema version of the room's `room.db`.
    pub(crate) schema: u32,
    created_ms: u64,
    pub(crate) files: Vec<FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
    /// All blocks but the last have so many bytes.
    pub(crate) block_bytes: u64,
    /// Names, in order.
    pub(crate) blocks: Vec<String>,
}

impl Manifest {
    pub(crate) fn new(schema: u32, files: Vec<FileEntry>) -> Self {
        Self {
            format: FORMAT,
            schema,
            created_ms: Timestamp::now().as_millis(),
            files,
        }
    }

    /// From what was decrypted.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Damaged> {
        let manifest: Self = serde_json::from_slice(text).map_err(|_| Damaged)?;
        match manifest.format == FORMAT && manifest.files.iter().all(FileEntry::is_sound) {
            true => Ok(manifest),
            false => Err(Damaged),
        }
    }

    pub(crate) fn describe(&self, id: SnapshotId) -> Snapshot {
        Snapshot {
            id,
            created: Timestamp::from_millis(self.created_ms),
            bytes: self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)),
            files: self.files.len() as u64,
        }
    }

    pub(crate) fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }

    pub(crate) fn blocks(&self) -> HashSet<&str> {
        self.files
            .iter()
            .flat_map(|file| file.blocks.iter().map(String::as_str))
            .collect()
    }
}

impl FileEntry {
    fn is_sound(&self) -> bool {
        let is_name = |name: &String| {
            name.len() == NAME_DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        self.block_bytes > 0
            && self.bytes.div_ceil(self.block_bytes) == self.blocks.len() as u64
            && self.blocks.iter().all(is_name)
    }

    /// Bytes of a block's object.
    pub(crate) fn object_bytes(&self, block: u64) -> u64 {
        length_of(self.bytes, self.block_bytes, block) + OVERHEAD
    }
}

/// Bytes of one block of a file.
pub(crate) fn length_of(file: u64, block_bytes: u64, block: u64) -> u64 {
    file.saturating_sub(block.saturating_mul(block_bytes)).min(block_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: u64, blocks: usize) -> FileEntry {
        FileEntry {
            name: "room.db".into(),
            bytes,
            digest: Digest::of(b""),
            block_bytes: 10,
            blocks: vec!["0f".repeat(32); blocks],
        }
    }

    fn parsed(file: FileEntry) -> Result<Manifest, Damaged> {
        Manifest::parse(&serde_json::to_vec(&Manifest::new(3, vec![file])).unwrap())
    }

    #[test]
    fn a_manifest_with_other_blocks_than_bytes_is_refused() {
        for (bytes, blocks) in [(0, 0), (1, 1), (10, 1), (11, 2), (40, 4)] {
            assert!(parsed(entry(bytes, blocks)).is_ok(), "{bytes}");
            assert!(parsed(entry(bytes, blocks + 1)).is_err(), "{bytes}");
        }
        for name in ["", "../../key", &"0F".repeat(32)] {
            let mut file = entry(1, 0);
            file.blocks = vec![name.into()];
            assert!(parsed(file).is_err(), "{name}");
        }
        assert_eq!(Manifest::parse(b"{}"), Err(Damaged));
    }

    #[test]
    fn the_last_block_has_what_is_left() {
        let lengths = |file| [0, 1, 2, 3].map(|block| length_of(file, 10, block));
        assert_eq!(lengths(21), [10, 10, 1, 0]);
        assert_eq!(lengths(20), [10, 10, 0, 0]);
        assert_eq!(entry(21, 3).object_bytes(2), 1 + OVERHEAD);
    }
}
