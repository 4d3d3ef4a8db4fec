//! Files in messages, as parts of OpenAI's chats and responses. Not here: what becomes of them (`services`), files that are kept (`files`).

use crate::body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::{Error, Result};
use riad_services::chat::{AttachedFile, FileSource};

/// What a part says of its file.
pub(crate) struct FilePart<'a> {
    pub file_id: Option<&'a str>,
    /// Base64, perhaps as a `data:` URL.
    pub file_data: Option<&'a str>,
    pub filename: Option<&'a str>,
}

impl FilePart<'_> {
    /// `name` is the place of its members in the request.
    ///
    /// # Errors
    /// `InvalidRequest` names the member at fault; `NotFound` for an id that is none.
    pub fn read(&self, name: &str) -> Result<AttachedFile> {
        match (self.file_id, self.file_data) {
            (Some(id), None) => {
                let param = format!("{name}.file_id");
                let id = body::parse_id("file", id).map_err(|error: Error| error.with_param(&param))?;
                Ok(AttachedFile {
                    source: FileSource::Kept(id),
                    param,
                })
            }
            (None, Some(data)) => {
                let param = format!("{name}.file_data");
                let bytes = decode(data).ok_or_else(|| {
                    let text = format!("{param} must be Base64, or a data URL with it");
                    Error::invalid(text).with_param(&param)
                })?;
                Ok(AttachedFile {
                    source: FileSource::Sent {
                        name: self.filename.unwrap_or_default().to_owned(),
                        bytes: bytes.into(),
                    },
                    param,
                })
            }
            (Some(_), Some(_)) | (None, None) => {
                Err(Error::invalid(format!("{name} must have either file_id or file_data")).with_param(name))
            }
        }
    }
}

fn decode(data: &str) -> Option<Vec<u8>> {
    let base64 = match data.strip_prefix("data:") {
        Some(url) => {
            let (head, data) = url.split_once(',')?;
            head.ends_with(";base64").then_some(data)?
        }
        None => data,
    };
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::ErrorKind;

    fn part<'a>(file_id: Option<&'a str>, file_data: Option<&'a str>) -> FilePart<'a> {
        FilePart {
            file_id,
            file_data,
            filename: Some("a.txt"),
        }
    }

    #[test]
    fn a_file_is_named_or_sent() {
        let named = part(Some("file-1"), None).read("f").unwrap();
        assert_eq!(
            (named.param.as_str(), named.source),
            ("f.file_id", FileSource::Kept("file-1".parse().unwrap()))
        );
        let sent = FileSource::Sent {
            name: "a.txt".into(),
            bytes: "Hello".into(),
        };
        for data in ["SGVsbG8=", "data:text/plain;base64,SGVsbG8=", "data:;base64,SGVsbG8="] {
            assert_eq!(part(None, Some(data)).read("f").unwrap().source, sent, "{data}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        for (part, kind, param) in [
            (part(None, None), ErrorKind::InvalidRequest, "f"),
            (part(Some("file-1"), Some("SGVsbG8=")), ErrorKind::InvalidRequest, "f"),
            (part(Some("../1"), None), ErrorKind::NotFound, "f.file_id"),
            (part(None, Some("Hello!")), ErrorKind::InvalidRequest, "f.file_data"),
            (
                part(None, Some("data:text/plain,Hello")),
                ErrorKind::InvalidRequest,
                "f.file_data",
            ),
            (
                part(None, Some("data:text/plain;base64")),
                ErrorKind::InvalidRequest,
                "f.file_data",
            ),
        ] {
            let error = part.read("f").unwrap_err();
            assert_eq!((error.kind(), error.param()), (kind, Some(param)));
        }
    }
}
