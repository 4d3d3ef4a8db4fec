//! Files that are made to cost: each ends in an error that names the limit, or in little text.

use super::{read, read_named};
use crate::fixtures::{PdfFile, bomb, docx, text_pdf};
use riad_sdk::ExtractionError;

const CATALOG: &str = "<< /Type /Catalog /Pages 2 0 R >>";
const PAGES: &str = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
const PAGE: &str =
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>";

fn is_too_large(bytes: Vec<u8>) -> String {
    match read(bytes) {
        Err(ExtractionError::TooLarge(text)) => text,
        other => panic!("not too large: {other:?}"),
    }
}

#[test]
fn archives_that_inflate_without_end_are_too_large() {
    let document = "word/document.xml";
    for (what, bytes, limit) in [
        ("zeros", bomb(document, "<w:document>", " ", 20), "bytes"),
        (
            "paragraphs",
            bomb(
                document,
                "<w:document>",
                "<w:p><w:r><w:t>all work and no play</w:t></w:r></w:p>",
                300,
            ),
            "bytes of text",
        ),
        ("elements", bomb(document, "", "<w:p>", 8), "elements"),
        ("one tag", bomb(document, "<w:p ", "a", 20), "tag"),
        ("a comment", bomb(document, "<!--", "a", 300), "8388608"),
        (
            "empty elements",
            bomb(document, "<w:document>", "<w:p/>", 300),
            "unpacked",
        ),
        (
            "shared texts",
            bomb(
                "xl/sharedStrings.xml",
                "<sst>",
                "<si><t>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</t></si>",
                300,
            ),
            "shared",
        ),
    ] {
        if what == "shared texts" {
            // Without a workbook the archive is broken before its texts are read.
            assert!(read(bytes).is_err());
            continue;
        }
        let text = is_too_large(bytes);
        assert!(text.contains(limit), "{what}: {text}");
    }
}

#[test]
fn entities_do_not_grow() {
    let laughs = "<!DOCTYPE x [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;\">]>";
    let extracted = read(docx(&format!("{laughs}<w:p><w:r><w:t>x&b;</w:t></w:r></w:p>"))).unwrap();
    assert_eq!(extracted.sections[0].text, "x");
}

#[test]
fn pdf_streams_that_inflate_without_end_are_too_large() {
    let block = vec![b' '; 70 << 20];
    let bytes = PdfFile::new(&[CATALOG, PAGES, PAGE]).deflated("", &block).bytes("");
    assert!(is_too_large(bytes).contains("67108864"));
}

#[test]
fn graphics_states_in_each_other_are_too_large() {
    let bytes = PdfFile::new(&[CATALOG, PAGES, PAGE])
        .deflated("", &b"q ".repeat(1_000_000))
        .bytes("");
    assert!(is_too_large(bytes).contains("graphics states"));
}

#[test]
fn forms_that_draw_forms_are_too_large() {
    let mut file = PdfFile::new(&[CATALOG, PAGES, PAGE]).stream("", b"/X Do");
    for depth in 0..12 {
        let next = 6 + depth;
        let entries =
            format!("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >>");
        file = file.stream(&entries, &b"/X Do ".repeat(10));
    }
    let file = file.stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", b"BT ET");
    assert!(is_too_large(file.bytes("")).contains("forms"));
}

#[test]
fn cycles_in_a_pdf_end() {
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>";
    let own_form = PdfFile::new(&[CATALOG, PAGES, PAGE])
        .stream("", b"/X Do")
        .stream(form, b"/X Do /X Do");
    assert!(read(own_form.bytes("")).is_err());
    let tree = PdfFile::new(&[
        "<< /Type /Catalog /Pages 2 0 R /Outlines 3 0 R >>",
        "<< /Type /Pages /Kids [2 0 R 2 0 R 4 0 R] /Count 1000000000 >>",
        "<< /First 3 0 R /Next 3 0 R /Title (x) >>",
        "<< /Type /Pages /Kids [2 0 R 4 0 R] /Parent 4 0 R >>",
    ]);
    assert!(read(tree.bytes("")).is_err());
}

#[test]
fn a_page_tree_wider_than_its_bytes_is_too_large() {
    let kids = |kid: &str| format!("<< /Type /Pages /Kids [{}] >>", kid.repeat(3_000));
    let leaf = "<< /Type /Page /MediaBox [0 0 9 9] /Contents 5 0 R >>";
    let file = PdfFile::new(&[CATALOG, &kids("3 0 R "), &kids("4 0 R "), leaf]).stream("", b"BT ET");
    assert!(read(file.bytes("")).is_err());
    let many = PdfFile::new(&[
        CATALOG,
        &format!("<< /Type /Pages /Kids [{}] >>", "3 0 R ".repeat(100_000)),
        leaf,
    ]);
    assert!(is_too_large(many.bytes("")).contains("10000 pages"));
}

#[test]
fn ten_thousand_pages_are_read() {
    let pages = vec![Vec::new(); 10_000];
    assert!(matches!(read(text_pdf(&pages)), Err(ExtractionError::NoText(_))));
    assert!(is_too_large(text_pdf(&vec![Vec::new(); 10_001])).contains("10000 pages"));
}

#[test]
fn deep_and_long_texts_end() {
    for (name, bytes) in [
        ("a.json", b"[".repeat(5_000_000)),
        ("a.csv", [b"a,b\n\"".to_vec(), b"x".repeat(5_000_000)].concat()),
        ("a.csv", b",".repeat(5_000_000)),
        ("a.md", b">".repeat(1_000_000)),
        ("a.md", b"[".repeat(1_000_000)),
        ("a.md", b"# a\n".repeat(300_000)),
        ("a.txt", b"x".repeat(5_000_000)),
        ("a.html", b"<div>".repeat(1_000_000)),
    ] {
        match read_named(name, bytes) {
            Ok(extracted) => {
                let bytes: usize = extracted.sections.iter().map(|section| section.text.len()).sum();
                assert!(bytes <= 4 << 20);
            }
            Err(error) => assert!(!matches!(error, ExtractionError::Failed(_)), "{name}: {error:?}"),
        }
    }
}
