//! Files that come in parts, each with a request of its own, and are joined when all are there. Not here: files that are whole (`file`).

use crate::{
    Error, PartId, Result, UploadId,
    file::{FilePurpose, StoredFile},
};
use std::{fmt, str::FromStr};

/// What a client says of a file before it sends its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Of the file, as the client named it, without folders.
    pub name: String,
    pub purpose: FilePurpose,
    /// Of all parts together.
    pub bytes: u64,
    /// Seconds for which the file is kept after it was joined.
    pub file_expires_after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStatus {
    /// Parts may come.
    Pending,
    /// Its file is there.
    Completed,
    Cancelled,
    /// It was neither completed nor canceled in time.
    Expired,
}

impl UploadStatus {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Completed, Self::Cancelled, Self::Expired];

    /// OpenAI's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for UploadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: UploadId,
    pub status: UploadStatus,
    pub name: String,
    pub purpose: FilePurpose,
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// When it ends, if it has not ended before.
    pub expires: u64,
    /// Of one that was just completed.
    pub file: Option<StoredFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPart {
    pub id: PartId,
    pub upload: UploadId,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}

/// The MD5 of a whole file, by which a client sees that its parts have arrived as it meant them. It protects against mistakes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Md5([u8; 16]);

impl Md5 {
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Md5 {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(value, &mut bytes)
            .map_err(|_| Error::invalid("md5 must be 32 hex digits").with_param("md5"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_md5_is_32_hex_digits() {
        let text = "d41d8cd98f00b204e9800998ecf8427e";
        let md5: Md5 = text.to_uppercase().parse().unwrap();
        assert_eq!(md5.to_string(), text);
        for wrong in [
            "",
            "1B2M2Y8AsgTpgAmY7PhCfg==",
            &text[1..],
            &format!("{text}00"),
            &text.replace('d', "g"),
        ] {
            assert_eq!(wrong.parse::<Md5>().unwrap_err().param(), Some("md5"), "{wrong}");
        }
    }
}
