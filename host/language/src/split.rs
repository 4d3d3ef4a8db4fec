//! A text in its normal form to words of letters and digits, and to runs of scripts that put no space between words.
//! Not here: which words belong together (`compound`), and cutting the runs (`segment`).

use crate::fold::{CATEGORY, SCRIPT};
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters and digits between spaces or punctuation.
    Word,
    /// Korean: a noun and its particle in one word.
    Hangul,
    /// A run of Chinese, Japanese, Thai, Lao, Khmer or Burmese.
    Run(Family),
    Emoji,
}

/// Runs of the two are cut apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Han and Kana: a character has a meaning of its own.
    EastAsian,
    /// Thai, Lao, Khmer, Burmese: a character is a sound.
    SoutheastAsian,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
    /// What stands between the token before and this one.
    pub gap: &'t str,
    /// The + or # of `C++` and `F#`.
    pub symbols: &'t str,
}

/// The tokens of a text that `normalize` gave.
pub(crate) fn split(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let (begin, kind) = rest.char_indices().find_map(|(begin, c)| Some((begin, kind(c)?)))?;
        let body = rest.get(begin..)?;
        let length = length(body, kind);
        let (token, after) = body.split_at_checked(length)?;
        at = at.saturating_add(begin).saturating_add(length);
        Some(Token {
            kind,
            text: token,
            gap: rest.get(..begin)?,
            symbols: match kind {
                Kind::Word => symbols(after),
                Kind::Hangul | Kind::Run(_) | Kind::Emoji => "",
            },
        })
    })
}

/// Bytes of the token that the text begins with.
fn length(text: &str, begun: Kind) -> usize {
    text.char_indices()
        .skip(1)
        .find(|(_, c)| !is_mark(*c) && (begun == Kind::Emoji || kind(*c) != Some(begun)))
        .map_or(text.len(), |(at, _)| at)
}

/// What a token is that begins with this character; `None` if none does.
fn kind(c: char) -> Option<Kind> {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric().then_some(Kind::Word);
    }
    let category = CATEGORY.get(c);
    // Han has numbers among its characters.
    if GeneralCategoryGroup::Letter.contains(category) || GeneralCategoryGroup::Number.contains(category) {
        return match SCRIPT.get(c) {
            Script::Han | Script::Hiragana | Script::Katakana | Script::Bopomofo => Some(Kind::Run(Family::EastAsian)),
            Script::Thai | Script::Lao | Script::Khmer | Script::Myanmar
                if GeneralCategoryGroup::Letter.contains(category) =>
            {
                Some(Kind::Run(Family::SoutheastAsian))
            }
            Script::Hangul => Some(Kind::Hangul),
            // The long vowel of Kana is common to two scripts.
            _ if c == 'ー' => Some(Kind::Run(Family::EastAsian)),
            // An apostrophe by another name.
            _ if c == '\u{2bc}' => None,
            _ => Some(Kind::Word),
        };
    }
    (category == GeneralCategory::OtherSymbol && is_pictograph(c)).then_some(Kind::Emoji)
}

/// What belongs to the character before it.
pub(crate) fn is_mark(c: char) -> bool {
    !c.is_ascii() && GeneralCategoryGroup::Mark.contains(CATEGORY.get(c))
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}')
}

/// At most two, and only before what ends a word: not in `a+b` or `c#7`.
fn symbols(after: &str) -> &str {
    let rest = after.trim_start_matches(['+', '#']);
    let symbols = after.strip_suffix(rest).unwrap_or_default();
    if symbols.len() <= 2 && rest.chars().next().is_none_or(|c| kind(c).is_none()) {
        symbols
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::normalize;

    fn parts(text: &str) -> String {
        let parts: Vec<String> = split(&normalize(text))
            .map(|token| token.text.to_owned() + token.symbols)
            .collect();
        parts.join("|")
    }

    #[test]
    fn words_end_where_the_script_or_the_letters_do() {
        for (text, expected) in [
            ("a lamp, five euros", "a|lamp|five|euros"),
            ("l'homme don't", "l|homme|don|t"),
            ("user_id self-made", "user|id|self|made"),
            ("1,234.56", "1|234|56"),
            ("mp3 H₂O iPhone15", "mp3|H2O|iPhone15"),
            ("C++ C# a+b c#7 100+ +++", "C++|C#|a|b|c|7|100+"),
            ("東京2024年Tower", "東京|2024|年|Tower"),
            ("API를 2024년", "API|를|2024|년"),
            ("サーバーとコンピューター", "サーバーとコンピューター"),
            ("ห้องสมุด ok", "ห้องสมุด|ok"),
            ("ปี๒๕๖๗", "ปี|๒๕๖๗"),
            ("किताबें और", "किताबें|और"),
            ("🏠🏡 home", "🏠|🏡|home"),
            ("👩🏽\u{200d}🚀", "👩|🚀"),
            ("© → ½", "1|2"),
            ("\u{301}a\u{323}", "ạ"),
            ("ไทย\u{200b}ລາວ中文", "ไทย|ລາວ|中文"),
            ("", ""),
        ] {
            assert_eq!(parts(text), normalize(expected), "{text}");
        }
    }

    #[test]
    fn tokens_and_gaps_are_the_text() {
        let text = normalize("a-b 東京 c++ 🏠 한국어 (d)");
        let mut whole: String = split(&text).flat_map(|token| [token.gap, token.text]).collect();
        whole.push(')');
        assert_eq!(whole, text);
    }
}
