//! What writing systems need: the order of right-to-left text, ligatures, accents that are glyphs of their own.

/// The text of a glyph as it is read; `None` if it has no meaning outside of its font. Empty for what is not seen.
pub fn readable(text: &str) -> Option<String> {
    let mut readable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{FB00}' => readable.push_str("ff"),
            '\u{FB01}' => readable.push_str("fi"),
            '\u{FB02}' => readable.push_str("fl"),
            '\u{FB03}' => readable.push_str("ffi"),
            '\u{FB04}' => readable.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => readable.push_str("st"),
            // Bullets of symbol fonts.
            '\u{F0B7}' | '\u{F0A7}' | '\u{F076}' => readable.push('•'),
            '\u{AD}' => readable.push('-'),
            '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{3000}' => readable.push(' '),
            '\u{200B}'..='\u{200F}' | '\u{FEFF}' => {}
            '\u{FFFD}' | '\u{E000}'..='\u{F8FF}' => return None,
            control if control.is_control() => {}
            other => readable.push(other),
        }
    }
    Some(readable)
}

pub fn is_right_to_left(text: &str) -> bool {
    text.chars()
        .any(|character| matches!(character, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}'))
}

/// Scripts without spaces between words.
pub fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{3001}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FF60}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Brings marks into the order of reading if most of them are right-to-left, and returns whether they are. Programs store such text in
/// either order; numbers and Latin words in it keep their own.
pub fn order<T>(marks: &mut [T], text: impl Fn(&T) -> &str, start: impl Fn(&T) -> f64) -> bool {
    let right = marks.iter().filter(|mark| is_right_to_left(text(mark))).count();
    let letters = marks
        .iter()
        .filter(|mark| text(mark).chars().any(char::is_alphabetic))
        .count();
    if right == 0 || right * 2 <= letters {
        return false;
    }
    marks.sort_by(|a, b| start(b).total_cmp(&start(a)));
    let is_left_to_right = |mark: &T| text(mark).chars().any(|character| character.is_ascii_alphanumeric());
    for run in marks.chunk_by_mut(|a, b| is_left_to_right(a) == is_left_to_right(b)) {
        if run.first().is_some_and(is_left_to_right) {
            run.reverse();
        }
    }
    true
}

/// Letters with an accent, by the accent that TeX draws before them.
const ACCENTED: [(char, &str, &str); 8] = [
    ('´', "aeiouycnszAEIOUYCNSZ", "áéíóúýćńśźÁÉÍÓÚÝĆŃŚŹ"),
    ('`', "aeiouAEIOU", "àèìòùÀÈÌÒÙ"),
    ('¨', "aeiouyAEIOU", "äëïöüÿÄËÏÖÜ"),
    ('\u{2C6}', "aeioucgsAEIOU", "âêîôûĉĝŝÂÊÎÔÛ"),
    ('\u{2DC}', "anoANO", "ãñõÃÑÕ"),
    ('\u{2C7}', "cdenrstzCDENRSTZ", "čďěňřšťžČĎĚŇŘŠŤŽ"),
    ('\u{2DA}', "auAU", "åůÅŮ"),
    ('\u{B8}', "csCS", "çşÇŞ"),
];

/// Joins accents with their letters, takes spaces between ideographs out, and shortens leaders.
pub fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        if let Some(letter) = next.and_then(|next| accented(character, next)) {
            characters.next();
            tidy.push(letter);
        } else if character == ' ' && tidy.ends_with(is_unspaced) && next.is_some_and(is_unspaced) {
        } else if character == '.' && next.is_some_and(|next| next == '.' || next == ' ') {
            let mut dots = String::from('.');
            while let Some(more) = characters.next_if(|next| matches!(next, '.' | ' ')) {
                dots.push(more);
            }
            if dots.bytes().filter(|byte| *byte == b'.').count() > 4 {
                tidy.truncate(tidy.trim_end().len());
                tidy.push_str(" … ");
            } else {
                tidy.push_str(&dots);
            }
        } else {
            tidy.push(character);
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

fn accented(accent: char, letter: char) -> Option<char> {
    let (_, letters, accented) = ACCENTED.iter().find(|(known, _, _)| *known == accent)?;
    let letter = if letter == 'ı' { 'i' } else { letter };
    letters
        .chars()
        .zip(accented.chars())
        .find(|(plain, _)| *plain == letter)
        .map(|(_, accented)| accented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_join_their_letters() {
        assert_eq!(
            tidy("Erd˝os, G¨odel and Poincar´e; na¨ıve"),
            "Erd˝os, Gödel and Poincaré; naïve"
        );
    }

    #[test]
    fn ideographs_have_no_spaces_between_them() {
        assert_eq!(tidy("日本 語 and 漢 字"), "日本語 and 漢字");
    }

    #[test]
    fn leaders_are_short() {
        assert_eq!(tidy("Fees . . . . . . . . 12"), "Fees … 12");
        assert_eq!(tidy("wait... what. Yes."), "wait... what. Yes.");
    }

    #[test]
    fn right_to_left_text_is_read_from_the_right() {
        let mut marks: Vec<(&str, f64)> = vec![("א", 30.0), ("ב", 20.0), ("1", 5.0), ("2", 10.0), ("ג", 0.0)];
        assert!(order(&mut marks, |mark| mark.0, |mark| mark.1));
        let read: String = marks.iter().map(|mark| mark.0).collect();
        assert_eq!(read, "אב12ג");
        let mut latin = vec![("b", 1.0), ("a", 0.0)];
        assert!(!order(&mut latin, |mark| mark.0, |mark| mark.1));
    }

    #[test]
    fn glyphs_of_private_meaning_are_unknown() {
        assert_eq!(readable("\u{FB03}").as_deref(), Some("ffi"));
        assert_eq!(readable("\u{E001}"), None);
    }
}
