//! The stages of a document in a case: the file of the case, or its sections. Not here: the stages of a chat (`runner`).

use super::{
    case::Case,
    measured::{Measured, measure},
    room::Room,
    to_json,
};
use crate::commands::plugin::project;
use riad_core::{
    Error, Limits, Result,
    ingestion::{ChunkingOptions, Extracted, ExtractionOptions, Piece, Section, Upload},
    plugin::Stage,
    ports::{IngestionRun, PipelinePlan, PlannedComponent, Sandbox},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, future::Future, path::Path, sync::Arc};

pub struct Ingestion<'a> {
    pub sandbox: &'a dyn Sandbox,
    pub limits: &'a Limits,
    /// Without its stages.
    pub plan: &'a PipelinePlan,
    pub own: &'a BTreeMap<Stage, PlannedComponent>,
    pub room: &'a Arc<Room>,
    /// The plugin's.
    pub folder: &'a Path,
    pub measured: &'a mut BTreeMap<Stage, Measured>,
}

impl Ingestion<'_> {
    /// # Errors
    /// If the case has not what a stage of the plugin's needs. What a stage answers, errors too, is written down.
    pub async fn run(&mut self, case: &Case) -> Result<()> {
        let (mut title, mut sections) = (case.title.clone(), case.sections.clone());
        if self.own.contains_key(&Stage::Extraction) && sections.is_none() {
            let upload = self.upload(case)?;
            let fuel = self.limits.ingestion_fuel_of(upload.bytes.len() as u64);
            let options = ExtractionOptions::of(self.limits);
            let run = self.start(Stage::Extraction, fuel).await?;
            let extracting = run.extract(upload, options);
            let Some(extracted) = self
                .measure(Stage::Extraction, run.as_ref(), extracting, extracted_json)
                .await?
            else {
                return Ok(());
            };
            title = title.or(Some(extracted.title));
            sections = Some(extracted.sections);
        }
        if !self.own.contains_key(&Stage::Chunking) {
            return Ok(());
        }
        let sections: Arc<[Section]> = sections
            .ok_or_else(|| lacks(case, "sections", "the stage chunking"))?
            .into();
        let bytes: usize = sections.iter().map(|section| section.text.len()).sum();
        let options = ChunkingOptions::of(self.limits);
        let run = self
            .start(Stage::Chunking, self.limits.ingestion_fuel_of(bytes as u64))
            .await?;
        let chunking = run.chunk(title.unwrap_or_default(), sections, options);
        self.measure(Stage::Chunking, run.as_ref(), chunking, |pieces| {
            Ok(pieces_json(pieces))
        })
        .await?;
        Ok(())
    }

    fn upload(&self, case: &Case) -> Result<Upload> {
        let file = case
            .file
            .as_ref()
            .ok_or_else(|| lacks(case, "file", "the stage extraction"))?;
        let path = self.folder.join(file);
        let bytes = fs::read(&path).map_err(|error| project::cannot("read", &path, error))?;
        Ok(Upload {
            name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            media_type: String::new(),
            bytes: bytes.into(),
        })
    }

    async fn start(&self, stage: Stage, fuel: u64) -> Result<Box<dyn IngestionRun>> {
        let component = self.own.get(&stage).cloned();
        let plan = PipelinePlan {
            stages: component.into_iter().map(|component| (stage, component)).collect(),
            ..self.plan.clone()
        };
        self.sandbox
            .start_ingestion(&plan, self.room.capabilities(), fuel)
            .await
    }

    /// `None` if the stage failed.
    async fn measure<T>(
        &mut self,
        stage: Stage,
        run: &dyn IngestionRun,
        call: impl Future<Output = Result<T>>,
        json: impl FnOnce(&T) -> Result<Value>,
    ) -> Result<Option<T>> {
        let (measured, answer) = measure(run, self.room, call, json).await?;
        self.measured.insert(stage, measured);
        Ok(answer.ok())
    }
}

pub fn lacks(case: &Case, member: &str, what: &str) -> Error {
    Error::invalid(format!(
        "the case {:?} has no `{member}`, which {what} needs; add it",
        case.name
    ))
}

fn extracted_json(extracted: &Extracted) -> Result<Value> {
    Ok(json!({
        "media_type": extracted.media_type,
        "title": extracted.title,
        "metadata": extracted.metadata,
        "sections": to_json(&extracted.sections)?,
        "warnings": extracted.warnings,
    }))
}

fn pieces_json(pieces: &[Piece]) -> Value {
    let pieces = pieces
        .iter()
        .map(|piece| json!({"section": piece.section, "text": piece.text}));
    json!({"pieces": pieces.collect::<Vec<_>>()})
}
