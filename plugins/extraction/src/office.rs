//! Word, PowerPoint and Excel: what their archives have in common. Not here: their parts (`docx`, `pptx`, `xlsx`).

mod docx;
mod number;
mod pptx;
mod xlsx;

use crate::{
    output::{Output, Result, one_line},
    xml::{self, Xml, attribute},
    zip::Archive,
};
use riad_sdk::ExtractionError;
use std::collections::HashMap;

pub use docx::extract as docx;
pub use pptx::extract as pptx;
pub use xlsx::extract as xlsx;

/// Bytes of one property.
const PROPERTY_BYTES: usize = 8_000;

/// Reads the properties of Office, OpenDocument and EPUB files, which use the same words of the Dublin Core.
///
/// # Errors
/// `TooLarge`, `Encrypted`. Broken properties are a warning.
pub fn properties(archive: &Archive<'_>, part: &str, output: &mut Output) -> Result<()> {
    if !archive.has(part) {
        return Ok(());
    }
    let mut text: Option<String> = None;
    let mut title = String::new();
    let read = xml::read(archive, part, |event| {
        match event {
            Xml::Start(..) => text = Some(String::new()),
            Xml::Text(more) => {
                if let Some(text) = text.as_mut().filter(|text| text.len() < PROPERTY_BYTES) {
                    text.push_str(more);
                }
            }
            Xml::End(name) => {
                let text = text.take().unwrap_or_default();
                match name {
                    "title" if title.is_empty() => title = text,
                    "creator" | "initial-creator" => output.metadata.set("author", &text),
                    "subject" => output.metadata.set("subject", &text),
                    "keywords" | "keyword" => output.metadata.set("keywords", &text),
                    "description" => output.metadata.set("description", &text),
                    "language" => output.metadata.set_language(&text),
                    "created" | "creation-date" => output.metadata.set_date("created", &text),
                    "modified" | "date" => output.metadata.set_date("modified", &text),
                    _ => {}
                }
            }
        }
        Ok(())
    });
    output.suggest_title(&title);
    match read {
        Err(ExtractionError::Malformed(_)) => {
            output.warn("the file's properties are broken");
            Ok(())
        }
        other => other,
    }
}

pub struct Relation {
    pub kind: String,
    /// The part in the archive.
    pub target: String,
}

/// What a part refers to, by id. A part without relations has none.
///
/// # Errors
/// `Malformed`, `TooLarge`, `Encrypted`.
pub fn relations(archive: &Archive<'_>, part: &str) -> Result<HashMap<String, Relation>> {
    let mut relations = HashMap::new();
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let separator = if folder.is_empty() { "" } else { "/" };
    let name = format!("{folder}{separator}_rels/{file}.rels");
    if !archive.has(&name) {
        return Ok(relations);
    }
    xml::read(archive, &name, |event| {
        if let Xml::Start("Relationship", element) = event
            && let (Some(id), Some(target)) = (attribute(element, "Id"), attribute(element, "Target"))
            && attribute(element, "TargetMode").is_none_or(|mode| mode != "External")
        {
            let kind = attribute(element, "Type").unwrap_or_default();
            let target = resolve(folder, &target);
            relations.insert(id, Relation { kind, target });
        }
        Ok(())
    })?;
    Ok(relations)
}

/// The main part, which most programs call by the same name.
pub fn main_part(archive: &Archive<'_>, usual: &str) -> Result<String> {
    let relations = relations(archive, "")?;
    let main = relations
        .into_values()
        .find(|relation| relation.kind.ends_with("/officeDocument"));
    Ok(main
        .map(|main| main.target)
        .filter(|target| archive.has(target))
        .unwrap_or_else(|| usual.to_string()))
}

/// A path relative to a folder of the archive.
pub fn resolve(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|name| !name.is_empty()).collect(),
    };
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path.join("/")
}

/// A paragraph of a list, indented by its level from 0.
pub fn list_item(level: usize, text: &str) -> String {
    format!("{}- {}", "  ".repeat(level.min(9)), one_line(text, usize::MAX))
}
