//! Server-sent events, as far as completions use them: `data:` lines. Source: the HTML standard, section 9.2.

/// Of one event: a token with the twenty likeliest at its place has a few kilobytes.
const LINE_BYTES: usize = 1 << 20;
/// Of a token's number: the first event may repeat the prompt.
const NUMBER_BYTES: usize = 16;

pub(super) struct Events {
    line: Vec<u8>,
    most: usize,
}

impl Events {
    pub fn new(prompt_tokens: u32) -> Self {
        Self {
            line: Vec::new(),
            most: LINE_BYTES.saturating_add(NUMBER_BYTES.saturating_mul(prompt_tokens as usize)),
        }
    }

    /// The data of the events that are complete with these bytes. `None` if one is longer than any that is sent.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Vec<String>> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > self.most {
                return None;
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                if let Some(data) = line.strip_prefix("data:") {
                    found.push(data.trim().to_owned());
                }
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_the_bytes_gives_the_same_events() {
        let bytes = b": comment\r\ndata: {\"a\": \"\xc3\xa9\"}\r\n\r\nevent: x\ndata:[DONE]\n\n";
        for at in 0..=bytes.len() {
            let mut events = Events::new(0);
            let mut found = events.push(&bytes[..at]).unwrap();
            found.extend(events.push(&bytes[at..]).unwrap());
            assert_eq!(found, ["{\"a\": \"é\"}", "[DONE]"]);
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept_forever() {
        let mut events = Events::new(0);
        let piece = vec![b'x'; LINE_BYTES];
        assert!(events.push(&piece).is_some());
        assert!(events.push(b"x").is_none());
    }
}
