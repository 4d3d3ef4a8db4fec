//! From bytes to text: a known encoding or an error, never a guess that gives other characters than were written.

use crate::output::{Result, malformed};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes that the detector looks at.
const SAMPLE_BYTES: usize = 256 << 10;
/// Of so many sequences of several bytes one may be broken, in a text that is UTF-8 otherwise.
const BROKEN_ONE_IN: usize = 8;

pub struct Decoded {
    pub text: String,
    /// Bytes that were no character, each replaced by U+FFFD.
    pub broken: usize,
}

/// Decodes what `declared` may name the encoding of. What the bytes show is believed before what is said of them.
///
/// # Errors
/// `Malformed`: no encoding fits, or control characters say that it is no text.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> Result<Decoded> {
    let decoded = decode_any(bytes, declared)?;
    check_control_characters(&decoded.text)?;
    Ok(decoded)
}

fn decode_any(bytes: &[u8], declared: Option<&str>) -> Result<Decoded> {
    if let Some(text) = utf_32(bytes) {
        return text
            .map(whole)
            .ok_or_else(|| malformed("the text is not the UTF-32 that its first bytes say"));
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(length..).unwrap_or_default();
        if encoding == UTF_8 {
            return utf_8_with_breaks(rest)
                .ok_or_else(|| malformed("the text is not the UTF-8 that its first bytes say"));
        }
        return strict(rest, encoding).map(whole).ok_or_else(|| {
            malformed(format!(
                "the text is not the {} that its first bytes say",
                encoding.name()
            ))
        });
    }
    if let Some(encoding) = utf_16_without_mark(bytes) {
        return strict(bytes, encoding)
            .map(whole)
            .ok_or_else(|| malformed("the text is broken UTF-16"));
    }
    if looks_like_iso_2022_jp(bytes)
        && let Some(text) = strict(bytes, ISO_2022_JP)
    {
        return Ok(whole(text));
    }
    if let Some(decoded) = utf_8_with_breaks(bytes) {
        return Ok(decoded);
    }
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    if let Some(text) = declared.and_then(|encoding| strict(bytes, encoding)) {
        return Ok(whole(text));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let sample = sample(bytes);
    detector.feed(sample, sample.len() == bytes.len());
    let encoding = detector.guess(None, Utf8Detection::Deny);
    strict(bytes, encoding)
        .filter(|text| is_plausible(text))
        .map(whole)
        .ok_or_else(|| malformed("the text is in no encoding that is known; save it as UTF-8"))
}

fn whole(text: String) -> Decoded {
    Decoded { text, broken: 0 }
}

fn strict(bytes: &[u8], encoding: &'static Encoding) -> Option<String> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .map(std::borrow::Cow::into_owned)
}

/// From the first byte that is not ASCII, where an encoding shows itself: a long English text may have one name in it.
fn sample(bytes: &[u8]) -> &[u8] {
    let first = bytes.iter().position(|byte| *byte >= 0x80).unwrap_or(0);
    let from = first.saturating_sub(SAMPLE_BYTES / 4);
    let to = from.saturating_add(SAMPLE_BYTES).min(bytes.len());
    bytes.get(from..to).unwrap_or_default()
}

/// `None` if it is not UTF-8. A file that was cut off, or has a broken byte among many good characters, still is.
fn utf_8_with_breaks(bytes: &[u8]) -> Option<Decoded> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(whole(text.to_string()));
    }
    let (mut good, mut broken) = (0_usize, 0_usize);
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        good += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        if !chunk.invalid().is_empty() {
            broken += 1;
            text.push('\u{fffd}');
        }
    }
    (broken * BROKEN_ONE_IN <= good).then_some(Decoded { text, broken })
}

/// `None` without a byte order mark of UTF-32; `Some(None)` if what follows it is broken.
fn utf_32(bytes: &[u8]) -> Option<Option<String>> {
    let (rest, is_little) = match bytes {
        [0xFF, 0xFE, 0, 0, rest @ ..] => (rest, true),
        [0, 0, 0xFE, 0xFF, rest @ ..] => (rest, false),
        _ => return None,
    };
    let (units, left) = rest.as_chunks::<4>();
    if !left.is_empty() {
        return Some(None);
    }
    let character = |unit: &[u8; 4]| {
        char::from_u32(if is_little {
            u32::from_le_bytes(*unit)
        } else {
            u32::from_be_bytes(*unit)
        })
    };
    Some(units.iter().map(character).collect())
}

/// Text of Latin letters in UTF-16 has a zero in every second byte; other scripts have zeros at their spaces and line ends.
fn utf_16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or(bytes);
    if head.len() < 4 || !bytes.len().is_multiple_of(2) {
        return None;
    }
    let (pairs, _) = head.as_chunks::<2>();
    let high = pairs
        .iter()
        .filter(|[high, low]| *high == 0 && (0x09..0x7F).contains(low))
        .count();
    let low = pairs
        .iter()
        .filter(|[low, high]| *high == 0 && (0x09..0x7F).contains(low))
        .count();
    // A few bytes could be anything.
    let is_enough = |count: usize| count * if pairs.len() < 32 { 2 } else { 20 } > pairs.len();
    if is_enough(high) && low == 0 {
        Some(UTF_16BE)
    } else if is_enough(low) && high == 0 {
        Some(UTF_16LE)
    } else {
        None
    }
}

/// It is ASCII to whoever does not know its escapes.
fn looks_like_iso_2022_jp(bytes: &[u8]) -> bool {
    bytes.is_ascii()
        && bytes
            .windows(3)
            .any(|escape| matches!(escape, b"\x1b$B" | b"\x1b$@" | b"\x1b(J"))
}

/// What a single-byte encoding makes of bytes that are not in it: control characters, and symbols where letters belong.
fn is_plausible(text: &str) -> bool {
    let (mut letters, mut odd) = (0_usize, 0_usize);
    for character in text.chars().filter(|character| !character.is_ascii()) {
        if character.is_alphabetic() || "’‘“”„«»–—…·•€£§°©®™¿¡ºª²³½¼¾ ×、。「」・！？（）：；，".contains(character)
        {
            letters += 1;
        } else {
            odd += 1;
        }
        if matches!(character, '\u{80}'..='\u{9f}') {
            return false;
        }
    }
    odd * 4 <= letters + 8
}

/// A text has none but those of lines, tabs, pages and terminals' colors.
fn check_control_characters(text: &str) -> Result<()> {
    let is_control = |character: &char| {
        character.is_ascii_control() && !matches!(character, '\n' | '\r' | '\t' | '\x0c' | '\x0b' | '\x1b' | '\x08')
    };
    let count = text.chars().filter(is_control).count();
    if text.contains('\0') || count > 2 + text.len() / 5_000 {
        return Err(malformed("the file has control characters in it: it is no text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
