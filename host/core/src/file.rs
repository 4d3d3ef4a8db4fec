//! Files that a tenant keeps in its room, as they were sent. Not here: what becomes of their text (`document`, `ingestion`).

use crate::{Digest, Error, FileId, Result};
use std::{fmt, str::FromStr};

/// What a client keeps a file for: OpenAI's words. They change nothing but who finds it in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePurpose {
    Assistants,
    Batch,
    FineTune,
    Vision,
    UserData,
    Evals,
}

impl FilePurpose {
    pub const ALL: [Self; 6] = [
        Self::Assistants,
        Self::Batch,
        Self::FineTune,
        Self::Vision,
        Self::UserData,
        Self::Evals,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::Batch => "batch",
            Self::FineTune => "fine-tune",
            Self::Vision => "vision",
            Self::UserData => "user_data",
            Self::Evals => "evals",
        }
    }
}

impl FromStr for FilePurpose {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.as_str() == value);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("purpose must be one of {known}")).with_param("purpose")
        })
    }
}

impl fmt::Display for FilePurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Characters of a file's name.
pub const NAME_MAX: usize = 255;

/// `param` is the field at fault.
///
/// # Errors
/// `InvalidRequest` for a name that a file cannot have.
pub fn check_name(name: &str, param: &str) -> Result<()> {
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        let text = format!("a file's name must have 1 to {NAME_MAX} characters, none of them a control character");
        return Err(Error::invalid(text).with_param(param));
    }
    Ok(())
}

/// What is known of a file when its last byte has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// As the client named it, without folders.
    pub name: String,
    pub purpose: FilePurpose,
    /// Seconds since 1970-01-01 UTC, after which it is not there any more.
    pub expires: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    pub id: FileId,
    pub name: String,
    pub purpose: FilePurpose,
    pub bytes: u64,
    pub digest: Digest,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    pub expires: Option<u64>,
}

/// Which files a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePage {
    /// The last one of the page before.
    pub after: Option<FileId>,
    pub limit: u32,
    pub purpose: Option<FilePurpose>,
    /// By when they were sent: the oldest first.
    pub ascending: bool,
}
