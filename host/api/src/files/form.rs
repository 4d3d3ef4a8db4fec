//! Reads a file's form while it comes: its bytes go to the disk piece by piece, whatever fields come before and after them.

use crate::form::{self, Form};
use axum::extract::Request;
use riad_core::{
    Error,
    file::{FilePurpose, StoredFile},
};
use riad_services::files::{FileRequest, FileUpload};
use utoipa::ToSchema;

/// The one moment that a file's time can be counted from.
const ANCHOR: &str = "created_at";
const ANCHOR_FIELD: &str = "expires_after[anchor]";
const SECONDS_FIELD: &str = "expires_after[seconds]";

/// OpenAI's, for the OpenAPI document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is read field by field")]
pub(crate) struct FileForm {
    #[schema(value_type = String, format = Binary)]
    file: (),
    /// `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`.
    #[schema(value_type = String)]
    purpose: (),
    /// `created_at`, if the file is to expire.
    #[schema(rename = "expires_after[anchor]", value_type = Option<String>)]
    anchor: (),
    /// 3600 to 2592000.
    #[schema(rename = "expires_after[seconds]", value_type = Option<u64>)]
    seconds: (),
}

/// # Errors
/// `InvalidRequest` names the field at fault; whatever the upload fails with.
pub(super) async fn read(request: Request, mut upload: FileUpload) -> Result<StoredFile, Error> {
    let mut form = Form::of(request, &()).await?;
    let (mut name, mut anchor, mut seconds) = (None, None, None);
    let mut purpose: Option<FilePurpose> = None;
    while let Some(mut field) = form.next().await? {
        let field_name = field.name();
        let is_duplicate = match field_name.as_str() {
            "file" => {
                let is_second = name.replace(field.file_name()).is_some();
                while let Some(piece) = field.chunk().await? {
                    if is_second {
                        break;
                    }
                    upload.write(piece).await?;
                }
                is_second
            }
            "purpose" => purpose.replace(field.text().await?.parse()?).is_some(),
            ANCHOR_FIELD => anchor.replace(field.text().await?).is_some(),
            SECONDS_FIELD => seconds.replace(field.text().await?).is_some(),
            _ => {
                let text =
                    "a file's form may have the fields file, purpose, expires_after[anchor] and expires_after[seconds]";
                return Err(Error::invalid(text).with_param(field_name));
            }
        };
        if is_duplicate {
            return Err(form::duplicate_field(&field_name));
        }
    }
    let name = name.ok_or_else(|| form::missing_field("file"))?;
    let purpose = purpose.ok_or_else(|| form::missing_field("purpose"))?;
    upload
        .finish(FileRequest {
            name,
            purpose,
            expires_after: expiry(anchor.as_deref(), seconds.as_deref())?,
        })
        .await
}

fn expiry(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<u64>, Error> {
    let wrong = |text: &str| Err(Error::invalid(text).with_param("expires_after"));
    match (anchor, seconds) {
        (None, None) => Ok(None),
        (Some(ANCHOR), Some(seconds)) => match seconds.parse() {
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => wrong("expires_after[seconds] must be a whole number"),
        },
        (Some(ANCHOR), None) => wrong("expires_after[seconds] is missing"),
        (Some(_) | None, _) => wrong("expires_after[anchor] must be created_at"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_has_both_of_its_parts() {
        assert_eq!(expiry(None, None).unwrap(), None);
        assert_eq!(expiry(Some("created_at"), Some("3600")).unwrap(), Some(3600));
        for (anchor, seconds) in [
            (Some("created_at"), None),
            (None, Some("3600")),
            (Some("last_active_at"), Some("3600")),
            (Some("created_at"), Some("-1")),
            (Some("created_at"), Some("soon")),
        ] {
            assert_eq!(expiry(anchor, seconds).unwrap_err().param(), Some("expires_after"));
        }
    }
}
