//! Files of the formats that are archives.

use super::{read, shown};
use crate::fixtures::{docx, epub, odp, ods, odt, pptx, xlsx};
use riad_sdk::SectionKind;

fn paragraph(style: &str, text: &str) -> String {
    format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn a_word_document_has_headings_lists_and_tables() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph("", text));
    let row = |a: &str, b: &str| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    let body = [
        paragraph("Titel", "Fees"),
        paragraph("", "Intro &lt;1&gt;."),
        paragraph("H1", "Transfers"),
        paragraph("L", "one"),
        paragraph("Mine", "Abroad"),
        "<w:p><w:r><w:t>Kept</w:t></w:r><w:del><w:r><w:t>deleted</w:t></w:r></w:del><w:r><w:tab/><w:t>text</w:t></w:r></w:p>".to_string(),
        format!("<w:tbl>{}{}</w:tbl>", row("Land", "Preis"), row("DE", "0 €")),
        "<w:p><w:r><w:t>Outer</w:t></w:r><w:r><w:txbxContent><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:txbxContent></w:r></w:p>".to_string(),
    ];
    let extracted = read(docx(&body.concat())).unwrap();
    assert_eq!(extracted.title, "A & B");
    assert_eq!(
        extracted.metadata,
        r#"{"author":"Ada","created":"2026-03-02T10:00:00Z"}"#
    );
    assert_eq!(
        shown(&extracted),
        [
            "Fees: Intro <1>.",
            "Fees > Transfers: - one",
            "Fees > Transfers > Abroad: Kept\ttext",
            "Fees > Transfers > Abroad: Land: DE | Preis: 0 €",
            "Fees > Transfers > Abroad: Box\n\nOuter",
        ]
    );
    assert_eq!(extracted.sections[3].kind, SectionKind::Rows);
}

#[test]
fn slides_are_pages_with_their_title_first() {
    let shape = |kind: &str, text: &str| {
        format!("<p:sp><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp>")
    };
    let first = format!(
        "{}{}{}",
        shape("body", "Point"),
        shape("title", "Start"),
        shape("sldNum", "1")
    );
    let second = shape("ctrTitle", "Only a title");
    let extracted = read(pptx(&[&first, &second])).unwrap();
    assert_eq!(shown(&extracted), ["Start: Point", ": Only a title"]);
    assert_eq!(
        extracted
            .sections
            .iter()
            .map(|section| section.page)
            .collect::<Vec<_>>(),
        [Some(1), Some(2)]
    );
}

#[test]
fn a_sheet_is_rows_with_dates_as_people_see_them() {
    let rows = r#"<row><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>date</t></is></c></row>
        <row><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>46083</v></c><c r="D2"><v>0.30000000000000004</v></c></row>
        <row><c r="XFD1048576"><v>9</v></c></row>"#;
    let extracted = read(xlsx(
        rows,
        "<si><t>name</t></si><si><r><t>Dr</t></r><r><t>ill</t></r><rPh><t>no</t></rPh></si>",
    ))
    .unwrap();
    assert_eq!(shown(&extracted), ["Prices: name: Drill | date: 2026-03-02 | 0.3"]);
    assert_eq!(
        extracted.warnings.len(),
        2,
        "a hidden sheet and a far column: {:?}",
        extracted.warnings
    );
}

#[test]
fn opendocument_texts_sheets_and_slides_are_read() {
    let text = r#"<text:h text:outline-level="1">Kapitel</text:h><text:p>Ein<text:s text:c="2"/>Absatz.</text:p>
        <text:list><text:list-item><text:p>Punkt</text:p></text:list-item></text:list>"#;
    assert_eq!(shown(&read(odt(text)).unwrap()), ["Kapitel: Ein  Absatz.\n- Punkt"]);
    let sheet = r#"<table:table table:name="S"><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>
        <table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell></table:table-row>
        <table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="16000">
        <text:p>1</text:p></table:table-cell></table:table-row></table:table>"#;
    let sections = read(ods(sheet)).unwrap().sections;
    assert!(
        sections[0].text.starts_with("a: 1 | b: 1 | b: 1 | 1 |"),
        "{}",
        &sections[0].text[..40]
    );
    let slide = r#"<draw:page><draw:frame presentation:class="title"><text:p>Start</text:p></draw:frame>
        <draw:frame><text:p>Point</text:p></draw:frame></draw:page>"#;
    let extracted = read(odp(slide)).unwrap();
    assert_eq!(shown(&extracted), ["Start: Point"]);
    assert_eq!(extracted.sections[0].page, Some(1));
}

#[test]
fn a_book_is_its_chapters_in_order() {
    let extracted = read(epub(&[
        "<html><h1>First</h1><p>One.</p></html>",
        "<html><h1>Second</h1><p>Two.</p></html>",
    ]))
    .unwrap();
    assert_eq!(extracted.title, "My Book");
    assert_eq!(shown(&extracted), ["First: One.", "Second: Two."]);
}
