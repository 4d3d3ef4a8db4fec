//! Which model of the hub, and which revision of it: `owner/name` or `owner/name@revision`.

use riad_core::{Error, Result};
use std::fmt;

const DEFAULT_REVISION: &str = "main";
const NAME_LENGTH_MAX: usize = 96;
const REVISION_LENGTH_MAX: usize = 200;
/// Hex digits of a commit.
pub(super) const COMMIT_LENGTH: usize = 40;

/// A model of a hub, and the branch, tag or commit to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    owner: String,
    name: String,
    revision: String,
}

impl HubModel {
    /// Reads `owner/name` or `owner/name@revision`. Without a revision it is the branch `main`.
    ///
    /// # Errors
    /// `InvalidRequest` says what is wrong with the id or the revision.
    pub fn parse(text: &str) -> Result<Self> {
        let (id, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let parts = id
            .split_once('/')
            .filter(|(owner, name)| is_name(owner) && is_name(name));
        let Some((owner, name)) = parts else {
            return Err(wrong(format!(
                "engine.model: `{id}` is not a hub id; one is owner/name, of letters, digits, `-`, `_` and `.`"
            )));
        };
        if !is_revision(revision) {
            return Err(wrong(format!(
                "engine.model: `{revision}` cannot be a revision of {id}; write a branch, a tag or a commit behind the `@`, as in \
                 {id}@{DEFAULT_REVISION}"
            )));
        }
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// `owner/name`, without the revision.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Whether the revision is a whole commit: what it names never changes.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        match self.revision == DEFAULT_REVISION {
            true => Ok(()),
            false => write!(f, "@{}", self.revision),
        }
    }
}

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == COMMIT_LENGTH
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

/// The hub's rules. They also make the names safe as parts of a path and of a URL.
fn is_name(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = name.as_bytes();
    name.len() <= NAME_LENGTH_MAX
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !name.contains("--")
        && !name.contains("..")
}

/// Git's rules for names of branches and tags, in ASCII. The cache has a file of this path, so no part may be `.` or `..`.
fn is_revision(revision: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with('.')
            && !part.ends_with(".lock")
            && !part.contains("..")
            && !part.contains("@{")
            && part
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"~^:?*[\\\"<>|%".contains(&byte))
    };
    revision.len() <= REVISION_LENGTH_MAX && revision != "@" && revision.split('/').all(is_part)
}

fn wrong(message: String) -> Error {
    Error::invalid(message).with_param("engine.model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_have_a_revision() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (text, id, revision, is_commit) in [
            ("Qwen/Qwen3-4B", "Qwen/Qwen3-4B", "main", false),
            ("a/b.c_d@v1.0", "a/b.c_d", "v1.0", false),
            ("a/b@refs/pr/1", "a/b", "refs/pr/1", false),
            ("a/b@feature/x@2", "a/b", "feature/x@2", false),
            (&format!("a/b@{commit}"), "a/b", commit, true),
            (&format!("a/b@{}", &commit[1..]), "a/b", &commit[1..], false),
        ] {
            let model = HubModel::parse(text).unwrap();
            assert_eq!((model.id().as_str(), model.revision()), (id, revision));
            assert_eq!(model.is_commit(), is_commit, "{text}");
            assert_eq!(model.to_string(), text, "as it was written");
        }
    }

    #[test]
    fn what_could_leave_the_cache_is_refused() {
        let long = format!("a/{}", "b".repeat(97));
        for text in [
            "",
            "a",
            "/b",
            "a/",
            "a/b/c",
            "../b",
            "a/..",
            "a/.b",
            "a/b-",
            "a/b--c",
            "a/b c",
            "a/bä",
            "~/b",
            &long,
            "a/b@",
            "a/b@..",
            "a/b@../x",
            "a/b@x/../y",
            "a/b@/x",
            "a/b@x/",
            "a/b@x//y",
            "a/b@.x",
            "a/b@-x",
            "a/b@x.lock",
            "a/b@x y",
            "a/b@x\\y",
            "a/b@x:y",
            "a/b@x^",
            "a/b@@",
            "a/b@x%2Fy",
            "a/b@x\n",
        ] {
            let error = HubModel::parse(text).unwrap_err();
            assert_eq!(error.param(), Some("engine.model"), "{text}");
        }
    }
}
