//! Reads ZIP archives: the central directory, stored and deflated files. Sizes that an archive declares are not believed. Not here: ZIP64,
//! which files below 4 GiB do not need.

use crate::{
    limits,
    output::{Result, malformed, too_large},
};
use riad_sdk::ExtractionError;
use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, Read},
};

/// The end record with the longest comment that it may have.
const END_BYTES: usize = 22 + 65_535;
/// What the reader's error says when the budget is spent.
const OVER_BUDGET: &str = "unpacked size over the limit";

pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: HashMap<String, Entry>,
    /// Unpacked bytes that all parts together may still have.
    budget: Cell<u64>,
}

#[derive(Clone, Copy)]
struct Entry {
    offset: usize,
    packed: usize,
    method: usize,
    is_encrypted: bool,
}

impl<'a> Archive<'a> {
    /// # Errors
    /// `Malformed`, `TooLarge`: too many files.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let tail_at = bytes.len().saturating_sub(END_BYTES);
        let tail = bytes.get(tail_at..).unwrap_or_default();
        let end = tail
            .windows(4)
            .rposition(|window| window == b"PK\x05\x06")
            .ok_or_else(cut_off)?;
        let mut at = number::<4>(bytes, tail_at + end + 16)?;
        let mut entries = HashMap::new();
        while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")) {
            if entries.len() >= limits::ARCHIVE_ENTRIES {
                return Err(too_large(format!(
                    "the archive has more than {} files",
                    limits::ARCHIVE_ENTRIES
                )));
            }
            let [flags, method] = [8, 10].map(|field| number::<2>(bytes, at + field));
            let [name, extra, comment] = [28, 30, 32].map(|field| number::<2>(bytes, at + field));
            let (name, entry) = (
                name?,
                Entry {
                    offset: number::<4>(bytes, at + 42)?,
                    packed: number::<4>(bytes, at + 20)?,
                    method: method?,
                    is_encrypted: flags? & 1 != 0,
                },
            );
            let named = bytes.get(at + 46..at + 46 + name).ok_or_else(cut_off)?;
            entries.insert(String::from_utf8_lossy(named).replace('\\', "/"), entry);
            at += 46 + name + extra? + comment?;
        }
        Ok(Self {
            bytes,
            entries,
            budget: Cell::new(limits::UNPACKED_BYTES),
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A part, unpacked as it is read.
    ///
    /// # Errors
    /// `Malformed`: there is none of this name, or it is cut off; `Encrypted`.
    pub fn read(&self, name: &str) -> Result<Part<'_>> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| malformed(format!("the archive has no {name}")))?;
        if entry.is_encrypted {
            return Err(ExtractionError::Encrypted);
        }
        if !self
            .bytes
            .get(entry.offset..)
            .is_some_and(|rest| rest.starts_with(b"PK\x03\x04"))
        {
            return Err(cut_off());
        }
        let [name_length, extra] = [26, 28].map(|field| number::<2>(self.bytes, entry.offset + field));
        let start = entry.offset + 30 + name_length? + extra?;
        let packed = start
            .checked_add(entry.packed)
            .and_then(|end| self.bytes.get(start..end))
            .ok_or_else(cut_off)?;
        let source = match entry.method {
            0 => Source::Stored(packed),
            8 => Source::Deflated(Box::new(flate2::bufread::DeflateDecoder::new(packed))),
            _ => {
                return Err(malformed(format!(
                    "the archive packs {name} in a way that is not known"
                )));
            }
        };
        Ok(Part {
            source,
            budget: &self.budget,
        })
    }
}

/// The bytes of one part. What is read counts against the archive's budget.
pub struct Part<'a> {
    source: Source<'a>,
    budget: &'a Cell<u64>,
}

enum Source<'a> {
    Stored(&'a [u8]),
    Deflated(Box<flate2::bufread::DeflateDecoder<&'a [u8]>>),
}

impl Part<'_> {
    /// At most so many bytes.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`.
    pub fn take_bytes(self, most: u64, into: &mut Vec<u8>) -> Result<()> {
        self.take(most).read_to_end(into).map_err(|error| read_error(&error))?;
        Ok(())
    }

    /// # Errors
    /// `Malformed`, `TooLarge`: more than `most` bytes.
    pub fn all_bytes(self, most: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take_bytes(most as u64 + 1, &mut bytes)?;
        if bytes.len() > most {
            return Err(too_large(format!("a part of the archive has more than {most} bytes")));
        }
        Ok(bytes)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.source {
            Source::Stored(bytes) => bytes.read(buffer)?,
            Source::Deflated(decoder) => decoder.read(buffer)?,
        };
        let left = self.budget.get().checked_sub(count as u64);
        self.budget.set(left.ok_or_else(|| io::Error::other(OVER_BUDGET))?);
        Ok(count)
    }
}

/// A part's error as the file's.
pub fn read_error(error: &io::Error) -> ExtractionError {
    if error.to_string().contains(OVER_BUDGET) {
        too_large(format!(
            "the archive's files have more than {} bytes unpacked",
            limits::UNPACKED_BYTES
        ))
    } else {
        cut_off()
    }
}

fn cut_off() -> ExtractionError {
    malformed("the archive is cut off or damaged")
}

fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> Result<usize> {
    let field = at
        .checked_add(BYTES)
        .and_then(|end| bytes.get(at..end))
        .ok_or_else(cut_off)?;
    Ok(field
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
