//! EPUB: the chapters in the order of the book's spine. Each is a page of HTML.

use crate::{
    encoding, html, limits,
    office::{properties, resolve},
    output::{Output, Result, malformed, too_large},
    xml::{self, Xml, attribute},
    zip::Archive,
};
use riad_sdk::{Extracted, ExtractionError, ExtractionOptions};
use std::collections::HashMap;

/// Bytes of one chapter.
const CHAPTER_BYTES: usize = 32 << 20;

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`, `TooLarge`.
pub fn extract(bytes: &[u8], options: ExtractionOptions) -> Result<Extracted> {
    let archive = Archive::open(bytes)?;
    let mut output = Output::new("application/epub+zip", options);
    let mut package = String::new();
    xml::read(&archive, "META-INF/container.xml", |event| {
        if let Xml::Start("rootfile", element) = event
            && package.is_empty()
        {
            package = attribute(element, "full-path").unwrap_or_default();
        }
        Ok(())
    })?;
    check_encryption(&archive)?;
    properties(&archive, &package, &mut output)?;
    let chapters = spine(&archive, &package)?;
    for (index, chapter) in chapters.iter().enumerate() {
        if !archive.has(chapter) {
            output.warn(&format!("the chapter {chapter} is missing"));
            continue;
        }
        let bytes = archive.read(chapter)?.all_bytes(CHAPTER_BYTES)?;
        let decoded = encoding::decode(&bytes, html::declared_encoding(&bytes).as_deref())?;
        output.end_headings()?;
        output.begin_page(u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        html::write(&decoded.text, &mut output)?;
    }
    output.finish("the book has no text")
}

/// The parts that the spine names, in its order.
fn spine(archive: &Archive<'_>, package: &str) -> Result<Vec<String>> {
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (mut items, mut order) = (HashMap::new(), Vec::new());
    xml::read(archive, package, |event| {
        match event {
            Xml::Start("item", element) => {
                if let (Some(id), Some(target)) = (attribute(element, "id"), attribute(element, "href")) {
                    items.insert(id, resolve(folder, &without_escapes(&target)));
                }
            }
            Xml::Start("itemref", element) => {
                if order.len() >= limits::PARTS {
                    return Err(too_large(format!("the book has more than {} chapters", limits::PARTS)));
                }
                order.extend(attribute(element, "idref"));
            }
            Xml::Start(..) | Xml::End(_) | Xml::Text(_) => {}
        }
        Ok(())
    })?;
    let mut chapters: Vec<String> = Vec::new();
    for id in order {
        // A chapter that is named twice is in the book once.
        if let Some(chapter) = items.remove(&id) {
            chapters.push(chapter);
        }
    }
    if chapters.is_empty() {
        return Err(malformed("the book's spine names no chapters"));
    }
    Ok(chapters)
}

/// Fonts may be scrambled in any book; chapters are only where a key is needed.
fn check_encryption(archive: &Archive<'_>) -> Result<()> {
    let part = "META-INF/encryption.xml";
    if !archive.has(part) {
        return Ok(());
    }
    xml::read(archive, part, |event| match event {
        Xml::Start("CipherReference", element) => {
            let target = attribute(element, "URI").unwrap_or_default().to_ascii_lowercase();
            if [".xhtml", ".html", ".htm", ".xml"]
                .iter()
                .any(|end| target.ends_with(end))
            {
                return Err(ExtractionError::Encrypted);
            }
            Ok(())
        }
        Xml::Start(..) | Xml::End(_) | Xml::Text(_) => Ok(()),
    })
}

/// A path of a URL: `%20` is a space.
fn without_escapes(url: &str) -> String {
    let mut bytes = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
