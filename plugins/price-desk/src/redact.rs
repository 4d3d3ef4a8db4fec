//! Takes e-mail addresses out of a text that comes in pieces. Works character by character, so that where a piece ends
//! changes nothing; holds back only what could still become an address, at most as long as an address may be.
//! Knows addresses in Latin, Greek and Cyrillic letters. Not here: quoted local parts, and addresses that are written to be
//! read by people only ("name at example dot org").

/// What stands in place of an address.
pub const REDACTED: &str = "[redacted e-mail]";
/// Characters that an address has at most (RFC 5321).
const ADDRESS_CHARACTERS: usize = 254;

#[derive(Debug, Default)]
pub struct Redactor {
    /// The characters since the last one that no address has.
    held: Vec<char>,
    /// An address longer than any was found: the rest of it is dropped.
    swallowing: bool,
}

impl Redactor {
    /// A piece in, what is decided out.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for character in piece.chars() {
            self.take(character, &mut out);
        }
        out
    }

    /// The text has ended.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        self.end_run(&mut out);
        out
    }

    fn take(&mut self, character: char, out: &mut String) {
        if !(is_local(character) || character == '@') {
            self.end_run(out);
            out.push(character);
            return;
        }
        if self.swallowing {
            return;
        }
        self.held.push(character);
        if self.held.len() > ADDRESS_CHARACTERS {
            if find_address(&self.held).is_some() {
                redact(&self.held, out);
                self.held.clear();
                self.swallowing = true;
            } else if let Some(oldest) = (!self.held.is_empty()).then(|| self.held.remove(0)) {
                out.push(oldest);
            }
        }
    }

    fn end_run(&mut self, out: &mut String) {
        redact(&self.held, out);
        self.held.clear();
        self.swallowing = false;
    }
}

fn is_letter(character: char) -> bool {
    character.is_alphabetic() && u32::from(character) < 0x0590
}

/// Characters of the part before the `@`; those of a domain are among them.
fn is_local(character: char) -> bool {
    is_letter(character) || character.is_ascii_digit() || "._%+-'!#$&*/=?^{|}~".contains(character)
}

fn is_domain(character: char) -> bool {
    is_letter(character) || character.is_ascii_digit() || matches!(character, '.' | '-')
}

/// Writes a run with a mark in place of each address in it.
fn redact(mut run: &[char], out: &mut String) {
    while let Some((start, end)) = find_address(run) {
        out.extend(run.iter().take(start));
        out.push_str(REDACTED);
        run = run.get(end..).unwrap_or_default();
    }
    out.extend(run);
}

/// Where the first address begins and ends.
fn find_address(run: &[char]) -> Option<(usize, usize)> {
    let mut from = 0;
    for at in run
        .iter()
        .enumerate()
        .filter(|(_, character)| **character == '@')
        .map(|(index, _)| index)
    {
        let local = run.get(from..at).unwrap_or_default();
        let start = from
            + local
                .iter()
                .take_while(|character| !is_letter(**character) && !character.is_ascii_digit())
                .count();
        let after = run.get(at + 1..).unwrap_or_default();
        let length = domain_length(after);
        if start < at && length > 0 {
            return Some((start, at + 1 + length));
        }
        from = at + 1;
    }
    None
}

/// How long the domain is that a text begins with, 0 if none: labels with dots between them, the last of two letters or more.
fn domain_length(text: &[char]) -> usize {
    let mut length = text.iter().take_while(|character| is_domain(**character)).count();
    // A full stop or dash at the end belongs to the sentence.
    while length > 0 && text.get(length - 1).is_some_and(|last| matches!(last, '.' | '-')) {
        length -= 1;
    }
    let domain: String = text.iter().take(length).collect();
    let labels: Vec<&str> = domain.split('.').collect();
    let top_level = labels
        .last()
        .is_some_and(|label| label.chars().count() >= 2 && label.chars().any(is_letter));
    if labels.len() >= 2 && top_level && labels.iter().all(|label| !label.is_empty()) {
        length
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(pieces: &[&str]) -> String {
        let mut redactor = Redactor::default();
        let mut out: String = pieces.iter().map(|piece| redactor.push(piece)).collect();
        out.push_str(&redactor.finish());
        out
    }

    fn texts() -> Vec<(String, String)> {
        [
            ("Write to bob@example.com.", "Write to [redacted e-mail]."),
            (
                "<Bob.Smith+x@mail.example.co.uk>, or call",
                "<[redacted e-mail]>, or call",
            ),
            (
                "'anna@exämple.de' (jürgen@example.org)",
                "'[redacted e-mail]' ([redacted e-mail])",
            ),
            (
                "mailto:a@b.io;c_d@e-f.org",
                "mailto:[redacted e-mail];[redacted e-mail]",
            ),
            (
                "a@b@c.de and a@b.com@c.de",
                "a@[redacted e-mail] and [redacted e-mail]@c.de",
            ),
            (
                "not one: a@b, @home, x@.com, 5@3.5, me@host. End",
                "not one: a@b, @home, x@.com, 5@3.5, me@host. End",
            ),
            ("价格bob@example.com谢谢", "价格[redacted e-mail]谢谢"),
            ("a.b.c. No address... at all!", "a.b.c. No address... at all!"),
            (
                "{\"answer\": \"info@acme.example\", \"source\": 1}",
                "{\"answer\": \"[redacted e-mail]\", \"source\": 1}",
            ),
            ("", ""),
        ]
        .map(|(text, expected)| (text.to_string(), expected.to_string()))
        .to_vec()
    }

    #[test]
    fn addresses_are_redacted_and_nothing_else() {
        for (text, expected) in texts() {
            assert_eq!(redacted(&[&text]), expected);
        }
    }

    #[test]
    fn where_pieces_end_changes_nothing() {
        for (text, expected) in texts() {
            let ends: Vec<usize> = text
                .char_indices()
                .map(|(index, _)| index)
                .chain([text.len()])
                .collect();
            for &first in &ends {
                for &second in ends.iter().filter(|second| **second >= first) {
                    assert_eq!(
                        redacted(&[&text[..first], &text[first..second], &text[second..]]),
                        expected
                    );
                }
            }
            let single: Vec<String> = text.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            assert_eq!(redacted(&single), expected);
        }
    }

    #[test]
    fn no_part_of_an_address_goes_out_before_it_is_decided() {
        let mut redactor = Redactor::default();
        assert_eq!(redactor.push("Write to bob@exam"), "Write to ");
        assert_eq!(redactor.push("ple.com"), "");
        assert_eq!(redactor.push(" now"), "[redacted e-mail] ");
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut redactor = Redactor::default();
        let text = "x".repeat(10_000);
        let out = redactor.push(&text);
        assert_eq!(out.len(), 10_000 - ADDRESS_CHARACTERS);
        assert_eq!(out.len() + redactor.finish().len(), 10_000);
    }

    #[test]
    fn an_address_after_a_long_run_is_redacted_in_every_split() {
        let text = format!("{}@example.com and a@{}.example.org.", "x".repeat(300), "y".repeat(400));
        let whole = redacted(&[&text]);
        assert!(!whole.contains("@example.com"), "{whole}");
        for end in 0..=text.len() {
            assert_eq!(redacted(&[&text[..end], &text[end..]]), whole);
        }
    }

    #[test]
    fn an_endless_domain_is_swallowed() {
        let text = format!("a@b.com.{} end", "z".repeat(2_000));
        assert_eq!(redacted(&[&text]), "[redacted e-mail] end");
    }
}
