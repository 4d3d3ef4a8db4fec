//! Regular expressions for keys in ranges of slots. PCRE and RE2 read them alike.

use crate::SlotRange;

/// Decimal digits of a slot in a key.
const DIGITS: u32 = 5;
/// Bytes of slots in one expression; the Gateway API takes 4096 for all of it.
const SLOTS_MAX: usize = 3500;

/// The value of a header with a key in these slots, one expression or several; none for no slots.
pub fn keys(ranges: &[SlotRange]) -> Vec<String> {
    let mut expressions: Vec<String> = Vec::new();
    for piece in ranges.iter().flat_map(|range| pieces(*range)) {
        match expressions.last_mut() {
            Some(last) if last.len() + piece.len() < SLOTS_MAX => {
                last.push('|');
                last.push_str(&piece);
            }
            Some(_) | None => expressions.push(piece),
        }
    }
    let key = |slots| format!("riad_sk_(?:{slots})_[A-Za-z0-9_-]{{43}}");
    expressions.into_iter().map(key).collect()
}

/// Together they match the five digits of every slot in the range, and nothing else.
fn pieces(range: SlotRange) -> Vec<String> {
    let (mut first, last) = (u32::from(range.first().number()), u32::from(range.last().number()));
    let mut pieces = Vec::new();
    while first <= last {
        // The largest block that begins here and does not go beyond the end, and as many that follow it with the same digits before.
        let is_whole = |digits: &u32| {
            let size = 10_u32.pow(*digits);
            first.is_multiple_of(size) && first + size - 1 <= last
        };
        let free = (0..DIGITS).rev().find(is_whole).unwrap_or(0);
        let size = 10_u32.pow(free);
        let digit = first / size % 10;
        let blocks = ((last + 1 - first) / size).min(10 - digit);
        pieces.push(piece(first / size / 10, digit, digit + blocks - 1, free));
        first += blocks * size;
    }
    pieces
}

/// Leading digits, one out of a class, and free ones.
fn piece(leading: u32, from: u32, to: u32, free: u32) -> String {
    let mut text = match DIGITS - 1 - free {
        0 => String::new(),
        leading_digits => format!("{leading:0width$}", width = leading_digits as usize),
    };
    text += &match from == to {
        true => from.to_string(),
        false => format!("[{from}-{to}]"),
    };
    text += &match free {
        0 => String::new(),
        1 => "[0-9]".to_owned(),
        free => format!("[0-9]{{{free}}}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::slot::Slot;

    fn of(range: &str) -> Vec<String> {
        pieces(range.parse().unwrap())
    }

    /// Whether five digits match a piece, which has no other forms than these.
    fn matches(piece: &str, digits: &str) -> bool {
        let (mut piece, mut digits) = (piece, digits);
        while let Some(digit) = digits.chars().next() {
            let class = match piece.strip_prefix('[') {
                Some(rest) => rest.split_once(']').unwrap().0.to_owned(),
                None => format!("{0}-{0}", piece.chars().next().unwrap_or('x')),
            };
            let taken = class.contains('-') && piece.starts_with('[');
            let length = if taken { class.len() + 2 } else { 1 };
            let (from, to) = class.split_once('-').unwrap();
            let rest = piece.get(length..).unwrap_or_default();
            let (times, rest) = match rest.strip_prefix('{') {
                Some(rest) => {
                    let (times, rest) = rest.split_once('}').unwrap();
                    (times.parse().unwrap(), rest)
                }
                None => (1, rest),
            };
            let of_class = |c: char| (from..=to).contains(&c.to_string().as_str());
            if !of_class(digit) || !digits.chars().take(times).all(of_class) {
                return false;
            }
            piece = rest;
            digits = &digits[times.min(digits.len())..];
        }
        piece.is_empty()
    }

    #[test]
    fn a_range_is_few_expressions() {
        for (range, expected) in [
            (
                "0-16383",
                &[
                    "0[0-9]{4}",
                    "1[0-5][0-9]{3}",
                    "16[0-2][0-9]{2}",
                    "163[0-7][0-9]",
                    "1638[0-3]",
                ][..],
            ),
            (
                "0-5460",
                &["0[0-4][0-9]{3}", "05[0-3][0-9]{2}", "054[0-5][0-9]", "05460"],
            ),
            ("7", &["00007"]),
            ("5-12", &["0000[5-9]", "0001[0-2]"]),
        ] {
            assert_eq!(of(range), expected, "{range}");
        }
    }

    #[test]
    fn expressions_match_the_slots_of_the_range_alone() {
        for range in [
            "0-16383",
            "0-5460",
            "5461-10921",
            "10922-16383",
            "7",
            "99-100",
            "9999-10000",
            "1-16382",
        ] {
            let (pieces, range) = (of(range), range.parse::<SlotRange>().unwrap());
            let is_near = |slot: &Slot| {
                let number = slot.number();
                [range.first(), range.last()]
                    .iter()
                    .any(|end| end.number().abs_diff(number) < 2)
            };
            for slot in Slot::all().filter(|slot| slot.number() % 11 == 0 || is_near(slot)) {
                let digits = format!("{:05}", slot.number());
                let found = pieces.iter().filter(|piece| matches(piece, &digits)).count();
                assert_eq!(found, usize::from(range.contains(slot)), "{digits} in {range}");
            }
        }
    }

    #[test]
    fn many_ranges_are_several_expressions() {
        let odd: Vec<SlotRange> = Slot::all()
            .filter(|slot| slot.number() % 2 == 1)
            .map(|slot| SlotRange::new(slot, slot).unwrap())
            .collect();
        let keys = keys(&odd);
        assert!(keys.len() > 10 && keys.iter().all(|key| key.len() <= 4000));
        assert!(super::keys(&[]).is_empty());
    }
}
