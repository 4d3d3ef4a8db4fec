//! Canaries: random words that stand nowhere else, and finding them in whatever a server says. Not here: planting them.

use crate::plant::Planted;
use anyhow::{Result, anyhow};

/// The words of one run.
pub struct Canaries {
    /// Marks everything that the run puts into a room.
    pub run: String,
    /// Stands beside the secrets of a document and a price. B knows it: it is what B searches for.
    pub needle: String,
    pub title: String,
    pub text: String,
    pub metadata: String,
    pub settings: String,
    pub sql: String,
    pub log: String,
    pub value: String,
    pub file: String,
    pub alias: String,
    pub plugin: String,
    /// What the server named: a document's id, an adapter's generation, a plugin's version.
    handles: Vec<(&'static str, String)>,
}

/// A canary that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Where it was planted.
    pub what: &'static str,
    pub word: &'a str,
    /// Whether nobody but A can know it. Else it is a name that B uses too, and an answer may repeat it.
    pub secret: bool,
}

impl Canaries {
    pub fn new() -> Result<Self> {
        Ok(Self {
            run: word("run")?,
            needle: word("needle")?,
            title: word("canarytitle")?,
            text: word("canarytext")?,
            metadata: word("canarymetadata")?,
            settings: word("canarysettings")?,
            sql: word("canaryprice")?,
            log: word("canarylog")?,
            value: word("canaryvalue")?,
            file: word("canaryfile")?,
            alias: word("canaryadapter")?,
            plugin: word("canaryplugin")?,
            handles: Vec::new(),
        })
    }

    pub fn add_handles(&mut self, planted: &Planted) {
        self.handles = vec![
            ("document id", planted.document.clone()),
            ("document job id", planted.document_job.clone()),
            ("file id", planted.file.clone()),
            ("upload id", planted.upload.clone()),
            ("part id", planted.part.clone()),
            ("vector store id", planted.vector_store.clone()),
            ("file batch id", planted.file_batch.clone()),
            ("adapter generation", planted.generation.clone()),
            ("plugin version", planted.version.clone()),
        ];
    }

    /// The canaries that stand in a text, in whatever case.
    pub fn find(&self, text: &str) -> Vec<Found<'_>> {
        let text = text.to_lowercase();
        let secrets = [
            ("document title", &self.title),
            ("document text", &self.text),
            ("document metadata", &self.metadata),
            ("setting", &self.settings),
            ("price in the SQL store", &self.sql),
            ("log line", &self.log),
            ("value of a plugin", &self.value),
            ("file", &self.file),
        ];
        let names = [("adapter alias", &self.alias), ("plugin name", &self.plugin)];
        let handles = self.handles.iter().map(|(what, word)| (*what, word));
        secrets
            .into_iter()
            .map(|(what, word)| (what, word, true))
            .chain(names.into_iter().chain(handles).map(|(what, word)| (what, word, false)))
            .filter(|(_, word, _)| text.contains(&word.to_lowercase()))
            .map(|(what, word, secret)| Found { what, word, secret })
            .collect()
    }

    /// The canaries that an answer should not have had: all but the names that the request itself had in it.
    pub fn leaked(&self, answer: &str, sent: &str) -> Vec<&'static str> {
        let sent = sent.to_lowercase();
        self.find(answer)
            .into_iter()
            .filter(|found| found.secret || !sent.contains(&found.word.to_lowercase()))
            .map(|found| found.what)
            .collect()
    }
}

/// Letters and digits only, so that no encoding changes it and it can be part of a name.
fn word(beginning: &str) -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(format!("{beginning}{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_secret_is_found_and_a_sent_name_is_not() {
        let canaries = Canaries::new().unwrap();
        let (secret, name) = (&canaries.text, &canaries.alias);
        let answer = format!("{} no model riad:{name}", secret.to_uppercase());
        assert_eq!(canaries.leaked(&answer, ""), ["document text", "adapter alias"]);
        assert_eq!(canaries.leaked(&answer, &answer), ["document text"]);
        assert!(canaries.leaked("nothing", "").is_empty());
    }

    #[test]
    fn what_the_server_named_is_a_canary_too() {
        let mut canaries = Canaries::new().unwrap();
        canaries.handles = vec![("document id", "0198aa".to_owned())];
        assert_eq!(canaries.leaked("{\"id\":\"0198AA\"}", ""), ["document id"]);
        assert!(
            canaries
                .leaked("{\"id\":\"0198AA\"}", "GET /v1/documents/0198aa")
                .is_empty()
        );
    }

    #[test]
    fn no_two_runs_and_no_two_canaries_are_alike() {
        let (one, two) = (Canaries::new().unwrap(), Canaries::new().unwrap());
        assert_ne!(one.text, two.text);
        assert!(one.find(&one.text).len() == 1 && two.find(&one.text).is_empty());
    }
}
