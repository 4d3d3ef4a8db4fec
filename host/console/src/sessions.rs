//! Sessions, in memory: a random id in a cookie stands for a key, which is authorized again at each request. Not here: cookies (`session`).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use riad_core::{
    Account, Error, Result, Secret,
    pass::{KeyHash, hash_key},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// After this without a request a session has ended.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// After this a session has ended, whatever was done with it.
pub(crate) const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions of one key, so that no key ends the sessions of another one of its account. For more, the one that was used the longest ago ends.
const PER_KEY: usize = 8;
/// Of all; for more, the owner that has the most loses one. `resources::CONSOLE_SESSIONS` says both bounds.
const MOST: usize = 10_000;
/// Of an id, and of a token.
const RANDOM_BYTES: usize = 32;

/// Clones share the sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<KeyHash, Stored>>>);

#[derive(Clone)]
pub(crate) struct Session {
    pub owner: Owner,
    pub key: Secret<String>,
    /// Comes back with each form.
    pub token: CsrfToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Operator,
    Tenant(Account),
}

#[derive(Clone)]
pub(crate) struct CsrfToken(Secret<String>);

/// A key that was just made, for the next page of its maker's session.
pub(crate) struct ShownKey {
    /// What the page says of it.
    pub title: String,
    pub secret: Secret<String>,
}

struct Stored {
    session: Session,
    key: KeyHash,
    shown_key: Option<ShownKey>,
    began: Instant,
    used: Instant,
}

impl Sessions {
    /// Begins a session, and returns the id that the cookie has.
    ///
    /// # Errors
    /// `Internal` if the system has no random numbers.
    pub fn begin(&self, owner: Owner, key: Secret<String>) -> Result<Secret<String>> {
        let id = random()?;
        let session = Session {
            owner,
            key,
            token: CsrfToken(random()?),
        };
        let now = Instant::now();
        let mut stored = self.0.lock();
        stored.retain(|_, stored| stored.lives(now));
        let key = hash_key(&session.key);
        evict(&mut stored, PER_KEY, |stored| stored.key == key);
        if stored.len() >= MOST
            && let Some((most, sessions)) = largest(&stored)
        {
            evict(&mut stored, sessions, |stored| stored.session.owner == most);
        }
        let begun = Stored {
            session,
            key,
            shown_key: None,
            began: now,
            used: now,
        };
        stored.insert(hash_key(&id), begun);
        Ok(id)
    }

    /// The session of an id that has not ended; it counts as used now.
    pub fn find(&self, id: &Secret<String>) -> Option<Session> {
        let (id, now) = (hash_key(id), Instant::now());
        let mut stored = self.0.lock();
        match stored.get_mut(&id) {
            Some(found) if found.lives(now) => {
                found.used = now;
                Some(found.session.clone())
            }
            Some(_) => {
                stored.remove(&id);
                None
            }
            None => None,
        }
    }

    /// As [`Self::find`], but it does not count as used: a page that is only open does not keep its session.
    pub fn peek(&self, id: &Secret<String>) -> Option<Session> {
        let now = Instant::now();
        let stored = self.0.lock();
        let found = stored.get(&hash_key(id)).filter(|stored| stored.lives(now));
        found.map(|stored| stored.session.clone())
    }

    /// A reload of the page that shows a key makes no second one, and shows the first no second time.
    pub fn show_once(&self, id: &Secret<String>, key: ShownKey) {
        if let Some(stored) = self.0.lock().get_mut(&hash_key(id)) {
            stored.shown_key = Some(key);
        }
    }

    pub fn take_shown(&self, id: &Secret<String>) -> Option<ShownKey> {
        self.0.lock().get_mut(&hash_key(id))?.shown_key.take()
    }

    pub fn end(&self, id: &Secret<String>) {
        self.0.lock().remove(&hash_key(id));
    }
}

/// The owner with the most sessions, and how many.
fn largest(stored: &HashMap<KeyHash, Stored>) -> Option<(Owner, usize)> {
    let mut numbers: HashMap<Owner, usize> = HashMap::new();
    for stored in stored.values() {
        *numbers.entry(stored.session.owner).or_default() += 1;
    }
    numbers.into_iter().max_by_key(|(_, number)| *number)
}

/// Makes room for one more among those that count: at most `most` of them are left then.
fn evict(stored: &mut HashMap<KeyHash, Stored>, most: usize, counts: impl Fn(&Stored) -> bool) {
    while stored.values().filter(|stored| counts(stored)).count() >= most {
        let counted = stored.iter().filter(|(_, stored)| counts(stored));
        let Some(oldest) = counted.min_by_key(|(_, stored)| stored.used).map(|(id, _)| *id) else {
            return;
        };
        stored.remove(&oldest);
    }
}

impl Stored {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) < LONGEST && now.saturating_duration_since(self.used) < IDLE
    }
}

impl CsrfToken {
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// In constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.reveal().as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

fn random() -> Result<Secret<String>> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret<String> {
        Secret::new("riad_sk_x".to_owned())
    }

    fn tenant(account: u64) -> Owner {
        Owner::Tenant(Account::new(account))
    }

    #[test]
    fn an_id_opens_its_session_until_it_ends() {
        let sessions = Sessions::default();
        let id = sessions.begin(tenant(1), key()).unwrap();
        let other = sessions.begin(Owner::Operator, key()).unwrap();
        assert_eq!(sessions.find(&id).unwrap().owner, tenant(1));
        assert_eq!(sessions.find(&other).unwrap().owner, Owner::Operator);
        sessions.end(&id);
        assert!(sessions.find(&id).is_none());
        assert!(sessions.find(&other).is_some());
        assert!(sessions.find(&Secret::new("made-up".to_owned())).is_none());
    }

    #[test]
    fn a_session_ends_without_use_and_after_its_time() {
        let sessions = Sessions::default();
        for (began, used, lives) in [
            (Duration::ZERO, Duration::ZERO, true),
            (IDLE * 2, IDLE / 2, true),
            (IDLE * 2, IDLE, false),
            (LONGEST, Duration::ZERO, false),
        ] {
            let id = sessions.begin(tenant(1), key()).unwrap();
            let now = Instant::now();
            {
                let mut stored = sessions.0.lock();
                let stored = stored.get_mut(&hash_key(&id)).unwrap();
                (stored.began, stored.used) = (now.checked_sub(began).unwrap(), now.checked_sub(used).unwrap());
            }
            assert_eq!(sessions.find(&id).is_some(), lives, "{began:?} {used:?}");
            assert_eq!(sessions.0.lock().contains_key(&hash_key(&id)), lives);
        }
    }

    #[test]
    fn a_page_that_is_only_open_keeps_no_session() {
        let sessions = Sessions::default();
        let id = sessions.begin(tenant(1), key()).unwrap();
        let before = Instant::now().checked_sub(IDLE / 2).unwrap();
        let used = || sessions.0.lock().get_mut(&hash_key(&id)).unwrap().used;
        sessions.0.lock().get_mut(&hash_key(&id)).unwrap().used = before;
        assert_eq!(sessions.peek(&id).unwrap().owner, tenant(1));
        assert_eq!(used(), before);
        sessions.find(&id).unwrap();
        assert!(used() > before);
        sessions.end(&id);
        assert!(sessions.peek(&id).is_none());
    }

    #[test]
    fn a_key_has_a_bounded_number_and_takes_no_others() {
        let sessions = Sessions::default();
        let other = Secret::new("riad_sk_y".to_owned());
        let other = sessions.begin(tenant(1), other).unwrap();
        let first = sessions.begin(tenant(1), key()).unwrap();
        for _ in 0..PER_KEY {
            sessions.begin(tenant(1), key()).unwrap();
        }
        assert!(sessions.find(&first).is_none(), "it was used the longest ago");
        assert!(sessions.find(&other).is_some(), "another key of the same account");
        assert_eq!(sessions.0.lock().len(), PER_KEY + 1);
    }

    #[test]
    fn the_owner_with_the_most_makes_room_for_others() {
        let sessions = Sessions::default();
        let operator = sessions.begin(Owner::Operator, key()).unwrap();
        // An identity provider's tokens are all different.
        for number in 1..MOST {
            let token = Secret::new(format!("token {number}"));
            sessions.begin(tenant(1), token).unwrap();
        }
        sessions.begin(tenant(2), Secret::new("other".to_owned())).unwrap();
        assert_eq!(sessions.0.lock().len(), MOST);
        assert!(sessions.find(&operator).is_some());
    }

    #[test]
    fn a_new_key_is_shown_once() {
        let sessions = Sessions::default();
        let id = sessions.begin(tenant(1), key()).unwrap();
        let shown = ShownKey {
            title: "The key x".to_owned(),
            secret: key(),
        };
        sessions.show_once(&id, shown);
        assert_eq!(sessions.take_shown(&id).unwrap().title, "The key x");
        assert!(sessions.take_shown(&id).is_none());
    }

    #[test]
    fn tokens_differ_and_match_themselves_only() {
        let sessions = Sessions::default();
        let token = |id: &Secret<String>| sessions.find(id).unwrap().token;
        let one = token(&sessions.begin(tenant(1), key()).unwrap());
        let other = token(&sessions.begin(tenant(1), key()).unwrap());
        assert!(one.matches(one.reveal()));
        assert!(!one.matches(other.reveal()));
        assert!(!one.matches(""));
    }
}
