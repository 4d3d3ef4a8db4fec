//! A table of broken files per format: each ends in its error, none in a panic.

use super::{read, read_named};
use crate::fixtures::{docx, epub, odt, pptx, text_pdf, xlsx, zip};
use riad_sdk::ExtractionError;

fn name(error: &ExtractionError) -> &'static str {
    match error {
        ExtractionError::Unsupported(_) => "unsupported",
        ExtractionError::Malformed(_) => "malformed",
        ExtractionError::Encrypted => "encrypted",
        ExtractionError::NoText(_) => "no-text",
        ExtractionError::TooLarge(_) => "too-large",
        ExtractionError::Failed(_) => "failed",
    }
}

#[test]
fn each_broken_file_ends_in_its_error() {
    const TYPES: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");
    let encrypted = "<m><file-entry><encryption-data/></file-entry></m>";
    for (what, file_name, bytes, expected) in [
        ("an empty file", "a.pdf", Vec::new(), "no-text"),
        ("space", "a.txt", b" \n\n".to_vec(), "no-text"),
        ("a PDF's head alone", "a.pdf", b"%PDF-1.7\n".to_vec(), "malformed"),
        (
            "a PDF of noise",
            "",
            [b"%PDF-1.7\n".to_vec(), vec![0xA5; 5_000]].concat(),
            "malformed",
        ),
        (
            "an encrypted OpenDocument",
            "",
            zip(&[
                ("mimetype", b"application/vnd.oasis.opendocument.text"),
                ("META-INF/manifest.xml", encrypted.as_bytes()),
            ]),
            "encrypted",
        ),
        (
            "a Word file without a document",
            "",
            zip(&[TYPES, ("word/styles.xml", b"<a/>")]),
            "malformed",
        ),
        (
            "a Word file of broken XML",
            "",
            zip(&[TYPES, ("word/document.xml", b"<w:p><w:t>a</w:t")]),
            "malformed",
        ),
        ("a Word file without text", "", docx("<w:p/>"), "no-text"),
        (
            "a workbook without sheets",
            "",
            zip(&[TYPES, ("xl/workbook.xml", b"<workbook/>")]),
            "no-text",
        ),
        ("an empty sheet", "", xlsx("", ""), "no-text"),
        ("slides without text", "", pptx(&["<p:sp/>"]), "no-text"),
        (
            "an EPUB without a package",
            "",
            zip(&[("META-INF/container.xml", b"<container/>")]),
            "malformed",
        ),
        ("an EPUB without chapters", "", epub(&[]), "malformed"),
        ("another archive", "a.docx", zip(&[("a.txt", b"x")]), "unsupported"),
        (
            "half an archive",
            "",
            {
                let mut bytes = odt("<text:p>x</text:p>");
                bytes.truncate(60);
                bytes
            },
            "malformed",
        ),
        ("broken JSON", "a.json", b"{\"a\": ".to_vec(), "malformed"),
        ("an image", "a.txt", b"\x89PNG\r\n\x1a\n".to_vec(), "unsupported"),
        (
            "a page without text",
            "a.html",
            b"<html><script>x</script></html>".to_vec(),
            "no-text",
        ),
    ] {
        match read_named(file_name, bytes) {
            Ok(extracted) => panic!("{what} was read: {:?}", extracted.sections),
            Err(error) => assert_eq!(name(&error), expected, "{what}: {error:?}"),
        }
    }
}

/// Every beginning of each file, and each file with some bytes changed.
#[test]
fn cut_and_changed_files_end() {
    let show = crate::fixtures::Show {
        font: crate::fixtures::Font::Regular,
        size: 10.0,
        x: 50.0,
        y: 700.0,
        text: "Hello".to_string(),
    };
    let files = [
        docx("<w:p><w:r><w:t>Hello</w:t></w:r></w:p>"),
        xlsx("<row><c t=\"s\"><v>0</v></c></row>", "<si><t>Hello</t></si>"),
        pptx(&["<p:sp><a:p><a:t>Hello</a:t></a:p></p:sp>"]),
        odt("<text:p>Hello</text:p>"),
        epub(&["<p>Hello"]),
        text_pdf(&[vec![show]]),
    ];
    let mut seed = 1_u32;
    for file in &files {
        assert!(read(file.clone()).is_ok());
        for length in (0..file.len()).step_by(7) {
            let _ = read(file[..length].to_vec());
        }
        for _ in 0..150 {
            let mut changed = file.clone();
            for _ in 0..4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize % changed.len();
                changed[at] = (seed >> 24) as u8;
            }
            let _ = read(changed);
        }
    }
}
