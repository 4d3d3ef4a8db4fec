//! Bytes of tokens to pieces of text: a character whose bytes come with several tokens is held back until it is whole.
//! Not here: which bytes a token stands for (the tokenizer).

#[derive(Debug, Default)]
pub(crate) struct TextDecoder {
    pending: Vec<u8>,
}

impl TextDecoder {
    /// The text that is complete with these bytes. Bytes that no text can begin with become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        let incomplete = loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    break Vec::new();
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    match error.error_len() {
                        None => break after.to_vec(),
                        Some(bad) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            rest = after.get(bad..).unwrap_or_default();
                        }
                    }
                }
            }
        };
        self.pending = incomplete;
        text
    }

    /// Whether a character has begun that is not complete.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Leaves out the beginning of a character that does not come.
    pub fn discard_pending(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_the_bytes_gives_the_same_text() {
        let text = "aé€😀z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut decoder = TextDecoder::default();
                let bytes = text.as_bytes();
                let mut out = decoder.push(&bytes[..first]);
                out += &decoder.push(&bytes[first..second]);
                out += &decoder.push(&bytes[second..]);
                assert_eq!(out, text);
                assert!(!decoder.is_pending());
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_the_rest_is_kept() {
        let mut decoder = TextDecoder::default();
        assert_eq!(decoder.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(decoder.push(b"z"), "\u{fffd}z");
        assert_eq!(decoder.push(b"\xf0\x9f"), "");
        decoder.discard_pending();
        assert_eq!(decoder.push(b"a"), "a");
    }
}
