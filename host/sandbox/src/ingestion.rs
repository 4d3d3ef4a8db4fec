//! The guests of one document behind the port `IngestionRun`, and the checks of what they return. Not here: WIT's types
//! (`ingestion_types.rs`), the guests' limits (`core/src/limits.rs`).

use crate::{
    call::Call,
    convert::{InvalidOutput, OutputReader},
    ingestion_types as wit,
    run::{Inner, Run, not_exported},
};
use async_trait::async_trait;
use riad_core::{
    Result,
    ingestion::{ChunkingOptions, Extracted, ExtractionOptions, Piece, Section, SectionKind, Upload},
    plugin::Stage,
    ports::IngestionRun,
};
use std::sync::Arc;

/// Characters of a media type.
const MEDIA_TYPE_MAX: usize = 255;
/// Headings above a section (these as `wit/README.md` has them).
const DEPTH_MAX: usize = 12;
/// Characters of a title, a heading or a warning.
const LINE_MAX: usize = 300;
/// Warnings of one file.
const WARNINGS_MAX: usize = 20;
/// Bytes of the metadata as JSON.
const METADATA_BYTES: usize = 16 << 10;

#[async_trait]
impl IngestionRun for Run {
    async fn extract(&self, upload: Upload, options: ExtractionOptions) -> Result<Extracted> {
        self.run(|run| async move { run.extract(upload, options).await }).await
    }

    async fn chunk(&self, title: String, sections: Arc<[Section]>, options: ChunkingOptions) -> Result<Vec<Piece>> {
        self.run(|run| async move { run.chunk(title, &sections, options).await })
            .await
    }
}

impl Inner {
    async fn extract(&self, upload: Upload, options: ExtractionOptions) -> Result<Extracted> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Extraction)?;
        let extract = guest.stages.extract.ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Extraction)?;
        let upload = wit::Upload {
            name: upload.name,
            media_type: upload.media_type,
            bytes: upload.bytes.into(),
        };
        let given = wit::ExtractionOptions {
            max_text_bytes: options.max_text_bytes,
            max_sections: options.max_sections,
        };
        let answer = extract.call_async(&mut call.guest.store, (upload, given));
        let answer = self.context.limit_time(answer).await;
        call.end_stage(answer, &mut self.output_reader(), |reader, extracted| {
            reader.extracted(extracted, options)
        })
    }

    async fn chunk(&self, title: String, sections: &[Section], options: ChunkingOptions) -> Result<Vec<Piece>> {
        let mut guests = self.guests.lock().await;
        let guest = guests.guest_for(Stage::Chunking)?;
        let chunk = guest.stages.chunk.ok_or_else(not_exported)?;
        let call = Call::begin(guest, &self.context, Stage::Chunking)?;
        let given = wit::ChunkingOptions {
            max_characters: options.max_characters,
            overlap_characters: options.overlap_characters,
            max_pieces: options.max_pieces,
        };
        let copied = sections.iter().map(section_to_wit).collect();
        let answer = chunk.call_async(&mut call.guest.store, (title, copied, given));
        let answer = self.context.limit_time(answer).await;
        call.end_stage(answer, &mut self.output_reader(), |reader, pieces| {
            reader.pieces(pieces, sections, options)
        })
    }
}

impl OutputReader {
    fn extracted(&mut self, extracted: wit::Extracted, options: ExtractionOptions) -> Result<Extracted, InvalidOutput> {
        let media_type = self.text(extracted.media_type)?;
        if media_type.len() > MEDIA_TYPE_MAX
            || !media_type.contains('/')
            || media_type.contains(|c: char| !c.is_ascii_graphic())
        {
            return Err(malformed("a `media-type` that is none"));
        }
        let sections = extracted.sections.len();
        if sections == 0 || sections > options.max_sections as usize {
            return Err(malformed(format!(
                "{sections} sections, where 1 to {} are accepted",
                options.max_sections
            )));
        }
        let title = self.line(extracted.title)?;
        let mut text_bytes = title.len();
        let mut sections = Vec::with_capacity(sections);
        for section in extracted.sections {
            let section = self.section(section)?;
            text_bytes += section.text.len() + section.heading.iter().map(String::len).sum::<usize>();
            sections.push(section);
        }
        if text_bytes > options.max_text_bytes as usize {
            return Err(malformed(format!(
                "{text_bytes} bytes of text, where {} are accepted",
                options.max_text_bytes
            )));
        }
        if extracted.metadata.len() > METADATA_BYTES || extracted.warnings.len() > WARNINGS_MAX {
            return Err(malformed(format!(
                "more than {METADATA_BYTES} bytes of metadata, or more than {WARNINGS_MAX} warnings"
            )));
        }
        let metadata = self.document_text(extracted.metadata)?;
        let metadata = self
            .object(&metadata, "`metadata` with")?
            .ok_or_else(|| malformed("`metadata` that is not a JSON object"))?;
        let warnings = extracted.warnings.into_iter().map(|warning| self.line(warning));
        Ok(Extracted {
            media_type,
            title,
            metadata,
            warnings: warnings.collect::<Result<_, InvalidOutput>>()?,
            sections,
        })
    }

    fn section(&mut self, section: wit::Section) -> Result<Section, InvalidOutput> {
        if section.heading.len() > DEPTH_MAX {
            return Err(malformed(format!("a section below more than {DEPTH_MAX} headings")));
        }
        let heading = section.heading.into_iter().map(|heading| self.line(heading));
        let heading = heading.collect::<Result<_, _>>()?;
        let text = self.document_text(section.text)?;
        if text.trim().is_empty() {
            return Err(malformed("a section without text"));
        }
        Ok(Section {
            heading,
            page: section.page,
            kind: match section.kind {
                wit::Kind::Prose => SectionKind::Prose,
                wit::Kind::Markdown => SectionKind::Markdown,
                wit::Kind::Rows => SectionKind::Rows,
                wit::Kind::Code => SectionKind::Code,
            },
            text,
        })
    }

    fn line(&mut self, text: String) -> Result<String, InvalidOutput> {
        match text.chars().nth(LINE_MAX) {
            Some(_) => Err(malformed(format!(
                "a title, heading or warning of more than {LINE_MAX} characters"
            ))),
            None => self.document_text(text),
        }
    }

    /// A text that is stored: SQL's functions end one at a NUL.
    fn document_text(&mut self, text: String) -> Result<String, InvalidOutput> {
        match text.contains('\0') {
            true => Err(malformed("a text with a NUL character in it")),
            false => self.text(text),
        }
    }

    /// Each piece is looked for from the beginning of the one before it, so that the whole takes time in proportion to the text.
    fn pieces(
        &mut self,
        pieces: Vec<wit::Piece>,
        sections: &[Section],
        options: ChunkingOptions,
    ) -> Result<Vec<Piece>, InvalidOutput> {
        if pieces.len() > options.max_pieces as usize {
            return Err(malformed(format!(
                "{} pieces, where {} are accepted",
                pieces.len(),
                options.max_pieces
            )));
        }
        let (mut at, mut from) = (0, 0);
        let mut found = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let text = self.text(piece.text)?;
            if piece.section > at {
                (at, from) = (piece.section, 0);
            }
            let section = sections
                .get(piece.section as usize)
                .filter(|_| piece.section == at)
                .ok_or_else(|| malformed("pieces that do not follow the order of the sections"))?;
            if text.trim().is_empty() || text.chars().count() > options.max_characters as usize {
                return Err(malformed(format!(
                    "a piece that has nothing but space in it, or more than {} characters",
                    options.max_characters
                )));
            }
            let rest = section.text.get(from..).unwrap_or_default();
            let start = rest.find(&text).map(|start| from + start).ok_or_else(|| {
                malformed(
                    "a piece that does not stand in its section, or not after the beginning of the piece before it",
                )
            })?;
            from = start + text.chars().next().map_or(1, char::len_utf8);
            found.push(Piece {
                section: piece.section,
                start,
                text,
            });
        }
        match found.is_empty() {
            true => Err(malformed("no piece")),
            false => Ok(found),
        }
    }
}

fn section_to_wit(section: &Section) -> wit::Section {
    wit::Section {
        heading: section.heading.clone(),
        page: section.page,
        kind: match section.kind {
            SectionKind::Prose => wit::Kind::Prose,
            SectionKind::Markdown => wit::Kind::Markdown,
            SectionKind::Rows => wit::Kind::Rows,
            SectionKind::Code => wit::Kind::Code,
        },
        text: section.text.clone(),
    }
}

fn malformed(what: impl Into<String>) -> InvalidOutput {
    InvalidOutput::Malformed(what.into())
}

#[cfg(test)]
mod tests;
