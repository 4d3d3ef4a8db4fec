//! Words of runs without spaces, by ICU's dictionaries of Chinese and Japanese, Thai, Lao, Khmer and Burmese. Not its LSTM models: they
//! cut Thai at 0.1 MB/s, the dictionary at 6.

use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed, options::WordBreakInvariantOptions};
use std::sync::LazyLock;

/// The data is in the binary; this refers to it.
static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// Bytes that ICU gets at once, so that neither its memory nor its time depends on how long a run is.
const WINDOW: usize = 4 << 10;

/// Calls `word` with the words of a run, in order; together they are the run.
pub(crate) fn segment<'t>(run: &'t str, mut word: impl FnMut(&'t str)) {
    let mut rest = run;
    while rest.len() > WINDOW {
        let window = rest.get(..rest.floor_char_boundary(WINDOW)).unwrap_or(rest);
        // The last word of a window may be cut short: the next window begins with it.
        let whole = cut(window, true, &mut word);
        rest = rest.get(whole..).unwrap_or_default();
    }
    cut(rest, false, &mut word);
}

/// Returns where the words end for which `word` was called.
fn cut<'t>(text: &'t str, leave_last: bool, word: &mut impl FnMut(&'t str)) -> usize {
    #[cfg(test)]
    tests::WORK.set(tests::WORK.get() + text.len());
    let mut begin = 0;
    for end in SEGMENTER.segment_str(text) {
        if end == 0 || (leave_last && end == text.len() && begin > 0) {
            continue;
        }
        if let Some(part) = text.get(begin..end) {
            word(part);
        }
        begin = end;
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// Bytes that ICU was given.
        pub(super) static WORK: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn icu_reads_little_twice_and_nothing_long_at_once() {
        for sample in [
            "图",
            "学生可以免费借书",
            "日曜日も開いています",
            "サ",
            "นักเรียน",
            "ក",
            "က\u{103b}",
            "ກ\u{ec8}",
        ] {
            let run = sample.repeat((1 << 20) / sample.len());
            WORK.set(0);
            let mut length = 0;
            segment(&run, |word| length += word.len());
            assert_eq!(length, run.len());
            assert!(WORK.get() < run.len() + run.len() / 4, "{sample}: {}", WORK.get());
        }
    }

    fn words(run: &str) -> Vec<&str> {
        let mut words = Vec::new();
        segment(run, |word| words.push(word));
        words
    }

    #[test]
    fn dictionaries_know_their_languages() {
        for (run, expected) in [
            ("学生可以免费借书", "学生|可以|免费|借书"),
            ("日曜日も開いています", "日曜日|も|開|い|てい|ます"),
            ("นักเรียนสามารถยืมหนังสือ", "นักเรียน|สามารถ|ยืม|หนังสือ"),
            ("បណ្ណាល័យរបស់យើង", "បណ្ណាល័យ|របស់|យើង"),
            ("ຫໍສະໝຸດຂອງ", "ຫໍສະໝຸດ|ຂອງ"),
            ("စာကြည့်တိုက်သည်", "စာကြည့်တိုက်|သည်"),
            ("", ""),
        ] {
            assert_eq!(words(run).join("|"), expected);
        }
    }

    #[test]
    fn windows_change_no_word() {
        for sentence in [
            "学生可以免费借书",
            "日曜日も開いています",
            "นักเรียนสามารถยืมหนังสือ",
            "បណ្ណាល័យរបស់យើង",
            "စာကြည့်တိုက်သည်",
        ] {
            let alone = words(sentence);
            let times = 3 * WINDOW / sentence.len();
            let long = sentence.repeat(times);
            let expected: Vec<&str> = SEGMENTER
                .segment_str(&long)
                .collect::<Vec<_>>()
                .windows(2)
                .map(|ends| &long[ends[0]..ends[1]])
                .collect();
            assert_eq!(words(&long), expected, "{sentence}");
            assert!(words(&long).len() >= times * (alone.len() - 1));
        }
        // One word that is longer than a window.
        let marks = format!("ก{}", "\u{e48}".repeat(2 * WINDOW));
        assert_eq!(words(&marks).concat(), marks);
    }
}
