//! Slots that follow each other, as people and the map write them.

use riad_core::{Error, Result, slot::Slot};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// As in `0-5460`, or `7` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotRange {
    first: Slot,
    last: Slot,
}

impl SlotRange {
    /// `None` if the last one comes before the first.
    #[must_use]
    pub fn new(first: Slot, last: Slot) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    #[must_use]
    pub fn first(self) -> Slot {
        self.first
    }

    #[must_use]
    pub fn last(self) -> Slot {
        self.last
    }

    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.first <= slot && slot <= self.last
    }
}

impl FromStr for SlotRange {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(first.parse()?, last.parse()?)
            .ok_or_else(|| Error::invalid(format!("`{text}` is no range of slots: write the smaller one first")))
    }
}

impl TryFrom<String> for SlotRange {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SlotRange> for String {
    fn from(range: SlotRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_parses_what_it_prints() {
        for text in ["0-16383", "7", "12-13"] {
            assert_eq!(text.parse::<SlotRange>().unwrap().to_string(), text);
        }
        assert_eq!("7-7".parse::<SlotRange>().unwrap().to_string(), "7");
        for text in ["", "-", "5-", "-5", "6-5", "0-16384", "1-2-3", "a"] {
            assert!(text.parse::<SlotRange>().is_err(), "{text}");
        }
    }
}
