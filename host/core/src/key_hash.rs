//! How keys are stored: as a SHA-256 hash.

use crate::Secret;
use sha2::{Digest, Sha256};

/// What is stored of a key: its SHA-256. Keys have 256 random bits, so that a slow hash would add no protection.
pub type KeyHash = [u8; 32];

#[must_use]
pub fn hash_key(key: &Secret<String>) -> KeyHash {
    Sha256::digest(key.reveal().as_bytes()).into()
}
