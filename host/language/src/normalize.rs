//! One spelling per character: NFKC, which makes full width narrow and takes ligatures apart, without what nobody sees.

use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};
use std::borrow::Cow;

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfkc();

pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut normal = String::with_capacity(text.len());
    let mut begin = 0;
    for (at, c) in text.char_indices() {
        let instead = match c {
            // NFKC would take them apart into what no dictionary has.
            '\u{e33}' | '\u{eb3}' => Some(c),
            // A number of a footnote or a power is not part of the word that it stands at.
            '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}'..='\u{2079}' => Some(' '),
            c if is_ignorable(c) => None,
            _ => continue,
        };
        push(&mut normal, text.get(begin..at));
        normal.extend(instead);
        begin = if matches!(instead, Some(' ')) {
            at
        } else {
            at + c.len_utf8()
        };
    }
    push(&mut normal, text.get(begin..));
    Cow::Owned(normal)
}

fn push(normal: &mut String, part: Option<&str>) {
    if let Some(part) = part.filter(|part| !part.is_empty()) {
        normal.push_str(&NFKC.normalize(part));
    }
}

/// Characters within a word that show nothing: soft hyphens, joiners, marks of direction, selectors of a glyph. Not U+200B, which
/// separates words.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200c}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_character() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("Ｆｕｌｌ　ｗｉｄｔｈ", "Full width"),
            ("ｶﾞｷﾞ", "ガギ"),
            ("ﬁnance", "finance"),
            ("e\u{301}", "é"),
            ("Zu\u{ad}sammen", "Zusammen"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("ﷲ", "الله"),
            ("น้ำ", "น้ำ"),
            ("ຄຳ", "ຄຳ"),
            ("Haus²", "Haus 2"),
            ("5 m³ und x¹²", "5 m 3 und x 1 2"),
            ("H₂O", "H2O"),
            ("☎\u{fe0f}", "☎"),
            ("", ""),
        ] {
            assert_eq!(normalize(text), expected, "{text}");
        }
    }

    #[test]
    fn it_is_made_once() {
        for text in ["น้ำ² ﬁ ｶﾞ", "e\u{301}\u{323}", "각\u{11a8}", "ﷺ"] {
            let once = normalize(text).into_owned();
            assert_eq!(normalize(&once), once);
        }
    }
}
