//! A document on its way from what a client sent to text and pieces: the stages `extraction` and `chunking`, in the sandbox. Not here:
//! embedding it (`document_maker`), the stages' own work (`plugins/`).

use crate::{
    canary::{self, CanaryRequest},
    capabilities::capabilities,
    generations::Generations,
    metering::RequestMeter,
    pipeline,
    shared::Shared,
    workers::digest_of_parts,
};
use bytes::Bytes;
use riad_admission::Work;
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass,
    document::{Metadata, normalize_text},
    file::StoredFile,
    ingestion::{
        ChunkingOptions, DocumentSource, Extracted, ExtractionOptions, Piece, Section, SectionKind, TextFormat, Upload,
    },
    plugin::Stage,
    ports::{GuestUse, IngestionRun, PipelinePlan, Room},
    price::Usage,
    vector_store::ChunkSize,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Of a chunk's size in tokens: as a rule for any model and language.
const CHARACTERS_PER_TOKEN: u32 = 4;

/// A text, and where its sections begin in it.
pub(crate) struct SectionedText {
    pub text: String,
    pub sections: Arc<[Section]>,
    /// In bytes, one of each section.
    pub starts: Vec<usize>,
}

/// The guests of one document. Each of its stages has an instance of its own, and they share the document's fuel.
pub(crate) struct Ingestion<'a> {
    meter: &'a RequestMeter,
    room: &'a Room,
    generations: Generations,
    plan: PipelinePlan,
    canary: Option<Arc<CanaryRequest>>,
    fuel_left: u64,
}

/// # Errors
/// `TooLarge`, and `InvalidRequest` for a text that is none.
pub(crate) fn check_source(source: DocumentSource, shared: &Shared) -> Result<DocumentSource> {
    match source {
        DocumentSource::Text { text, format } => {
            check_size("text", text.len() as u64, shared.limits.document_bytes)?;
            let text = check_text(text)?;
            Ok(DocumentSource::Text { text, format })
        }
        DocumentSource::File(upload) => {
            check_size("file", upload.bytes.len() as u64, shared.limits.file_bytes)?;
            match upload.bytes.is_empty() {
                true => Err(Error::invalid("the file is empty").with_param("file")),
                false => Ok(DocumentSource::File(upload)),
            }
        }
    }
}

impl<'a> Ingestion<'a> {
    /// Holds the fuel and finds the components that serve the stages.
    pub async fn begin(
        shared: &Arc<Shared>,
        pass: &TenantPass,
        room: &'a Room,
        meter: &'a RequestMeter,
        source: &DocumentSource,
    ) -> Result<Self> {
        let stages: &[Stage] = match source {
            DocumentSource::Text { .. } => &[Stage::Chunking],
            DocumentSource::File(_) => &Stage::INGESTION,
        };
        let fuel = shared.limits.ingestion_fuel_of(source.bytes());
        meter
            .hold(Usage {
                requests: 1,
                fuel,
                ..Usage::default()
            })
            .await?;
        let pipeline::Serving {
            plan, names, canary, ..
        } = pipeline::plan(shared, pass, room, meter, stages, stages).await?;
        meter.set_plugins(names);
        meter.update_served_by(|served| served.plugins = plan.digests());
        let deadline = Instant::now() + Duration::from_millis(shared.limits.request_ms);
        Ok(Self {
            meter,
            room,
            generations: Generations::of_base(shared, pass, deadline),
            plan,
            canary,
            fuel_left: fuel,
        })
    }

    /// For files of a chat, whose text is read and not cut into pieces. `plan` has the stage `extraction` alone.
    pub fn of_files(
        generations: Generations,
        room: &'a Room,
        meter: &'a RequestMeter,
        plan: PipelinePlan,
        canary: Option<Arc<CanaryRequest>>,
    ) -> Self {
        Self {
            meter,
            room,
            generations,
            plan,
            canary,
            fuel_left: 0,
        }
    }

    /// As [`Self::extract`], of one of several files: holds its fuel first.
    pub async fn extract_file(&mut self, upload: Upload) -> Result<Extracted> {
        let fuel = self
            .generations
            .shared
            .limits
            .ingestion_fuel_of(upload.bytes.len() as u64);
        self.meter
            .hold(Usage {
                fuel,
                ..Usage::default()
            })
            .await?;
        self.fuel_left = fuel;
        self.extract(upload).await
    }

    /// What is the same for the same file that is read in the same way.
    pub async fn source(
        &self,
        upload: &Upload,
        title: Option<&str>,
        metadata: &Metadata,
        work: &mut Work,
    ) -> Result<Digest> {
        let mut parts = vec![
            upload.bytes.clone(),
            Bytes::copy_from_slice(upload.name.as_bytes()),
            Bytes::copy_from_slice(upload.media_type.as_bytes()),
            Bytes::copy_from_slice(title.unwrap_or_default().as_bytes()),
            serde_json::to_vec(metadata).map_err(Error::internal)?.into(),
        ];
        let components = self.plan.digests().into_values();
        parts.extend(components.map(|component| Bytes::copy_from_slice(component.as_bytes())));
        digest_of_parts(work, parts).await
    }

    pub async fn extract(&mut self, upload: Upload) -> Result<Extracted> {
        let options = ExtractionOptions::of(&self.generations.shared.limits);
        let run = self.start(Stage::Extraction).await?;
        let extracted = run.extract(upload, options).await.map_err(of_file)?;
        self.end(run);
        Ok(extracted)
    }

    /// `size` is the server's if it is not given.
    pub async fn chunk(
        &mut self,
        title: &str,
        sections: Arc<[Section]>,
        size: Option<ChunkSize>,
    ) -> Result<Vec<Piece>> {
        let mut options = ChunkingOptions::of(&self.generations.shared.limits);
        if let Some(size) = size {
            options.max_characters = size.max_tokens.saturating_mul(CHARACTERS_PER_TOKEN);
            options.overlap_characters = size.overlap_tokens.saturating_mul(CHARACTERS_PER_TOKEN);
        }
        let run = self.start(Stage::Chunking).await?;
        let pieces = run.chunk(title.to_owned(), sections, options).await?;
        self.end(run);
        Ok(pieces)
    }

    async fn start(&self, stage: Stage) -> Result<Arc<dyn IngestionRun>> {
        let mut plan = self.plan.clone();
        plan.stages.retain(|planned, _| *planned == stage);
        let capabilities = capabilities(&self.generations, self.room, self.meter.guest_meter(), None);
        let sandbox = &self.generations.shared.sandbox;
        let started = sandbox.start_ingestion(&plan, capabilities, self.fuel_left).await;
        let run: Arc<dyn IngestionRun> = canary::record_start(self.canary.as_ref(), started)?.into();
        let guests: Arc<dyn GuestUse> = Arc::clone(&run) as _;
        self.meter.attach_guests(guests);
        Ok(run)
    }

    /// Gives the instance back: the next stage may need its place.
    fn end(&mut self, run: Arc<dyn IngestionRun>) {
        self.fuel_left = self.fuel_left.saturating_sub(run.fuel());
        drop(run);
        self.meter.detach_guests();
    }
}

impl SectionedText {
    /// A text that is its own only section.
    pub fn of_text(text: String, format: TextFormat) -> Self {
        let section = Section {
            heading: Vec::new(),
            page: None,
            kind: match format {
                TextFormat::Text => SectionKind::Prose,
                TextFormat::Markdown => SectionKind::Markdown,
            },
            text: text.clone(),
        };
        Self {
            text,
            sections: [section].into(),
            starts: vec![0],
        }
    }

    /// A file's sections one after the other, each new heading on a line of its own, as Markdown has them.
    pub fn of_sections(sections: Vec<Section>) -> Self {
        let (mut text, mut starts) = (String::new(), Vec::with_capacity(sections.len()));
        let mut above: &[String] = &[];
        for section in &sections {
            let same = above
                .iter()
                .zip(&section.heading)
                .take_while(|(one, other)| one == other);
            let same = same.count();
            for (depth, heading) in section.heading.iter().enumerate().skip(same) {
                begin_paragraph(&mut text);
                text.extend(std::iter::repeat_n('#', (depth + 1).min(6)));
                text.push(' ');
                text.push_str(heading);
            }
            above = &section.heading;
            begin_paragraph(&mut text);
            starts.push(text.len());
            text.push_str(&section.text);
        }
        Self {
            text,
            sections: sections.into(),
            starts,
        }
    }
}

fn begin_paragraph(text: &mut String) {
    if !text.is_empty() {
        text.truncate(text.trim_end_matches('\n').len());
        text.push_str("\n\n");
    }
}

/// All bytes of a file that the room keeps.
pub(crate) async fn read_file(room: &Room, file: &StoredFile) -> Result<Bytes> {
    let most = usize::try_from(file.bytes).map_err(Error::internal)?;
    let bytes = room.files.open(&file.id).await?.read(most).await?;
    match bytes.len() == most {
        true => Ok(bytes),
        false => Err(Error::internal("a file is shorter than its length")),
    }
}

/// Errors about the file name the field that has it.
fn of_file(error: Error) -> Error {
    let kinds = [
        ErrorKind::UnsupportedFile,
        ErrorKind::UnreadableFile,
        ErrorKind::TooLarge,
    ];
    match kinds.contains(&error.kind()) {
        true => error.with_param("file"),
        false => error,
    }
}

fn check_size(param: &str, bytes: u64, most: u64) -> Result<()> {
    if bytes > most {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the {param} has {bytes} bytes, a document's may have {most}; split it into several documents"),
        )
        .with_param(param));
    }
    Ok(())
}

fn check_text(text: String) -> Result<String> {
    if text.contains('\0') {
        return Err(
            Error::invalid("the text has NUL characters in it; was it read in the wrong encoding?").with_param("text"),
        );
    }
    if text.trim().is_empty() {
        return Err(Error::invalid("a document must have text in it").with_param("text"));
    }
    Ok(normalize_text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_their_lines_alike_and_have_no_mark() {
        for (text, clean) in [
            ("\u{FEFF}a\r\nb\rc\n", "a\nb\nc\n"),
            ("a\u{FEFF}b", "a\u{FEFF}b"),
            ("\r\na\r\n", "\na\n"),
        ] {
            assert_eq!(check_text(text.to_owned()).unwrap(), clean);
        }
        for text in ["a\0b", "", " \r\n"] {
            assert_eq!(check_text(text.to_owned()).unwrap_err().param(), Some("text"));
        }
    }

    #[test]
    fn a_files_text_has_each_heading_once() {
        let section = |heading: &[&str], text: &str| Section {
            heading: heading.iter().map(|&heading| heading.to_owned()).collect(),
            page: None,
            kind: SectionKind::Prose,
            text: text.to_owned(),
        };
        let joined = SectionedText::of_sections(vec![
            section(&[], "Preface.\n"),
            section(&["Returns", "In shops"], "Within 14 days."),
            section(&["Returns", "In shops"], "With the bill."),
            section(&["Returns", "Online"], "Within 30 days."),
            section(&["Returns"], "Ask us."),
        ]);
        let text = "Preface.\n\n# Returns\n\n## In shops\n\nWithin 14 days.\n\nWith the bill.\n\n## Online\n\nWithin 30 days.\n\nAsk us.";
        assert_eq!(joined.text, text);
        for (section, start) in joined.sections.iter().zip(&joined.starts) {
            assert!(text[*start..].starts_with(section.text.trim_end()));
        }
    }
}
