//! No bytes panic, and what comes out keeps the options and the contract.

use crate::{fixtures, fuzzing};
use proptest::prelude::*;

const NAMES: [&str; 10] = [
    "a.txt", "a.html", "a.md", "a.csv", "a.tsv", "a.json", "a.eml", "a.rs", "a.pdf", "",
];
fn check(name: &str, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    fuzzing::check(name, bytes).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes_are_read_or_refused(name in 0..NAMES.len(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(NAMES[name], bytes)?;
    }

    #[test]
    fn any_text_is_read_or_refused(
        name in 0..NAMES.len(),
        text in "(<(div|p|table|tr|td|h1|li|ul|pre|/div|/p|/table|nav|!--)>?|# |---\n|```|[a-z ,;|\"\\[\\]{}:&#]{1,9}|\n|\u{e9}|漢|From: a\nTo: b\nSubject: c\n){0,60}",
    ) {
        check(NAMES[name], text.into_bytes())?;
    }

    #[test]
    fn any_xml_in_an_archive_is_read_or_refused(
        body in "(<(w:p|w:t|w:tbl|w:tr|w:tc|/w:p|/w:t|/w:tc|/w:tr|/w:tbl|text:p|/text:p|table:table|/table:table|row|c|v|/v|/c|/row|w:del)/?>|[a-z&;]{1,5}){0,60}",
    ) {
        check("", fixtures::docx(&body))?;
        check("", fixtures::odt(&body))?;
        check("", fixtures::ods(&body))?;
        check("", fixtures::odp(&body))?;
        check("", fixtures::xlsx(&body, &body))?;
        check("", fixtures::pptx(&[&body]))?;
    }

    #[test]
    fn any_page_of_a_pdf_is_read_or_refused(
        operators in "(BT|ET|/F1 9 Tf|[0-9]{1,3} [0-9]{1,3} Td|\\([a-z .]{1,9}\\) Tj|q|Q|1 0 0 1 5 5 cm|/H1 BMC|EMC|[\\[\\]<>()/] ?| ){0,60}",
    ) {
        let file = fixtures::PdfFile::new(&[
            "<< /Type /Catalog /Pages 2 0 R >>",
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]);
        check("", file.stream("", operators.replace('\n', " ").as_bytes()).bytes(""))?;
    }
}
