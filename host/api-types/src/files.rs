//! `/v1/files`, in OpenAI's shapes. A file comes as a form, which the server writes to the disk as it reads it.

use riad_core::file;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct File {
    pub id: String,
    #[schema(example = "file")]
    pub object: Cow<'static, str>,
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// After that it is not there any more; absent of a file that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    pub filename: String,
    pub purpose: String,
    /// Deprecated by OpenAI, and read by its clients: always `processed`.
    pub status: Cow<'static, str>,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileParams {
    /// 1 to 10000, 10000 if it is not given.
    pub limit: Option<u32>,
    /// `desc`, the latest first, if it is not given, or `asc`.
    pub order: Option<String>,
    /// The last id of the page before, also if it was deleted since.
    pub after: Option<String>,
    pub purpose: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FileList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<File>,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
    pub has_more: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedFile {
    pub id: String,
    #[schema(example = "file")]
    pub object: Cow<'static, str>,
    pub deleted: bool,
}

impl From<file::StoredFile> for File {
    fn from(file: file::StoredFile) -> Self {
        Self {
            id: file.id.into(),
            object: "file".into(),
            bytes: file.bytes,
            created_at: file.created,
            expires_at: file.expires,
            filename: file.name,
            purpose: file.purpose.to_string(),
            status: "processed".into(),
        }
    }
}
