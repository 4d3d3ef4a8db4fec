//! The part of a file that a request asks for (RFC 9110, section 14). Not here: sending it.

use axum::http::{HeaderMap, header};
use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selected {
    Whole,
    Part(Range<u64>),
    /// The file has none of what is asked for.
    Nothing,
}

/// What is to be sent of a file of so many bytes. Anything but one range of bytes is answered with the whole file, as if nothing had been
/// asked for; so is a range that depends on a version of the file, because its answers name none.
pub(super) fn select(headers: &HeaderMap, bytes: u64) -> Selected {
    let mut given = headers.get_all(header::RANGE).iter();
    let (Some(range), None, false) = (given.next(), given.next(), headers.contains_key(header::IF_RANGE)) else {
        return Selected::Whole;
    };
    let range = range.to_str().ok().and_then(|range| range.split_once('='));
    let range = range.filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = range.and_then(|(_, range)| range.trim().split_once('-')) else {
        return Selected::Whole;
    };
    let selected = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(bytes),
        (Some(first), None) if last.is_empty() => first..bytes,
        // The last bytes, so many.
        (None, Some(count)) if first.is_empty() => bytes.saturating_sub(count)..bytes,
        _ => return Selected::Whole,
    };
    match selected.is_empty() {
        true => Selected::Nothing,
        false => Selected::Part(selected),
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // One with more digits than any file has bytes is behind the end of each.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(ranges: &[&str]) -> Selected {
        let mut headers = HeaderMap::new();
        for range in ranges {
            headers.append(header::RANGE, range.parse().unwrap());
        }
        select(&headers, 10)
    }

    #[test]
    fn one_range_of_bytes_is_a_part() {
        for (range, part) in [
            ("bytes=0-3", 0..4),
            ("bytes=9-9", 9..10),
            ("bytes=3-", 3..10),
            ("Bytes = 3-99", 3..10),
            ("bytes=-4", 6..10),
            ("bytes=-99", 0..10),
            ("bytes=0-99999999999999999999999", 0..10),
        ] {
            assert_eq!(selected(&[range]), Selected::Part(part), "{range}");
        }
    }

    #[test]
    fn a_part_that_is_not_there_is_nothing() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(selected(&[range]), Selected::Nothing, "{range}");
        }
    }

    #[test]
    fn anything_else_is_the_whole() {
        for range in [
            "bytes=3-1",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes",
            "bytes=+1-2",
            "",
        ] {
            assert_eq!(selected(&[range]), Selected::Whole, "{range}");
        }
        assert_eq!(selected(&[]), Selected::Whole);
        assert_eq!(selected(&["bytes=0-1", "bytes=3-4"]), Selected::Whole);
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=0-3".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        assert_eq!(select(&headers, 10), Selected::Whole);
    }
}
