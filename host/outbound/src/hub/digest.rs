//! The digest that a file must have: SHA-256 of large files, git's own of small ones.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExpectedDigest {
    Sha256(Vec<u8>),
    /// SHA-1 of a head with the size, and the content.
    Git {
        digest: Vec<u8>,
        size: u64,
    },
}

/// The digest of what has come so far.
pub(super) struct RunningDigest(Context);

impl ExpectedDigest {
    /// `None` if the text is none.
    pub(super) fn sha256(text: &str) -> Option<Self> {
        let digest = hex::decode(text).ok()?;
        (digest.len() == SHA256.output_len()).then_some(Self::Sha256(digest))
    }

    /// `None` if the text is none.
    pub(super) fn git(text: &str, size: u64) -> Option<Self> {
        let digest = hex::decode(text).ok()?;
        (digest.len() == SHA1_FOR_LEGACY_USE_ONLY.output_len()).then_some(Self::Git { digest, size })
    }

    pub(super) fn start(&self) -> RunningDigest {
        match self {
            Self::Sha256(_) => RunningDigest(Context::new(&SHA256)),
            Self::Git { size, .. } => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {size}\0").as_bytes());
                RunningDigest(context)
            }
        }
    }

    pub(super) fn is(&self, running: RunningDigest) -> bool {
        let (Self::Sha256(digest) | Self::Git { digest, .. }) = self;
        running.0.finish().as_ref() == digest.as_slice()
    }
}

impl RunningDigest {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_git_and_git_lfs() {
        // `printf 'hello\n' | git hash-object --stdin` and `| sha256sum`.
        let git = ExpectedDigest::git("ce013625030ba8dba906f756967f9e9ca394464a", 6).unwrap();
        let lfs = ExpectedDigest::sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").unwrap();
        for digest in [git, lfs] {
            for (text, equal) in [("hello\n", true), ("hallo\n", false)] {
                let mut running = digest.start();
                running.update(text.as_bytes());
                assert_eq!(digest.is(running), equal);
            }
        }
        assert_eq!(ExpectedDigest::sha256("../../x"), None);
        assert_eq!(ExpectedDigest::git("abc", 6), None);
    }
}
