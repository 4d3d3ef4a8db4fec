//! Slots: what tenants' ids hash to. A key says its tenant's slot, so that a proxy in front of several cells needs no database.
//! Not here: which cell serves a slot (`ports::Cells`). A slot is for routing only: whose a key is, the key store says.

use crate::{Error, Result, Secret, TenantId};
use std::{fmt, str::FromStr};

/// How many there are. As many as Redis Cluster has, for its reasons: far more than cells, and a map of all of them is small.
pub const SLOTS: u16 = 16_384;
const KEY_PREFIX: &str = "riad_sk_";
/// Decimal digits of a slot in a key. With a fixed number of them, ranges of slots are short regular expressions.
const DIGITS: usize = 5;
/// Characters of a key behind its slot: 256 bits in base64url.
const SECRET_CHARS: usize = 43;

/// A number below [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// CRC-32 of the id modulo [`SLOTS`]: the CRC of zlib and Ethernet (CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms) and
    /// not Redis Cluster's CRC-16, because HAProxy has it as a converter and so finds the slot of a token's claim.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        let remainder = crc32fast::hash(tenant.as_str().as_bytes()) % u32::from(SLOTS);
        Self(u16::try_from(remainder).unwrap_or_default())
    }

    /// What a key says. `None` for keys of former versions, which have no slot, and for whatever is no key.
    #[must_use]
    pub fn of_key(key: &Secret<String>) -> Option<Self> {
        let (digits, secret) = key.reveal().strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let is_slot = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_slot || secret.len() != SECRET_CHARS {
            return None;
        }
        digits.parse().ok().filter(|number| *number < SLOTS).map(Self)
    }

    /// What a key of a tenant in this slot begins with.
    #[must_use]
    pub fn key_prefix(self) -> String {
        format!("{KEY_PREFIX}{:0DIGITS$}_", self.0)
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for Slot {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(number) if number < SLOTS => Ok(Self(number)),
            Ok(_) | Err(_) => Err(Error::invalid(format!(
                "`{text}` is no slot, which is a number from 0 to {}",
                SLOTS - 1
            ))),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_key(key: &str) -> Option<u16> {
        Slot::of_key(&Secret::new(key.to_owned())).map(Slot::number)
    }

    #[test]
    fn a_slot_is_the_published_crc_of_the_id() {
        // The first is the catalogue's check value.
        for (id, crc) in [("123456789", 0xCBF4_3926_u32), ("a", 0xE8B7_BE43), ("abc", 0x3524_41C2)] {
            let expected = u16::try_from(crc % 16_384).unwrap();
            assert_eq!(Slot::of(&id.parse().unwrap()).number(), expected, "{id}");
        }
    }

    #[test]
    fn numbered_ids_are_spread_over_the_slots() {
        let mut tenants = vec![0_u32; usize::from(SLOTS)];
        for number in 0..u32::from(SLOTS) * 8 {
            let slot = Slot::of(&format!("tenant-{number}").parse().unwrap());
            tenants[usize::from(slot.number())] += 1;
        }
        for third in tenants.chunks(tenants.len().div_ceil(3)) {
            let found: u32 = third.iter().sum();
            assert!(
                (42_000..45_500).contains(&found),
                "{found} of 131072 are in a third of the slots"
            );
        }
    }

    #[test]
    fn a_key_says_its_slot() {
        let secret = "x_-".repeat(14) + "x";
        for number in [0, 42, 16_383] {
            assert_eq!(of_key(&format!("{}{secret}", Slot(number).key_prefix())), Some(number));
        }
        assert_eq!(Slot(42).key_prefix(), "riad_sk_00042_");
    }

    #[test]
    fn keys_of_former_versions_have_no_slot() {
        let former = "riad_sk_12345_".to_owned() + &"x".repeat(37);
        assert_eq!(former.len(), "riad_sk_".len() + SECRET_CHARS);
        let secret = "x".repeat(SECRET_CHARS);
        for key in [
            former.as_str(),
            "",
            "riad_sk_",
            "riad_sk_wrong",
            &format!("riad_sk_16384_{secret}"),
            &format!("riad_sk_+0001_{secret}"),
            &format!("riad_sk_0001_{secret}x"),
            &format!("riad_op_00001_{secret}"),
            &format!("riad_sk_00001_{secret}x"),
        ] {
            assert_eq!(of_key(key), None, "{key}");
        }
    }

    #[test]
    fn a_number_that_is_no_slot_is_refused() {
        assert_eq!("16383".parse::<Slot>().unwrap().number(), 16_383);
        for text in ["16384", "-1", "", "x", "99999999"] {
            assert!(text.parse::<Slot>().is_err(), "{text}");
        }
    }
}
