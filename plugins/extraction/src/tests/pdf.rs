//! Pages of PDF: paragraphs, headings without bookmarks, tables, running heads, images.

use super::{read, shown};
use crate::fixtures::{Font, PdfFile, Show, text_pdf};
use riad_sdk::{ExtractionError, SectionKind};

fn show(size: f32, x: f32, y: f32, text: &str) -> Show {
    Show {
        font: Font::Regular,
        size,
        x,
        y,
        text: text.to_string(),
    }
}

fn bold(show: Show) -> Show {
    Show {
        font: Font::Bold,
        ..show
    }
}

/// Lines of a paragraph, 12 points under each other.
fn lines(y: f32, texts: &[&str]) -> Vec<Show> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| show(10.0, 50.0, y - 12.0 * index as f32, text))
        .collect()
}

#[test]
fn lines_become_paragraphs_and_cut_words_whole() {
    let mut page = lines(
        700.0,
        &[
            "The transfer costs two euros for each ac-",
            "count of the customer, whoever",
            "asks for it.",
        ],
    );
    page.extend(lines(640.0, &["Another paragraph stands below it."]));
    let extracted = read(text_pdf(&[page])).unwrap();
    assert_eq!(
        shown(&extracted),
        [
            ": The transfer costs two euros for each account of the customer, whoever asks for it.\n\nAnother paragraph stands below it."
        ]
    );
    assert_eq!(extracted.sections[0].page, Some(1));
}

#[test]
fn headings_need_no_bookmarks() {
    let body = [
        "Text of the body that is long enough to be",
        "most of what is on this page of the paper,",
        "so that its size is the usual one here.",
    ];
    let mut page = vec![bold(show(18.0, 150.0, 750.0, "On the Cost of Transfers"))];
    page.push(bold(show(12.0, 50.0, 710.0, "1 Introduction")));
    page.extend(lines(690.0, &body));
    page.push(bold(show(10.0, 50.0, 640.0, "1.1 Related work")));
    page.extend(lines(622.0, &body));
    page.push(bold(show(12.0, 50.0, 570.0, "References")));
    page.extend(lines(550.0, &body));
    let extracted = read(text_pdf(&[page])).unwrap();
    assert_eq!(extracted.title, "On the Cost of Transfers");
    let headings: Vec<String> = extracted
        .sections
        .iter()
        .map(|section| section.heading.join(" > "))
        .collect();
    assert_eq!(
        headings,
        [
            "On the Cost of Transfers > 1 Introduction",
            "On the Cost of Transfers > 1 Introduction > 1.1 Related work",
            "On the Cost of Transfers > References",
        ]
    );
}

#[test]
fn a_numbered_list_is_not_headings() {
    let page = lines(
        700.0,
        &[
            "Please follow these steps in their order:",
            "1. Open the box of the machine",
            "2. Take the drill out of it",
        ],
    );
    let extracted = read(text_pdf(&[page])).unwrap();
    assert!(extracted.sections.iter().all(|section| section.heading.is_empty()));
}

#[test]
fn tables_are_rows() {
    let mut page = lines(
        700.0,
        &[
            "The fees of this year are in the table that",
            "follows; they are those of all accounts.",
        ],
    );
    for (index, row) in [
        ["Country", "Price", "Days"],
        ["Austria", "5.00", "2"],
        ["France", "12.00", "14"],
    ]
    .iter()
    .enumerate()
    {
        for (column, text) in row.iter().enumerate() {
            page.push(show(
                10.0,
                50.0 + 120.0 * column as f32,
                650.0 - 14.0 * index as f32,
                text,
            ));
        }
    }
    page.extend(lines(590.0, &["After the table the text goes on as before it."]));
    let extracted = read(text_pdf(&[page])).unwrap();
    let rows: Vec<_> = extracted
        .sections
        .iter()
        .filter(|section| section.kind == SectionKind::Rows)
        .collect();
    assert_eq!(rows.len(), 1, "{:?}", shown(&extracted));
    assert_eq!(
        rows[0].text,
        "Country: Austria | Price: 5.00 | Days: 2\nCountry: France | Price: 12.00 | Days: 14"
    );
}

#[test]
fn running_heads_and_page_numbers_stand_once() {
    let words = ["", "one", "two", "three", "four", "five", "six"];
    let page = |n: usize| {
        let mut page = vec![
            show(8.0, 50.0, 780.0, "Annual report"),
            show(8.0, 300.0, 20.0, &format!("Page {n}")),
        ];
        page.extend(lines(
            700.0,
            &[
                &format!("What page {} says stands nowhere else.", words[n]),
                "It has a second line that is the same.",
                &format!("And a third line on page {}.", words[n]),
            ],
        ));
        page
    };
    let extracted = read(text_pdf(&(1..=6).map(page).collect::<Vec<_>>())).unwrap();
    let text = shown(&extracted).concat();
    assert_eq!(text.matches("Annual report").count(), 1, "{text}");
    assert!(text.contains("Page 1") && !text.contains("Page 3"), "{text}");
    assert!(text.contains("What page three says"));
    assert_eq!(extracted.sections.last().unwrap().page, Some(6));
}

#[test]
fn lines_at_edges_with_numbers_of_their_own_stay() {
    // From page to page, as the pages' own.
    let number = |n: usize| 100_200 + n;
    let page = |n: usize| {
        vec![
            show(8.0, 50.0, 780.0, &format!("Invoice {} for customer 7919", number(n))),
            show(8.0, 50.0, 20.0, &format!("Total due: {}.50 EUR", n * n + 90)),
        ]
    };
    for pages in [3, 4, 10, 50] {
        let extracted = read(text_pdf(&(1..=pages).map(page).collect::<Vec<_>>())).unwrap();
        let text = shown(&extracted).concat();
        for n in 1..=pages {
            assert!(text.contains(&format!("Invoice {} ", number(n))), "{pages} {n}: {text}");
            assert!(text.contains(&format!("due: {}.50", n * n + 90)), "{pages} {n}: {text}");
        }
    }
    // Where each page has the same, it stands once.
    let extracted = read(text_pdf(&vec![vec![show(8.0, 50.0, 780.0, "Confidential")]; 9])).unwrap();
    assert_eq!(shown(&extracted).concat().matches("Confidential").count(), 1);
}

#[test]
fn pages_of_images_have_no_text_layer() {
    let pdf = PdfFile::new(&[
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>",
    ])
    .stream("", b"q 99 0 0 99 0 0 cm /I Do Q")
    .stream("/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray", b"\x00");
    let error = read(pdf.bytes("")).unwrap_err();
    assert!(
        matches!(&error, ExtractionError::NoText(text) if text.contains("no text layer")),
        "{error:?}"
    );
}

/// A file of one page with this content.
fn page_of(content: &[u8]) -> PdfFile {
    PdfFile::new(&[
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>",
    ])
    .stream("", content)
}

fn why_no_text(file: Vec<u8>) -> String {
    match read(file).unwrap_err() {
        ExtractionError::NoText(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_drawn_is_not_said_to_be_empty() {
    assert!(why_no_text(page_of(b"0 0 m 50 50 l 50 0 l f").bytes("")).contains("drawn"));
    assert!(why_no_text(page_of(b" \n").bytes("")).contains("empty"));
}

#[test]
fn an_encrypted_file_whose_text_cannot_be_read_says_so() {
    // It opens without a password, forbids to take its text, and its streams are encrypted in a way that nobody knows.
    let encryption = "<< /Filter /Standard /V 4 /R 4 /Length 128 /P -3904 /StmF /StdCF /StrF /StdCF \
        /CF << /StdCF << /CFM /Unknown /AuthEvent /DocOpen /Length 16 >> >> \
        /O <000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f> \
        /U <0fb68271495cc65409c3cf348a9287dd00000000000000000000000000000000> >>";
    let id = "/ID [<30313233343536373839616263646566> <30313233343536373839616263646566>]";
    for content in [b"\x9c\x03\xfeq\x81".as_slice(), b" "] {
        let file = page_of(content)
            .object(encryption)
            .bytes(&format!("/Encrypt 5 0 R {id}"));
        let text = why_no_text(file);
        assert!(text.contains("encrypted"), "{text}");
    }
}
