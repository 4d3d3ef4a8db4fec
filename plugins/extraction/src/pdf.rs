//! PDF: a parser gives positioned glyphs, of which this module makes lines, tables, headings and paragraphs. Not here: reading what is only
//! an image.

mod bombs;
mod bookmarks;
mod glyphs;
mod headings;
mod lines;
mod paragraphs;
mod running;
mod script;
mod tables;

use crate::{
    limits,
    output::{Output, Result, malformed, too_large},
};
use bookmarks::Bookmarks;
use glyphs::Collector;
use hayro_interpret::{
    Context, InterpreterCache, InterpreterSettings, TransformExt,
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf, metadata::Metadata},
    interpret_page,
    kurbo::Rect,
};
use headings::{Body, Headings};
use lines::Line;
use paragraphs::Writer;
use riad_sdk::{Extracted, ExtractionError, ExtractionOptions};
use tables::Block;

/// Of so many glyphs one may have no character.
const UNKNOWN_ONE_IN: usize = 5;

/// # Errors
/// `Malformed`, `Encrypted`, `NoText`: images only, or fonts whose characters are not known; `TooLarge`.
pub fn extract(bytes: Vec<u8>, options: ExtractionOptions) -> Result<Extracted> {
    bombs::check_streams(&bytes)?;
    let pdf = Pdf::new(bytes).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => ExtractionError::Encrypted,
        LoadPdfError::Decryption(_) => malformed("the PDF is encrypted in a way that is not known"),
        LoadPdfError::Invalid => malformed("the PDF is damaged beyond repair"),
    })?;
    bombs::check_page_tree(&pdf)?;
    let mut output = Output::new("application/pdf", options);
    metadata(pdf.metadata(), &mut output);
    let read = read_pages(&pdf, options, &mut output)?;
    let mut bookmarks = Bookmarks::read(&pdf);
    let has_text = !read.lines.is_empty();
    let lines = running::once(read.lines, read.pages);
    let mut blocks = Vec::new();
    for page in lines.chunk_by(|a, b| a.page == b.page) {
        blocks.extend(tables::blocks(page.to_vec()));
    }
    let texts: Vec<&Line> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Line(line) => Some(line),
            Block::Table { .. } => None,
        })
        .collect();
    let titles: Vec<String> = texts.iter().map(|line| line.text()).collect();
    bookmarks.compare(titles.iter().map(String::as_str));
    let body = Body::of(&texts);
    let headings = Headings::of(&texts, &body, &bookmarks);
    Writer::new(&mut output, &body, headings).write(&blocks)?;
    output.finish(match (read.pages, read.image_pages, read.drawn_pages) {
        (0, ..) => "the PDF has no pages",
        _ if !has_text && is_encrypted(&pdf) => {
            "the PDF is encrypted, and no text of it can be read: send a copy that is saved without protection"
        }
        (_, 0, 0) => "the PDF's pages are empty",
        (_, 0, _) => {
            "the PDF's pages have no text that can be read: what they show is drawn, and would have to be read by OCR"
        }
        _ => "the PDF has no text layer: its pages are images, which would have to be read by OCR",
    })
}

/// Whether something in the file is encrypted, in whatever way: a trailer that says so is never compressed.
fn is_encrypted(pdf: &Pdf) -> bool {
    const NAME: &[u8] = b"/Encrypt";
    let bytes: &[u8] = pdf.data().as_ref();
    let mut found = bytes.windows(NAME.len()).enumerate().filter(|(_, name)| *name == NAME);
    // What is named is a dictionary, here or elsewhere.
    found.any(|(at, _)| {
        let after = bytes.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        after.first().is_some_and(|byte| *byte == b'<' || byte.is_ascii_digit())
    })
}

struct Read {
    lines: Vec<Line>,
    pages: usize,
    /// Pages with images and without text.
    image_pages: usize,
    /// Pages with neither, which show something all the same.
    drawn_pages: usize,
}

fn read_pages(pdf: &Pdf, options: ExtractionOptions, output: &mut Output) -> Result<Read> {
    let pages = pdf.pages();
    if pages.len() > limits::PDF_PAGES {
        return Err(too_large(format!("the PDF has more than {} pages", limits::PDF_PAGES)));
    }
    let most_bytes = usize::try_from(options.max_text_bytes).unwrap_or(usize::MAX);
    let settings = InterpreterSettings::default();
    let cache = InterpreterCache::new();
    let mut collector = Collector::default();
    let mut forms = bombs::Forms::default();
    let mut read = Read {
        lines: Vec::new(),
        pages: pages.len(),
        image_pages: 0,
        drawn_pages: 0,
    };
    for (index, page) in pages.iter().enumerate() {
        forms.check(page)?;
        let transform = page.initial_transform(false).to_kurbo();
        let unseen = Rect::new(0.0, 0.0, 1.0, 1.0);
        let mut context = Context::new(transform, unseen, &cache, pdf.xref(), settings.clone());
        collector.begin_page();
        interpret_page(page, &mut context, &mut collector);
        collector.end_fragment();
        let has_text = !collector.fragments.is_empty();
        let shows = page
            .page_stream()
            .is_some_and(|content| !content.trim_ascii().is_empty());
        read.image_pages += usize::from(!has_text && collector.images > 0);
        read.drawn_pages += usize::from(!has_text && collector.images == 0 && shows);
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        read.lines.extend(lines::lines(number, &collector.fragments));
        if collector.text_bytes > most_bytes {
            return Err(too_large(format!("the file has more than {most_bytes} bytes of text")));
        }
        if collector.is_full(most_bytes) {
            return Err(too_large(format!(
                "the PDF has more than {} glyphs",
                limits::PDF_GLYPHS
            )));
        }
    }
    if collector.unknown * UNKNOWN_ONE_IN > collector.glyphs {
        return Err(ExtractionError::NoText(
            "the PDF's fonts do not say which characters they show, so that its pages would have to be read by OCR"
                .to_string(),
        ));
    }
    if collector.unknown > 0 {
        output.warn(&format!("{} glyphs have no character that is known", collector.unknown));
    }
    if read.image_pages > 0 {
        output.warn(&format!("{} of {} pages are only images", read.image_pages, read.pages));
    }
    Ok(read)
}

fn metadata(metadata: &Metadata, output: &mut Output) {
    let text = |bytes: &Option<Box<[u8]>>| bytes.as_deref().map(pdf_text).unwrap_or_default();
    output.suggest_title(&text(&metadata.title));
    output.metadata.set("author", &text(&metadata.author));
    output.metadata.set("subject", &text(&metadata.subject));
    output.metadata.set("keywords", &text(&metadata.keywords));
    for (key, date) in [
        ("created", &metadata.creation_date),
        ("modified", &metadata.modification_date),
    ] {
        if let Some(date) = date {
            let sign = if date.utc_offset_hour < 0 { '-' } else { '+' };
            output.metadata.set_date(
                key,
                &format!(
                    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
                    date.year,
                    date.month,
                    date.day,
                    date.hour,
                    date.minute,
                    date.second,
                    date.utc_offset_hour.unsigned_abs(),
                    date.utc_offset_minute
                ),
            );
        }
    }
}

/// A text of the file itself: UTF-16 or UTF-8 with a mark, else PDF's own encoding, which is nearly windows-1252.
fn pdf_text(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, text @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(text).0.into_owned(),
        [0xFF, 0xFE, text @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(text).0.into_owned(),
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8_lossy(text).into_owned(),
        text => encoding_rs::WINDOWS_1252
            .decode_without_bom_handling(text)
            .0
            .into_owned(),
    }
}
