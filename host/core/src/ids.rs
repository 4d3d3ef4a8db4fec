//! Names that are safe as parts of a path and of a URL by construction. Not here: who may use them.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

const NAME_MAX: usize = 64;

fn check_name(what: &str, value: &str) -> Result<()> {
    let mut chars = value.chars();
    let starts_well = chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well
        && value.len() <= NAME_MAX
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} must be 1 to {NAME_MAX} of a-z, 0-9, '-' and '_', beginning with a letter or digit"
    )))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self> {
                check_name($what, value)?;
                Ok(Self(value.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(value: String) -> Result<Self> {
                value.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A customer of the SaaS that runs Riad, chosen by the operator.
    TenantId, "a tenant id"
);
name!(
    /// A key's public name; the key itself is a [`crate::Secret`].
    KeyId, "a key id"
);
name!(
    /// A document in one room, given by the server.
    DocumentId, "a document id"
);
name!(
    /// A document that is made while nobody waits, given by the server.
    DocumentJobId, "a document job id"
);
name!(
    /// A file in one room, given by the server.
    FileId, "a file id"
);
name!(
    /// A vector store in one room, given by the server.
    VectorStoreId, "a vector store id"
);
name!(
    /// Files that were added to a vector store together, given by the server.
    FileBatchId, "a file batch id"
);
name!(
    /// An upload of a file in parts in one room, given by the server.
    UploadId, "an upload id"
);
name!(
    /// A part of an upload, given by the server.
    PartId, "a part id"
);
name!(
    /// A response that one room keeps, given by the server.
    ResponseId, "a response id"
);
name!(
    /// A plugin in one room, chosen by the tenant.
    PluginName, "a plugin name"
);
name!(
    /// A name for an adapter in one room; it points to one generation.
    AdapterAlias, "an adapter alias"
);
name!(
    /// A room's own name, random, in `control.db` and in the room: another life of a tenant id has another one.
    RoomId, "a room id"
);
name!(
    /// A saved state of a room, given when it is saved. Later ones sort after earlier ones.
    SnapshotId, "a snapshot id"
);
name!(
    /// A price list, chosen by the operator.
    PlanName, "a plan name"
);

name!(
    /// One of several servers that have the tenants of some slots each, chosen by the operator.
    CellName, "a cell name"
);

impl PlanName {
    /// The plan of a tenant that has no other; free until the operator sets prices.
    #[must_use]
    pub fn standard() -> Self {
        Self("standard".to_owned())
    }
}

/// A SHA-256, written `sha256:` and 64 hex digits: the name of an adapter generation or a plugin version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of several parts; each is prefixed with its length, so that parts cannot be shifted.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut digest = PartsDigest::default();
        for part in parts {
            digest.begin(part.len() as u64);
            digest.update(part);
        }
        digest.finish()
    }

    /// 64 hex digits, as in file names.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// [`Digest::of_parts`], made piece by piece.
#[derive(Default)]
pub struct PartsDigest(Sha256);

impl PartsDigest {
    /// Begins a part, whose bytes follow.
    pub fn begin(&mut self, bytes: u64) {
        self.0.update(bytes.to_le_bytes());
    }

    /// More bytes of the part that was begun last.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Of what was hashed elsewhere.
impl From<[u8; 32]> for Digest {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self> {
        let wrong = || Error::invalid("a digest is written sha256: and 64 lower-case hex digits");
        let digits = value.strip_prefix("sha256:").ok_or_else(wrong)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(value: String) -> Result<Self> {
        value.parse()
    }
}

impl From<Digest> for String {
    fn from(value: Digest) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_made_in_pieces_is_that_of_the_parts() {
        let mut digest = PartsDigest::default();
        digest.begin(3);
        digest.update(b"a");
        digest.update(b"bc");
        digest.begin(0);
        digest.begin(1);
        digest.update(b"d");
        let whole = Digest::of_parts(&[b"abc", b"", b"d"]);
        assert_eq!(digest.finish(), whole);
        assert_ne!(whole, Digest::of_parts(&[b"abc", b"d", b""]));
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "-a",
            "A",
            "é",
            "a b",
            "a.b",
            &"a".repeat(65),
        ] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
        for good in ["a", "0", "acme-tools_2", &"a".repeat(64)] {
            assert!(good.parse::<TenantId>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_digest_parses_what_it_prints() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(
            digest.hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!("sha256:00".parse::<Digest>().is_err());
        assert!(digest.hex().parse::<Digest>().is_err());
    }

    #[test]
    fn parts_of_a_digest_cannot_be_shifted() {
        assert_ne!(Digest::of_parts(&[b"ab", b"c"]), Digest::of_parts(&[b"a", b"bc"]));
    }
}
