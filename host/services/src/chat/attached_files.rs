//! Files that messages of a conversation have: their text is made in the sandbox, as a document's is, and goes into the prompt before the last
//! question. The room's pipeline does not read it: it would search for all of it, and leave it out where the prompt is long. Not here: the
//! stage itself (`ingestion`), files that are searched (`file_search`).

use crate::{
    canary::CanaryRequest,
    generations::Generations,
    ingestion::{self, Ingestion, SectionedText},
    metering::RequestMeter,
    text::context_bytes,
};
use bytes::Bytes;
use riad_core::{
    Error, ErrorKind, FileId, Result,
    chat::{Message, Role},
    grants::{Access, Scope},
    ingestion::Upload,
    ports::{PipelinePlan, Room},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Files of one request.
const FILES_MAX: usize = 16;
/// When a permit may be free.
const RETRY: Duration = Duration::from_secs(1);

/// A file whose text the model is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedFile {
    /// Its place in the request, for errors.
    pub param: String,
    pub source: FileSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// One that the room keeps.
    Kept(FileId),
    /// One that came with the request.
    Sent { name: String, bytes: Bytes },
}

/// The texts of a request's files, as the model reads them. Empty if it has none.
#[derive(Debug, Default)]
pub(super) struct AttachedTexts {
    text: String,
    /// The place of the first file in the request.
    param: String,
}

/// Checks what is known without reading a file.
///
/// # Errors
/// `InvalidRequest` for too many files.
pub(super) fn check(files: Vec<AttachedFile>) -> Result<Vec<AttachedFile>> {
    let mut read: Vec<AttachedFile> = Vec::new();
    for file in files {
        // A conversation that goes on often has the same file again.
        if read.iter().any(|seen| seen.source == file.source) {
            continue;
        }
        // At once: what is compared with is no more than may be read.
        if read.len() == FILES_MAX {
            let text = format!("a conversation may have {FILES_MAX} files; add them to a vector store and search it");
            return Err(Error::invalid(text).with_param(&file.param));
        }
        read.push(file);
    }
    Ok(read)
}

/// Has the sandbox make the texts of the request's files, one after the other. `plan` is that of the stage `extraction`.
///
/// # Errors
/// `NotFound` for a file that the room does not have, `UnsupportedFile` and `UnreadableFile` for one that has no text, `TooLarge`,
/// `ContextTooLong` if the model cannot read as much; `Forbidden`, `Busy` and `QuotaExceeded` as for a document.
pub(super) async fn read(
    generations: &Generations,
    room: &Room,
    meter: &RequestMeter,
    files: &[AttachedFile],
    plan: Option<PipelinePlan>,
    canary: Option<&Arc<CanaryRequest>>,
) -> Result<AttachedTexts> {
    let (Some(first), Some(plan)) = (files.first(), plan) else {
        return Ok(AttachedTexts::default());
    };
    let (shared, pass) = (&generations.shared, &generations.pass);
    let mut ingestion = Ingestion::of_files(generations.clone(), room, meter, plan, canary.cloned());
    let most = context_bytes(shared.engine.as_ref());
    let mut text = String::new();
    for file in files {
        // Not more of a tenant's files than one are in memory at the same time.
        let longest = generations.deadline.saturating_duration_since(Instant::now());
        let permit = shared.attached_files.acquire_within(pass.account(), 1, longest, RETRY);
        let permit = permit.await?;
        let upload = load(generations, room, &file.source).await;
        let upload = upload.map_err(|error| error.with_param(&file.param))?;
        let name = upload.name.clone();
        let extracted = ingestion.extract_file(upload).await;
        let extracted = extracted.map_err(|error| of_file(error, file))?;
        drop(permit);
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let title = if name.is_empty() { extracted.title } else { name };
        text.push_str(&format!("File {title:?}:\n"));
        text.push_str(SectionedText::of_sections(extracted.sections).text.trim());
        if text.len() as u64 > most {
            return Err(too_long(
                &file.param,
                &format!("the text of this file is longer than the {most} bytes that"),
            ));
        }
    }
    text.push_str("\n\n");
    Ok(AttachedTexts {
        text,
        param: first.param.clone(),
    })
}

impl AttachedTexts {
    /// What the prompt is to have of them.
    pub fn message(&self) -> Option<Message> {
        (!self.text.is_empty()).then(|| Message::user(self.text.clone()))
    }

    /// Puts them before the question, which is the last message of a pipeline's prompt.
    pub fn insert(&self, messages: &mut Vec<Message>) {
        if self.text.is_empty() {
            return;
        }
        match messages.last_mut().filter(|last| last.role == Role::User) {
            Some(question) => question.content.insert_str(0, &self.text),
            None => messages.extend(self.message()),
        }
    }

    /// # Errors
    /// `ContextTooLong` if they have taken the whole context, with what else the pipeline does not see.
    pub fn check_fits(&self, taken: u32, context: u32) -> Result<()> {
        match self.text.is_empty() || taken < context {
            true => Ok(()),
            false => Err(too_long(
                &self.param,
                &format!("the request's files have {taken} tokens of text, and {context} are all that"),
            )),
        }
    }
}

async fn load(generations: &Generations, room: &Room, source: &FileSource) -> Result<Upload> {
    let most = generations.shared.limits.file_bytes;
    let (name, bytes) = match source {
        FileSource::Kept(id) => {
            // As at `/v1/files`.
            generations.pass.require(Scope::Documents, Access::Read)?;
            let file = room.files.get(id).await?;
            check_bytes(file.bytes, most)?;
            let bytes = ingestion::read_file(room, &file).await?;
            (file.name, bytes)
        }
        FileSource::Sent { name, bytes } => {
            check_bytes(bytes.len() as u64, most)?;
            (name.clone(), bytes.clone())
        }
    };
    Ok(Upload {
        name,
        media_type: String::new(),
        bytes,
    })
}

fn check_bytes(bytes: u64, most: u64) -> Result<()> {
    match bytes {
        0 => Err(Error::invalid("the file is empty")),
        bytes if bytes > most => {
            let text = format!("the file has {bytes} bytes, one whose text is read may have {most}");
            Err(Error::new(ErrorKind::TooLarge, text))
        }
        _ => Ok(()),
    }
}

/// Errors about the file name its place in the request.
fn of_file(error: Error, file: &AttachedFile) -> Error {
    match error.param() {
        Some("file") => error.with_param(&file.param),
        Some(_) | None => error,
    }
}

fn too_long(param: &str, what: &str) -> Error {
    let text = format!(
        "{what} this model's context holds; send a shorter file, or add it to a vector store and search it with file_search"
    );
    Error::new(ErrorKind::ContextTooLong, text).with_param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: u8) -> AttachedFile {
        AttachedFile {
            param: format!("messages[{number}]"),
            source: FileSource::Sent {
                name: "a.txt".into(),
                bytes: vec![number].into(),
            },
        }
    }

    #[test]
    fn a_file_is_read_once_and_only_some_are() {
        let files: Vec<_> = (0..16).map(sent).collect();
        assert_eq!(check(files.clone()).unwrap(), files);
        let twice: Vec<_> = files.iter().chain(&files).cloned().collect();
        assert_eq!(check(twice).unwrap(), files);
        let more: Vec<_> = files.into_iter().chain([sent(16)]).collect();
        assert_eq!(check(more).unwrap_err().param(), Some("messages[16]"));
    }

    #[test]
    fn the_texts_stand_before_the_question() {
        let texts = AttachedTexts {
            text: "File \"a.txt\":\nThe pump.\n\n".into(),
            param: "input".into(),
        };
        let mut messages = vec![Message::user("Hello"), Message::user("What hums?")];
        texts.insert(&mut messages);
        let last = "File \"a.txt\":\nThe pump.\n\nWhat hums?";
        assert_eq!(messages, [Message::user("Hello"), Message::user(last)]);
        let mut none = Vec::new();
        texts.insert(&mut none);
        assert_eq!(none, [texts.message().unwrap()]);
        AttachedTexts::default().insert(&mut none);
        assert_eq!((none.len(), AttachedTexts::default().message()), (1, None));
        assert!(texts.check_fits(99, 100).is_ok());
        let error = texts.check_fits(100, 100).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::ContextTooLong, Some("input"))
        );
        assert!(AttachedTexts::default().check_fits(100, 100).is_ok());
    }
}
