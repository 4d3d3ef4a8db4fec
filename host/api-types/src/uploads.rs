//! `/v1/uploads`, in OpenAI's shapes. A part comes as a form, which the server writes to the disk as it reads it.

use crate::files::File;
use riad_core::upload;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Of the file.
    pub filename: String,
    /// `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`.
    pub purpose: String,
    /// Of all parts together.
    #[schema(minimum = 1)]
    pub bytes: u64,
    /// Of no effect: what a file is, its bytes decide.
    pub mime_type: String,
    /// If the file is to expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<FileExpiry>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileExpiry {
    /// `created_at`: when the file is whole.
    pub anchor: String,
    /// 3600 to 2592000.
    pub seconds: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteUpload {
    /// In the order of their bytes in the file. Parts that are not listed are deleted.
    pub part_ids: Vec<String>,
    /// Of the whole file, in hex; checked if it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Upload {
    pub id: String,
    #[schema(example = "upload")]
    pub object: Cow<'static, str>,
    /// Of the file, as it was announced.
    pub bytes: u64,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    /// An hour later: until then it is to be completed.
    pub expires_at: u64,
    pub filename: String,
    pub purpose: String,
    /// `pending`, `completed` or `cancelled`.
    pub status: String,
    /// Of one that is completed.
    pub file: Option<File>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct UploadPart {
    pub id: String,
    #[schema(example = "upload.part")]
    pub object: Cow<'static, str>,
    /// Seconds since 1970-01-01 UTC.
    pub created_at: u64,
    pub upload_id: String,
}

impl From<upload::Upload> for Upload {
    fn from(upload: upload::Upload) -> Self {
        Self {
            id: upload.id.into(),
            object: "upload".into(),
            bytes: upload.bytes,
            created_at: upload.created,
            expires_at: upload.expires,
            filename: upload.name,
            purpose: upload.purpose.to_string(),
            status: upload.status.to_string(),
            file: upload.file.map(File::from),
        }
    }
}

impl From<upload::UploadPart> for UploadPart {
    fn from(part: upload::UploadPart) -> Self {
        Self {
            id: part.id.into(),
            object: "upload.part".into(),
            created_at: part.created,
            upload_id: part.upload.into(),
        }
    }
}
