//! Vector stores: collections of a tenant's files, each of which is searched for itself, and what their files say of themselves. Not here:
//! documents outside of them (`document`), files (`file`), and which of them a search finds (`search_scope`).

use crate::{ErrorKind, FileBatchId, FileId, VectorStoreId, document::Metadata};

#[derive(Debug, Clone, PartialEq)]
pub struct NewVectorStore {
    pub name: String,
    /// Of the client, and changes nothing.
    pub description: Option<String>,
    /// Of the client, and changes nothing.
    pub metadata: Metadata,
    /// Days after its last use when it expires.
    pub expires_after_days: Option<u32>,
}

/// Members that are `None` stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorStoreChange {
    pub name: Option<String>,
    pub metadata: Option<Metadata>,
    pub expires_after_days: Option<Option<u32>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorStore {
    pub id: VectorStoreId,
    pub name: String,
    pub description: Option<String>,
    pub metadata: Metadata,
    /// Seconds since 1970-01-01 UTC, as all times here.
    pub created: u64,
    /// When it was made, changed or searched.
    pub last_active: u64,
    pub expires_after_days: Option<u32>,
    pub files: FileCounts,
    /// Of the texts of its files.
    pub bytes: u64,
}

impl VectorStore {
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        let after = u64::from(self.expires_after_days?) * 86_400;
        Some(self.last_active.saturating_add(after))
    }
}

/// Files by what has become of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCounts {
    pub in_progress: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl FileCounts {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.in_progress + self.completed + self.failed + self.cancelled
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexingStatus {
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

impl IndexingStatus {
    pub const ALL: [Self; 4] = [Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// OpenAI's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// `None` for any other word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// Why a file is not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexingErrorCode {
    ServerError,
    UnsupportedFile,
    InvalidFile,
}

impl IndexingErrorCode {
    pub const ALL: [Self; 3] = [Self::ServerError, Self::UnsupportedFile, Self::InvalidFile];

    /// OpenAI's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServerError => "server_error",
            Self::UnsupportedFile => "unsupported_file",
            Self::InvalidFile => "invalid_file",
        }
    }

    /// What is not the file's fault is a server's error.
    #[must_use]
    pub fn of(kind: ErrorKind) -> Self {
        if kind == ErrorKind::UnsupportedFile {
            return Self::UnsupportedFile;
        }
        let faults = [
            ErrorKind::UnreadableFile,
            ErrorKind::TooLarge,
            ErrorKind::InvalidRequest,
        ];
        match faults.contains(&kind) {
            true => Self::InvalidFile,
            false => Self::ServerError,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexingError {
    pub code: IndexingErrorCode,
    pub message: String,
}

/// How large chunks are. A token counts as four characters, whatever the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize {
    pub max_tokens: u32,
    pub overlap_tokens: u32,
}

/// A file that is to be in a vector store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVectorStoreFile {
    pub file: FileId,
    /// Texts, numbers and booleans by name.
    pub attributes: Metadata,
    /// The server's if it is not given.
    pub chunk_size: Option<ChunkSize>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorStoreFile {
    pub store: VectorStoreId,
    pub file: FileId,
    pub status: IndexingStatus,
    pub error: Option<IndexingError>,
    pub attributes: Metadata,
    pub chunk_size: Option<ChunkSize>,
    /// Of its text, once it is in the store.
    pub bytes: u64,
    pub created: u64,
}

/// Files that were added together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBatch {
    pub id: FileBatchId,
    pub store: VectorStoreId,
    pub created: u64,
    pub is_cancelled: bool,
    pub files: FileCounts,
}

/// A file that waits to be indexed. The number is of this wait: a file that is removed, or added anew, has another.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingFile {
    pub number: i64,
    pub store: VectorStoreId,
    pub new: NewVectorStoreFile,
}

/// Which vector stores a client asks for: those after one, or before one, or the first, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStorePage {
    pub after: Option<VectorStoreId>,
    pub before: Option<VectorStoreId>,
    pub limit: u32,
    /// By when they were made: the oldest first.
    pub ascending: bool,
}

/// Which files of a vector store a client asks for, as above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStoreFilePage {
    pub after: Option<FileId>,
    pub before: Option<FileId>,
    pub limit: u32,
    pub ascending: bool,
    pub status: Option<IndexingStatus>,
    pub batch: Option<FileBatchId>,
}
