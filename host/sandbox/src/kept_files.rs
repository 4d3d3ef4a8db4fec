//! Which compiled components stay on disk (`resources::COMPILED_FILES`): so many bytes, the least recently used goes first. An account takes a quarter at most, and then
//! loses its own; what many accounts use is nobody's own. Not here: the files (`cache`).

use riad_core::{Account, Digest};
use std::collections::{BTreeSet, HashMap, HashSet};

/// One account's share of the bytes.
const SHARE: u64 = 4;
/// What more accounts than this use is nobody's own: a plugin that many tenants have.
const FEW: usize = 4;

pub(crate) struct KeptFiles {
    most: u64,
    files: HashMap<Digest, KeptFile>,
    pinned: HashSet<Digest>,
    /// Counts uses.
    clock: u64,
}

struct KeptFile {
    bytes: u64,
    used: u64,
    /// Accounts that have used it since the server started.
    accounts: BTreeSet<Account>,
}

impl KeptFile {
    /// Whether it counts for this account: it is one of few that use it. Files that two accounts use would else count for nobody.
    fn is_share_of(&self, account: Account) -> bool {
        self.accounts.len() <= FEW && self.accounts.contains(&account)
    }
}

impl KeptFiles {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            files: HashMap::new(),
            pinned: HashSet::new(),
            clock: 0,
        }
    }

    pub(crate) fn used(&mut self, digest: &Digest, account: Option<Account>) {
        self.clock += 1;
        if let Some(file) = self.files.get_mut(digest) {
            file.used = self.clock;
            file.accounts.extend(account);
        }
    }

    /// It is never removed.
    pub(crate) fn pin(&mut self, digest: &Digest) {
        self.pinned.insert(*digest);
    }

    /// Adds a file; returns those for which there is no room. It is among them, and alone, if it has more bytes than all may have.
    pub(crate) fn insert(&mut self, digest: Digest, bytes: u64, account: Option<Account>) -> Vec<Digest> {
        if bytes > self.most {
            self.files.remove(&digest);
            return vec![digest];
        }
        self.clock += 1;
        let mut accounts = self.files.remove(&digest).map(|file| file.accounts).unwrap_or_default();
        accounts.extend(account);
        let used = self.clock;
        self.files.insert(digest, KeptFile { bytes, used, accounts });
        let mut removed = Vec::new();
        if let Some(account) = account {
            let own = |file: &KeptFile| file.is_share_of(account);
            // The new one stays: a component may be larger than a share.
            removed.extend(self.shrink(self.most / SHARE, |other, file| *other != digest && own(file), own));
        }
        removed.extend(self.shrink(self.most, |_, _| true, |_| true));
        removed
    }

    /// Removes files among those that may go, until those that count have `most` bytes at most.
    fn shrink(
        &mut self,
        most: u64,
        may_go: impl Fn(&Digest, &KeptFile) -> bool,
        counts: impl Fn(&KeptFile) -> bool,
    ) -> Vec<Digest> {
        let mut removed = Vec::new();
        while self
            .files
            .values()
            .filter(|file| counts(file))
            .map(|file| file.bytes)
            .sum::<u64>()
            > most
        {
            let candidates = self.files.iter().filter(|(digest, _)| !self.pinned.contains(*digest));
            let candidates = candidates.filter(|(digest, file)| may_go(digest, file));
            let Some(oldest) = candidates.min_by_key(|(_, file)| file.used).map(|(digest, _)| *digest) else {
                break;
            };
            self.files.remove(&oldest);
            removed.push(oldest);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn account(number: u64) -> Option<Account> {
        Some(Account::new(number))
    }

    #[test]
    fn the_least_recently_used_file_goes_and_the_pinned_one_stays() {
        let mut kept = KeptFiles::new(100);
        kept.insert(digest(0), 40, None);
        kept.pin(&digest(0));
        for number in 1..4 {
            assert!(kept.insert(digest(number), 20, account(number.into())).is_empty());
        }
        kept.used(&digest(1), account(1));
        assert_eq!(kept.insert(digest(4), 20, account(4)), [digest(2)]);
        assert_eq!(kept.insert(digest(5), 20, account(5)), [digest(3)]);
        assert_eq!(
            kept.insert(digest(6), 100, account(6)).len(),
            4,
            "nothing but the pinned one is left"
        );
        assert_eq!(kept.files.len(), 1);
        kept.insert(digest(7), 20, account(7));
        assert_eq!(
            kept.insert(digest(8), 101, account(8)),
            [digest(8)],
            "it empties nothing"
        );
        assert_eq!(kept.files.len(), 2);
    }

    #[test]
    fn an_account_beyond_its_share_loses_its_own_files() {
        let mut kept = KeptFiles::new(100);
        kept.insert(digest(1), 10, account(1));
        kept.insert(digest(2), 10, account(2));
        assert!(kept.insert(digest(3), 15, account(2)).is_empty());
        assert_eq!(
            kept.insert(digest(4), 5, account(2)),
            [digest(2)],
            "not the older one of another"
        );
        // Two accounts cannot evade it together: what both use counts for each.
        kept.used(&digest(3), account(1));
        assert_eq!(
            kept.insert(digest(5), 20, account(2)),
            [digest(4), digest(3)],
            "it stays itself"
        );
        // An insertion of what is there forgets nobody.
        kept.used(&digest(5), account(1));
        kept.insert(digest(5), 20, account(3));
        assert_eq!(kept.files[&digest(5)].accounts.len(), 3);
        for number in 4..=6 {
            kept.used(&digest(5), account(number));
        }
        assert!(
            kept.insert(digest(6), 20, account(2)).is_empty(),
            "what many use is nobody's own"
        );
    }
}
