//! Texts in the encodings of the world, and bytes that are none.

use super::*;
use riad_sdk::ExtractionError;

fn text(bytes: &[u8]) -> String {
    decode(bytes, None).unwrap().text
}

#[test]
fn each_encoding_is_detected_or_refused() {
    let samples = [
        (
            "windows-1252",
            "Die Größe der Straße über die Brücke kostet fünf Mark. „Schön“, sagte er – nämlich für Käthe.",
        ),
        (
            "windows-1250",
            "Příliš žluťoučký kůň úpěl ďábelské ódy. Žádný učený z nebe nespadl, říká přísloví.",
        ),
        (
            "windows-1251",
            "Съешь же ещё этих мягких французских булок, да выпей чаю. Это пример русского текста.",
        ),
        (
            "koi8-r",
            "Съешь же ещё этих мягких французских булок, да выпей чаю. Это пример русского текста.",
        ),
        (
            "windows-1253",
            "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Αυτό είναι ένα παράδειγμα ελληνικού κειμένου.",
        ),
        (
            "shift_jis",
            "これは日本語のテキストです。文字コードはシフトJISです。二つ目の段落です。検索に使います。",
        ),
        (
            "euc-jp",
            "これは日本語のテキストです。文字コードはEUCです。二つ目の段落です。検索に使います。",
        ),
        (
            "gbk",
            "这是一个中文文本的例子。我们用它来测试编码检测。搜索应该找到它。",
        ),
        (
            "big5",
            "這是一個中文文本的例子。我們用它來測試編碼檢測。搜尋應該找到它。",
        ),
        (
            "euc-kr",
            "이것은 한국어 텍스트의 예입니다. 인코딩 감지를 테스트하는 데 사용합니다.",
        ),
    ];
    for (label, sample) in samples {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let (bytes, _, lossy) = encoding.encode(sample);
        assert!(!lossy, "{label}");
        match decode(&bytes, None) {
            Ok(decoded) => assert_eq!(decoded.text, sample, "{label}"),
            Err(ExtractionError::Malformed(_)) => panic!("{label} was refused"),
            Err(error) => panic!("{label}: {error}"),
        }
    }
}

#[test]
fn marks_say_the_encoding() {
    let utf_16: Vec<u8> = "\u{feff}Größe 漢".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(text(&utf_16), "Größe 漢");
    let utf_16: Vec<u8> = "\u{feff}Größe 漢".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(text(&utf_16), "Größe 漢");
    let utf_32: Vec<u8> = "\u{feff}Größe 漢"
        .chars()
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect();
    assert_eq!(text(&utf_32), "Größe 漢");
    assert_eq!(text("\u{feff}Größe".as_bytes()), "Größe");
    assert!(
        decode(&[0xFF, 0xFE, 0x00, 0xD8, 0x41, 0x00], None).is_err(),
        "a lone surrogate"
    );
    assert!(decode(&[0xFF, 0xFE, 0, 0, 1, 2, 3], None).is_err(), "half a character");
}

#[test]
fn utf_16_needs_no_mark() {
    for sample in ["A plain text.\n", "Это пример русского текста, он длинный.\n"] {
        let little: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&little), sample);
        let big: Vec<u8> = sample.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&big), sample);
    }
}

#[test]
fn japanese_mail_is_not_taken_for_ascii() {
    let (bytes, _, _) = ISO_2022_JP.encode("これは日本語です");
    assert!(bytes.is_ascii());
    assert_eq!(text(&bytes), "これは日本語です");
}

#[test]
fn utf_8_wins_over_what_is_declared() {
    assert_eq!(decode("Größe".as_bytes(), Some("iso-8859-1")).unwrap().text, "Größe");
    assert_eq!(decode(b"Gr\xf6\xdfe", Some("iso-8859-1")).unwrap().text, "Größe");
}

#[test]
fn a_broken_byte_in_utf_8_is_replaced_and_counted() {
    let mut bytes = "Größe ".repeat(100).into_bytes();
    bytes.extend_from_slice(b"\xff and an end\xc3");
    let decoded = decode(&bytes, None).unwrap();
    assert_eq!(decoded.broken, 2);
    assert!(decoded.text.ends_with("\u{fffd} and an end\u{fffd}"));
}

#[test]
fn a_broken_byte_among_few_others_makes_no_mojibake() {
    let mut bytes = "Ärger überall, schöne Grüße: ".repeat(4).into_bytes();
    bytes.push(0xff);
    assert!(decode(&bytes, None).unwrap().text.starts_with("Ärger überall"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut state = 7_u32;
    let noise: Vec<u8> = (0..4096)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    assert!(matches!(decode(&noise, None), Err(ExtractionError::Malformed(_))));
    assert!(decode(b"abc\x00\x01\x02\x03\x04", None).is_err());
}
