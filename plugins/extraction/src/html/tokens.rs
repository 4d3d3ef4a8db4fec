//! HTML as a list of tags and texts: linear in any input, because nothing is looked at twice. Not here: which elements contain which.

use std::borrow::Cow;

/// Attributes that are kept; of others there may be thousands.
const KEPT: [&str; 14] = [
    "alt",
    "aria-hidden",
    "charset",
    "colspan",
    "content",
    "datetime",
    "hidden",
    "http-equiv",
    "lang",
    "name",
    "property",
    "role",
    "style",
    "type",
];
/// Bytes of a character's name.
const LONGEST_ENTITY: usize = 32;

pub enum Token<'a> {
    Text(Cow<'a, str>),
    Start(Tag),
    End(String),
}

pub struct Tag {
    /// In lower case.
    pub name: String,
    pub is_closed: bool,
    attributes: Vec<(&'static str, String)>,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

pub struct Tokens<'a> {
    text: &'a str,
    /// The element whose content is text up to its end tag.
    raw: Option<String>,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, raw: None }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.text.split_at_checked(bytes).unwrap_or((self.text, ""));
        self.text = rest;
        taken
    }

    /// Drops what comes up to and with `end`, or everything.
    fn skip_past(&mut self, end: &str) {
        let at = self.text.find(end).map_or(self.text.len(), |at| at + end.len());
        self.take(at);
    }

    /// The content of a script, style, title or the like.
    fn raw_text(&mut self, name: &str) -> &'a str {
        let bytes = self.text.as_bytes();
        let is_end = |at: &usize| {
            let rest = bytes.get(at + 2..at + 2 + name.len());
            bytes.get(at + 1) == Some(&b'/') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(name.as_bytes()))
        };
        let end = memchr_all(bytes, b'<').find(is_end).unwrap_or(bytes.len());
        self.take(end)
    }

    fn tag(&mut self) -> Tag {
        let name_end = self
            .text
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
            .unwrap_or(self.text.len());
        let mut tag = Tag {
            name: self.take(name_end).to_ascii_lowercase(),
            is_closed: false,
            attributes: Vec::new(),
        };
        loop {
            let start = self.text.len()
                - self
                    .text
                    .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/')
                    .len();
            tag.is_closed = self.take(start).ends_with('/');
            if self.text.is_empty() || self.text.starts_with('>') {
                self.take(1);
                return tag;
            }
            // An `=` at the beginning belongs to the name.
            let name_end = self
                .text
                .char_indices()
                .skip(1)
                .find(|(_, c)| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '='));
            let name = self.take(name_end.map_or(self.text.len(), |(at, _)| at));
            let kept = KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(name)).copied();
            let value = self.attribute_value();
            if let Some(kept) = kept
                && tag.attribute(kept).is_none()
            {
                tag.attributes.push((kept, decode(value).into_owned()));
            }
        }
    }

    fn attribute_value(&mut self) -> &'a str {
        let after_space = self.text.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let Some(value) = after_space.strip_prefix('=') else {
            return "";
        };
        self.text = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
        for quote in ['"', '\''] {
            if self.text.starts_with(quote) {
                self.take(1);
                let end = self.text.find(quote).unwrap_or(self.text.len());
                let value = self.take(end);
                self.take(1);
                return value;
            }
        }
        let end = self
            .text
            .find(|c: char| c.is_ascii_whitespace() || c == '>')
            .unwrap_or(self.text.len());
        self.take(end)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            let text = self.raw_text(&name);
            if !text.is_empty() {
                let is_escapable = matches!(name.as_str(), "title" | "textarea");
                return Some(Token::Text(if is_escapable {
                    decode(text)
                } else {
                    Cow::Borrowed(text)
                }));
            }
        }
        loop {
            let bytes = self.text.as_bytes();
            match bytes {
                [] => return None,
                [b'<', b'!', b'-', b'-', ..] => {
                    self.take(4);
                    // `<!-->` is a whole comment.
                    if self.text.starts_with('>') || self.text.starts_with("->") {
                        self.skip_past(">");
                    } else {
                        self.skip_past("-->");
                    }
                }
                _ if self.text.starts_with("<![CDATA[") => {
                    self.take(9);
                    let end = self.text.find("]]>").unwrap_or(self.text.len());
                    let text = self.take(end);
                    self.take(3);
                    return Some(Token::Text(Cow::Borrowed(text)));
                }
                [b'<', b'!' | b'?', ..] => self.skip_past(">"),
                [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                    self.take(2);
                    return Some(Token::End(self.tag().name));
                }
                [b'<', b'/', ..] => self.skip_past(">"),
                [b'<', letter, ..] if letter.is_ascii_alphabetic() => {
                    self.take(1);
                    let tag = self.tag();
                    if matches!(
                        tag.name.as_str(),
                        "script" | "style" | "title" | "textarea" | "xmp" | "iframe" | "noembed" | "noframes"
                    ) && !tag.is_closed
                    {
                        self.raw = Some(tag.name.clone());
                    }
                    return Some(Token::Start(tag));
                }
                [_, rest @ ..] => {
                    // A `<` that begins no tag is text.
                    let end = rest
                        .iter()
                        .position(|byte| *byte == b'<')
                        .map_or(bytes.len(), |at| at + 1);
                    return Some(Token::Text(decode(self.take(end))));
                }
            }
        }
    }
}

fn memchr_all(bytes: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    bytes
        .iter()
        .enumerate()
        .filter(move |(_, byte)| **byte == wanted)
        .map(|(at, _)| at)
}

/// Resolves references to characters. What is none stays as it is written.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        decoded.push_str(before);
        rest = match reference(from) {
            Some((length, character)) => {
                decoded.push_str(&character);
                from.get(length..).unwrap_or_default()
            }
            None => {
                decoded.push('&');
                from.get(1..).unwrap_or_default()
            }
        };
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The length of a reference at the beginning, and what it stands for.
fn reference(text: &str) -> Option<(usize, Cow<'static, str>)> {
    let name = text.strip_prefix('&')?;
    let end = name
        .bytes()
        .take(LONGEST_ENTITY)
        .position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'#'))
        .unwrap_or(name.len().min(LONGEST_ENTITY));
    let has_end = name.as_bytes().get(end) == Some(&b';');
    let name = name.get(..end)?;
    let length = 1 + end + usize::from(has_end);
    if let Some(digits) = name.strip_prefix('#') {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        return Some((length, Cow::Owned(character(code).to_string())));
    }
    if !has_end && !matches!(name, "amp" | "lt" | "gt" | "quot" | "nbsp" | "copy" | "reg") {
        return None;
    }
    Some((length, Cow::Borrowed(quick_xml::escape::resolve_html5_entity(name)?)))
}

/// Numbers from 128 to 159 are read as windows-1252, as browsers do.
fn character(code: u32) -> char {
    if let Some(byte) = u8::try_from(code).ok().filter(|byte| (0x80..0xA0).contains(byte)) {
        let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&byte));
        return text.chars().next().unwrap_or('\u{fffd}');
    }
    char::from_u32(code)
        .filter(|character| *character != '\0')
        .unwrap_or('\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        Tokens::new(html)
            .map(|token| match token {
                Token::Text(text) => format!("[{text}]"),
                Token::Start(tag) => {
                    let attributes: String = tag
                        .attributes
                        .iter()
                        .map(|(name, value)| format!(" {name}={value}"))
                        .collect();
                    format!("<{}{attributes}{}>", tag.name, if tag.is_closed { "/" } else { "" })
                }
                Token::End(name) => format!("</{name}>"),
            })
            .collect()
    }

    #[test]
    fn tags_and_texts_are_told_apart() {
        assert_eq!(
            shown("a<P Alt='x y' data-z=1 hidden>b</P >c<br/>"),
            "[a]<p alt=x y hidden=>[b]</p>[c]<br/>"
        );
        assert_eq!(shown("1 < 2 <3<b>x"), "[1 ][< 2 ][<3]<b>[x]");
        assert_eq!(shown("<!doctype html><!-- <p> -->x<!-->y<?php z ?>"), "[x][y]");
        assert_eq!(shown("<a alt=\"x>y\" lang=de>"), "<a alt=x>y lang=de>");
        assert_eq!(shown("<a alt='unclosed"), "<a alt=unclosed>");
    }

    #[test]
    fn scripts_and_titles_are_text_up_to_their_end() {
        assert_eq!(
            shown("<script>if (a<b) '</p>'</SCRIPT>x"),
            "<script>[if (a<b) '</p>']</script>[x]"
        );
        assert_eq!(shown("<title>A &amp; <b></title>"), "<title>[A & <b>]</title>");
    }

    #[test]
    fn characters_are_decoded() {
        assert_eq!(
            decode("&lt;&eacute;&#8364;&#x20AC;&#128;&nbsp;&amp &unknown; &#0; &#xD800; & a&b"),
            "<\u{e9}\u{20ac}\u{20ac}\u{20ac}\u{a0}& &unknown; \u{fffd} \u{fffd} & a&b"
        );
    }
}
