//! What encrypts objects. The operator's key encrypts each tenant's, which is random; from that one, every object has a key of its own, derived
//! from its name. AES-256-GCM with random nonces: no two messages of one key are more than a rewrite of the same object. Who has written an
//! object, and that it lies where it was put, follow from its tag.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf, hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::{Digest, Error, Result, Secret, TenantId, snapshot::SnapshotOwner};

const KEY_BYTES: usize = 32;
/// The first byte of every object; another one is a later program's.
const FORMAT: u8 = 1;
/// What an object has beside what is in it: format, nonce, tag.
pub(crate) const OVERHEAD: u64 = 1 + NONCE_LEN as u64 + 16;

/// The operator's key.
pub(crate) struct MasterKey(DerivingKey);

/// The key of one tenant's one room.
pub(crate) struct TenantKey {
    objects: DerivingKey,
    names: hmac::Key,
    owner: SnapshotOwner,
}

/// What an object is of; part of its key, so that one kind does not open as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That the store was begun with this operator's key.
    Mark,
    TenantKey,
    Snapshot,
    Block,
}

/// An object that was not written by whoever has the key, or not under this name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

impl MasterKey {
    /// # Errors
    /// `InvalidRequest` if it is not 32 bytes in base64.
    pub(crate) fn parse(text: &Secret<String>) -> Result<Self> {
        let bytes = STANDARD.decode(text.reveal().trim()).ok();
        match bytes.as_deref().map(<[u8; KEY_BYTES]>::try_from) {
            Some(Ok(key)) => Ok(Self(DerivingKey::new(&key))),
            Some(Err(_)) | None => Err(Error::invalid(
                "RIAD_SNAPSHOT_KEY is not 32 bytes in base64; make a key with `openssl rand -base64 32`, and keep it where the snapshots are not",
            )),
        }
    }

    pub(crate) fn seal_mark(&self) -> Result<Vec<u8>> {
        self.0.seal(&[Kind::Mark.as_bytes()], b"riad")
    }

    pub(crate) fn opens_mark(&self, sealed: &[u8]) -> bool {
        self.0
            .open(&[Kind::Mark.as_bytes()], sealed)
            .is_ok_and(|mark| mark == b"riad")
    }

    /// A new key for a room, and how it is stored.
    pub(crate) fn make(&self, owner: &SnapshotOwner) -> Result<(TenantKey, Vec<u8>)> {
        let mut stored = vec![0; KEY_BYTES];
        rand::fill(&mut stored).map_err(failed)?;
        let key = TenantKey::new(&stored, owner.clone())?;
        stored.extend_from_slice(owner.tenant.as_str().as_bytes());
        let sealed = self
            .0
            .seal(&[Kind::TenantKey.as_bytes(), owner.room.as_str().as_bytes()], &stored)?;
        Ok((key, sealed))
    }

    /// The key of a room, and whose it is.
    pub(crate) fn open(&self, room: &riad_core::RoomId, sealed: &[u8]) -> Result<TenantKey, Damaged> {
        let stored = self
            .0
            .open(&[Kind::TenantKey.as_bytes(), room.as_str().as_bytes()], sealed)?;
        let (key, tenant) = stored.split_at_checked(KEY_BYTES).ok_or(Damaged)?;
        let tenant: TenantId = std::str::from_utf8(tenant)
            .ok()
            .and_then(|tenant| tenant.parse().ok())
            .ok_or(Damaged)?;
        let owner = SnapshotOwner {
            room: room.clone(),
            tenant,
        };
        TenantKey::new(key, owner).map_err(|_| Damaged)
    }
}

impl TenantKey {
    fn new(key: &[u8], owner: SnapshotOwner) -> Result<Self> {
        let objects = DerivingKey::new(key);
        let names = objects.derive(&[b"names"])?;
        Ok(Self {
            objects,
            names: hmac::Key::new(hmac::HMAC_SHA256, &names),
            owner,
        })
    }

    pub(crate) fn owner(&self) -> &SnapshotOwner {
        &self.owner
    }

    /// What a block with these bytes is called: the same for the same bytes of this room, and unrelated to those of others.
    pub(crate) fn name_of(&self, bytes: &[u8]) -> String {
        hex::encode(hmac::sign(&self.names, bytes))
    }

    pub(crate) fn seal(&self, kind: Kind, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        self.objects.seal(&self.context(kind, name), bytes)
    }

    pub(crate) fn open(&self, kind: Kind, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        self.objects.open(&self.context(kind, name), sealed)
    }

    fn context<'a>(&'a self, kind: Kind, name: &'a str) -> [&'a [u8]; 4] {
        [
            kind.as_bytes(),
            self.owner.room.as_str().as_bytes(),
            self.owner.tenant.as_str().as_bytes(),
            name.as_bytes(),
        ]
    }
}

impl Kind {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Mark => b"mark",
            Self::TenantKey => b"tenant key",
            Self::Snapshot => b"snapshot",
            Self::Block => b"block",
        }
    }
}

/// From which keys of objects are derived (HKDF-SHA256).
struct DerivingKey(hkdf::Prk);

impl DerivingKey {
    fn new(key: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"riad snapshots").extract(key))
    }

    fn derive(&self, context: &[&[u8]]) -> Result<[u8; KEY_BYTES]> {
        let context = Digest::of_parts(context);
        let info = [context.as_bytes().as_slice()];
        let mut key = [0; KEY_BYTES];
        self.0
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key))
            .map_err(failed)?;
        Ok(key)
    }

    fn cipher(&self, context: &[&[u8]]) -> Result<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.derive(context)?).map_err(failed)
    }

    fn seal(&self, context: &[&[u8]], bytes: &[u8]) -> Result<Vec<u8>> {
        let mut ciphertext = bytes.to_vec();
        let nonce = self
            .cipher(context)?
            .seal_in_place_append_tag(Aad::from([FORMAT]), &mut ciphertext)
            .map_err(failed)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut ciphertext);
        Ok(sealed)
    }

    fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        let (format, rest) = sealed.split_first().ok_or(Damaged)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN).ok_or(Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Damaged)?;
        let mut bytes = ciphertext.to_vec();
        let length = self
            .cipher(context)
            .map_err(|_| Damaged)?
            .open_in_place(nonce, Aad::from([*format]), &mut bytes)
            .map_err(|_| Damaged)?
            .len();
        bytes.truncate(length);
        // Authentic, and so written by a program that had the key.
        match *format {
            FORMAT => Ok(bytes),
            _ => Err(Damaged),
        }
    }
}

fn failed(_: Unspecified) -> Error {
    Error::internal("the cryptographic library failed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::parse(&Secret::new(STANDARD.encode([byte; KEY_BYTES]))).unwrap()
    }

    fn owner(room: &str, tenant: &str) -> SnapshotOwner {
        SnapshotOwner {
            room: room.parse().unwrap(),
            tenant: tenant.parse().unwrap(),
        }
    }

    #[test]
    fn a_key_that_is_not_32_bytes_is_refused_without_its_text() {
        for text in ["", "c2hvcnQ=", "not base64 at all, but long enough for a secret"] {
            let error = MasterKey::parse(&Secret::new(text.into())).err().unwrap();
            assert!(error.message().starts_with("RIAD_SNAPSHOT_KEY"), "{error}");
            assert!(text.is_empty() || !error.message().contains(text), "{error}");
        }
        let with_newline = format!("{}\n", STANDARD.encode([7; KEY_BYTES]));
        assert!(MasterKey::parse(&Secret::new(with_newline)).is_ok());
    }

    #[test]
    fn only_the_same_master_key_opens_a_tenants_key() {
        let owner = owner("room1", "acme");
        let (key, sealed) = master(1).make(&owner).unwrap();
        let opened = master(1).open(&owner.room, &sealed).unwrap();
        assert_eq!(*opened.owner(), owner);
        let message = key.seal(Kind::Block, "x", b"text").unwrap();
        assert_eq!(opened.open(Kind::Block, "x", &message).unwrap(), b"text");
        assert!(master(2).open(&owner.room, &sealed).is_err());
        assert!(master(1).open(&"room2".parse().unwrap(), &sealed).is_err());
        assert!(master(1).opens_mark(&master(1).seal_mark().unwrap()));
        assert!(!master(2).opens_mark(&master(1).seal_mark().unwrap()));
    }

    #[test]
    fn rooms_with_the_same_bytes_have_nothing_in_common() {
        let (one, _) = master(1).make(&owner("room1", "acme")).unwrap();
        let (other, _) = master(1).make(&owner("room2", "globex")).unwrap();
        assert_eq!(one.name_of(b"text"), one.name_of(b"text"));
        assert_ne!(one.name_of(b"text"), other.name_of(b"text"));
        let sealed = one.seal(Kind::Block, "x", b"text").unwrap();
        assert!(other.open(Kind::Block, "x", &sealed).is_err());
        assert_ne!(sealed, one.seal(Kind::Block, "x", b"text").unwrap());
    }

    proptest! {
        #[test]
        fn what_was_changed_or_moved_does_not_open(
            bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8_u32, cut in 1..40_usize
        ) {
            let (key, _) = master(1).make(&owner("room1", "acme")).unwrap();
            let sealed = key.seal(Kind::Block, "name", &bytes).unwrap();
            prop_assert_eq!(sealed.len() as u64, bytes.len() as u64 + OVERHEAD);
            prop_assert_eq!(key.open(Kind::Block, "name", &sealed), Ok(bytes));
            prop_assert!(key.open(Kind::Block, "other", &sealed).is_err());
            prop_assert!(key.open(Kind::Snapshot, "name", &sealed).is_err());
            let short = &sealed[..sealed.len().saturating_sub(cut)];
            prop_assert!(key.open(Kind::Block, "name", short).is_err());
            let mut flipped = sealed.clone();
            flipped[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(key.open(Kind::Block, "name", &flipped).is_err());
        }
    }
}
