//! Cuts a stream at a stop sequence. Upstream ends the generation there but has streamed the sequence's beginning by then.
//! Not here: ending the generation.

/// Holds back what could still become a stop sequence.
#[derive(Debug)]
pub(crate) struct StopTrimmer {
    stops: Vec<String>,
    held: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub text: String,
    /// The stop sequence that was met; nothing after it counts.
    pub stop: Option<String>,
}

impl StopTrimmer {
    pub fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            held: String::new(),
        }
    }

    pub fn push(&mut self, piece: &str) -> Trimmed {
        self.held.push_str(piece);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = found.min_by_key(|(at, _)| *at) {
            self.held.truncate(at);
            return Trimmed {
                text: std::mem::take(&mut self.held),
                stop: Some(stop.clone()),
            };
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let tail = self.held.split_off(self.held.len() - keep);
        Trimmed {
            text: std::mem::replace(&mut self.held, tail),
            stop: None,
        }
    }

    /// What was held back in vain.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that begin `stop` without completing it.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(at, _)| at)
        .filter(|&at| stop.get(..at).is_some_and(|head| text.ends_with(head)))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_text_is_cut_at_the_same_place() {
        let text = "One é. Two STOP three";
        let stops = ["STOP".to_owned(), "STAR".to_owned()];
        for first in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
            for second in (first..=text.len()).filter(|&i| text.is_char_boundary(i)) {
                let mut trimmer = StopTrimmer::new(&stops);
                let mut out = String::new();
                let mut stop = None;
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    if stop.is_none() {
                        let trimmed = trimmer.push(piece);
                        out += &trimmed.text;
                        stop = trimmed.stop;
                    }
                }
                assert_eq!((out.as_str(), stop.as_deref()), ("One é. Two ", Some("STOP")));
            }
        }
    }

    #[test]
    fn what_only_looked_like_a_stop_comes_out() {
        let mut trimmer = StopTrimmer::new(&["aab".to_owned()]);
        assert_eq!(trimmer.push("xa").text, "x");
        assert_eq!(trimmer.push("a").text, "");
        assert_eq!(trimmer.push("a").text, "a");
        assert_eq!(trimmer.finish(), "aa");
    }

    #[test]
    fn the_earliest_of_several_stops_counts() {
        let mut trimmer = StopTrimmer::new(&["yz".to_owned(), "x".to_owned()]);
        assert_eq!(
            trimmer.push("axbyz"),
            Trimmed {
                text: "a".into(),
                stop: Some("x".into())
            }
        );
    }
}
