//! Pages as people write them, and as nobody should.

use super::*;
use riad_sdk::SectionKind;

const OPTIONS: ExtractionOptions = ExtractionOptions {
    max_text_bytes: 64 << 20,
    max_sections: 100_000,
};

fn sections(html: &str) -> Vec<(String, String)> {
    let sections = extract(html, OPTIONS).unwrap().sections;
    sections
        .into_iter()
        .map(|section| (section.heading.join(" > "), section.text))
        .collect()
}

fn text(html: &str) -> String {
    sections(html)
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[test]
fn a_page_is_its_text_without_what_is_around() {
    let page = r#"<!doctype html><html lang="de"><head><meta charset="utf-8"><meta name="author" content="Käthe">
        <title>Rückgabe &amp; Umtausch</title><style>p{color:red}</style><script>var x="<p>no</p>";</script></head><body>
        <nav><ul><li>Start</ul></nav><header><a>Logo</a><h1>Rückgabe</h1></header><main>
        <p>Innerhalb von <b>30&nbsp;Tagen</b>.</p><h2>Kosten</h2><p>Die Rücksendung ist <em>kostenlos</em>.
        <p hidden>versteckt</p><aside>Werbung</aside><form><button>Suchen</button>Name<select><option>a</select></form>
        <p>Zeile eins<br>Zeile zwei</p><img src=x alt="Foto"></main><footer>Impressum</footer></body></html>"#;
    let extracted = extract(page, OPTIONS).unwrap();
    assert_eq!(extracted.title, "Rückgabe & Umtausch");
    assert_eq!(extracted.metadata, r#"{"author":"Käthe","language":"de"}"#);
    let expected = [
        ("Rückgabe".to_string(), "Innerhalb von 30 Tagen.".to_string()),
        (
            "Rückgabe > Kosten".to_string(),
            "Die Rücksendung ist kostenlos.\n\nName\n\nZeile eins\nZeile zwei\n\nFoto".to_string(),
        ),
    ];
    assert_eq!(sections(page), expected);
}

#[test]
fn lists_nest_and_their_end_tags_may_be_missing() {
    assert_eq!(
        text("<ul><li>a<li>b<ul><li>c</ul><li>d</ul><ol><li>e<li>f</ol>g"),
        "- a\n- b\n  - c\n- d\n1. e\n2. f\n\ng"
    );
}

#[test]
fn tables_of_data_are_rows_and_layout_is_text() {
    let page = "<table><tr><th>Land<th>Preis<tr><td>DE<td>0 €<tr><td colspan=2>AT</table>";
    let extracted = extract(page, OPTIONS).unwrap();
    assert_eq!(extracted.sections[0].kind, SectionKind::Rows);
    assert_eq!(extracted.sections[0].text, "Land: DE | Preis: 0 €\nLand: AT");
    let long = "word ".repeat(100);
    let layout = format!("<table><tr><td><p>{long}<p>two<td>{long}<tr><td>{long}<td>{long}</table>");
    assert_eq!(extract(&layout, OPTIONS).unwrap().sections[0].kind, SectionKind::Prose);
}

#[test]
fn a_table_in_a_cell_is_text_of_the_cell() {
    let page = "<table><tr><td>1<td><table><tr><td>x<td>y</table><tr><td>2<td>z</table>after";
    assert_eq!(text(page), "1 | x | y\n2 | z\n\nafter");
}

#[test]
fn code_keeps_its_lines() {
    assert_eq!(text("<p>x<pre>\n  a\n\tb\n</pre>y"), "x\n\n  a\n\tb\n\ny");
}

#[test]
fn a_page_that_is_all_navigation_is_read_anyway() {
    assert_eq!(text("<body><nav><p>only text"), "only text");
    assert!(extract("<body><script>x</script></body>", OPTIONS).is_err());
}

#[test]
fn the_declared_encoding_is_found() {
    assert_eq!(
        declared_encoding(b"<meta charset='ISO-8859-1'>").as_deref(),
        Some("iso-8859-1")
    );
    assert_eq!(
        declared_encoding(b"<?xml version='1.0' encoding=\"koi8-r\"?>").as_deref(),
        Some("koi8-r")
    );
    assert_eq!(declared_encoding(b"<p>"), None);
}

#[test]
fn hostile_nesting_costs_no_more_than_its_bytes() {
    for page in [
        format!("{}x", "<div>".repeat(1_000_000)),
        format!("{}x", "<b><i><a><p>".repeat(100_000)),
        format!("{}x", "<table><tr><td>".repeat(100_000)),
        format!("{}x", "<ul><li>".repeat(200_000)),
        format!("<p {}>x", "a=1 ".repeat(500_000)),
        format!("x{}", "</div>".repeat(500_000)),
        format!("x{}", "<a href='".repeat(300_001)),
        format!("x{}", "<!--".repeat(500_000)),
        format!("x{}", "&".repeat(2_000_000)),
        format!("x{}", "<h1><nav>".repeat(200_000)),
    ] {
        let found = extract(&page, OPTIONS).unwrap();
        assert!(
            found.sections.iter().any(|section| section.text.contains('x')),
            "{}",
            &page[..20]
        );
    }
}
