//! What a key may do in its tenant's room. Not here: whose key it is (`pass`).

use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// A part of what a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Chat completions, responses and embeddings. Whoever has it reads the responses that the room keeps, whichever key made them.
    Chat,
    /// Documents and searches.
    Documents,
    /// Plugins, the pipeline, settings and logs. Whoever may change plugins reads what passes through them: a plugin sees the prompts,
    /// passages and answers of all the tenant's requests, and what it logs is read with this scope, also by keys that only read.
    Plugins,
    Adapters,
    /// Usage, costs, receipts, the audit log and, for admins, keys.
    Usage,
}

impl Scope {
    pub const ALL: [Self; 5] = [Self::Chat, Self::Documents, Self::Plugins, Self::Adapters, Self::Usage];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Documents => "documents",
            Self::Plugins => "plugins",
            Self::Adapters => "adapters",
            Self::Usage => "usage",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == value)
            .ok_or_else(|| Error::invalid("a scope is one of chat, documents, plugins, adapters, usage"))
    }
}

/// How far a key reaches within its scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// Reads; spends nothing but the embedding of a search.
    ReadOnly,
    /// Chats, and keeps documents. What plugins and adapters do is decided by an admin.
    User,
    /// Everything of the tenant, its keys among it.
    #[default]
    Admin,
}

impl KeyRole {
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::User, Self::Admin];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyRole {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == value)
            .ok_or_else(|| Error::invalid("a role is one of admin, user, read-only"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Changes something, or spends tokens.
    Write,
}

/// A role within scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    pub role: KeyRole,
    pub scopes: BTreeSet<Scope>,
}

impl Default for Grants {
    /// Everything: what a tenant's first key has.
    fn default() -> Self {
        Self {
            role: KeyRole::Admin,
            scopes: Scope::ALL.into(),
        }
    }
}

impl Grants {
    #[must_use]
    pub fn allow(&self, scope: Scope, access: Access) -> bool {
        let reach = match (self.role, access) {
            (KeyRole::Admin, _) | (KeyRole::ReadOnly | KeyRole::User, Access::Read) => true,
            (KeyRole::ReadOnly, Access::Write) => false,
            (KeyRole::User, Access::Write) => match scope {
                Scope::Chat | Scope::Documents => true,
                Scope::Plugins | Scope::Adapters | Scope::Usage => false,
            },
        };
        reach && self.scopes.contains(&scope)
    }

    /// # Errors
    /// `Forbidden` says what the key lacks.
    pub fn require(&self, scope: Scope, access: Access) -> Result<()> {
        if self.allow(scope, access) {
            return Ok(());
        }
        let why = if self.scopes.contains(&scope) {
            format!("has the role {}, which does not do this", self.role)
        } else {
            format!("lacks the scope {scope}")
        };
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("this key {why}; use another key, or ask an admin of this tenant for one"),
        ))
    }

    /// Whether these reach no further than `other`: nobody gives what they do not have.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.role <= other.role && self.scopes.is_subset(&other.scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(role: KeyRole, scopes: &[Scope]) -> Grants {
        Grants {
            role,
            scopes: scopes.iter().copied().collect(),
        }
    }

    #[test]
    fn a_role_reaches_only_within_the_scopes() {
        let user = grants(KeyRole::User, &[Scope::Chat, Scope::Plugins]);
        assert!(user.allow(Scope::Chat, Access::Write));
        assert!(user.allow(Scope::Plugins, Access::Read));
        assert!(!user.allow(Scope::Plugins, Access::Write));
        assert!(!user.allow(Scope::Documents, Access::Read));
        let reader = grants(KeyRole::ReadOnly, &Scope::ALL);
        for scope in Scope::ALL {
            assert!(reader.allow(scope, Access::Read));
            assert!(!reader.allow(scope, Access::Write));
            assert!(Grants::default().allow(scope, Access::Write));
        }
        let error = user.require(Scope::Usage, Access::Read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.message().contains("usage"));
    }

    #[test]
    fn grants_stay_within_those_of_their_giver() {
        let chat = grants(KeyRole::Admin, &[Scope::Chat]);
        assert!(grants(KeyRole::User, &[Scope::Chat]).within(&chat));
        assert!(!grants(KeyRole::User, &[Scope::Usage]).within(&chat));
        assert!(!chat.within(&grants(KeyRole::User, &Scope::ALL)));
    }
}
