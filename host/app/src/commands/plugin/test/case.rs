//! The cases of a plugin: `tests/*.json`, each a case or a list of them.

use crate::commands::plugin::project::{self, Project};
use riad_core::{
    DocumentId, Error, Result, VectorStoreId,
    chat::{FinishReason, Message},
    document::{Metadata, Passage},
    ingestion::Section,
    plugin::StageRequest,
    profile::ModelProfile,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

pub type Json = Map<String, Value>;

/// A request with the room that it meets, and what should come out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// For the stages of a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// For the stage `extraction`: a file in the plugin's folder, relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// What the stage `chunking` is given. If they are missing, what the extraction returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sections: Option<Vec<Section>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// Statements that fill the SQL store before the first stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
    /// Values of `riad:kv`: a text as it is, any other value as its JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub kv: Json,
    /// What the model answers to prompts of the plugin's own, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generation: Vec<String>,
    /// What other hosts answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpAnswer>,
    /// What the prompting stage is given. If they are missing, what retrieval finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passages: Option<Vec<Passage>>,
    /// What the model writes, piece by piece.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// Why it ends: `stop`, `length` or `tool_calls`.
    #[serde(default = "stop", skip_serializing_if = "is_stop")]
    pub finish: FinishReason,
    /// What the model calls of the plugin's tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// By stage; `log` for what is logged. What an object leaves out may be anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub messages: Vec<Message>,
    #[serde(default = "max_tokens")]
    pub max_tokens: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// What a prompt must know of the model. What is not given is as in a small model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    pub id: String,
    pub context_tokens: u32,
    pub prompt_tokens: u32,
    pub passages: u32,
    pub sentences: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub id: DocumentId,
    #[serde(default)]
    pub title: String,
    pub text: String,
    /// Of one that is in a vector store, its attributes.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Metadata,
    /// The vector store that it is in; without one, it is one of the room's documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_store: Option<VectorStoreId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// The answer of a host to requests with this method and URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpAnswer {
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    pub url: String,
    pub status: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            id: "test".to_owned(),
            context_tokens: 4096,
            prompt_tokens: 1024,
            passages: 4,
            sentences: 2,
        }
    }
}

impl Case {
    /// `None` of a case without a request.
    pub fn stage_request(&self) -> Option<StageRequest> {
        let request = self.request.as_ref()?;
        let profile = request.profile.clone().unwrap_or_default();
        Some(StageRequest {
            messages: request.messages.clone(),
            profile: ModelProfile {
                id: profile.id,
                context_tokens: profile.context_tokens,
                prompt_tokens: profile.prompt_tokens,
                passages: profile.passages,
                sentences: profile.sentences,
                completion_tokens: request.max_tokens,
                temperature: 0.0,
            },
            max_tokens: request.max_tokens,
        })
    }
}

pub fn max_tokens() -> u32 {
    256
}

fn stop() -> FinishReason {
    FinishReason::Stop
}

fn get() -> String {
    "GET".to_owned()
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

fn is_stop(reason: &FinishReason) -> bool {
    *reason == FinishReason::Stop
}

pub struct CaseFile {
    pub path: PathBuf,
    pub cases: Vec<Case>,
    is_list: bool,
}

impl CaseFile {
    /// Of a real request, not written yet.
    pub fn of_receipt(project: &Project, number: u64, case: Case) -> Self {
        Self {
            path: project.folder.join("tests").join(format!("receipt-{number}.json")),
            cases: vec![case],
            is_list: false,
        }
    }

    /// All of the plugin's, in the order of their names.
    ///
    /// # Errors
    /// `InvalidRequest` if there are none, or names the file that cannot be read.
    pub fn all(project: &Project) -> Result<Vec<Self>> {
        let folder = project.folder.join("tests");
        let mut paths = Vec::new();
        if folder.is_dir() {
            for entry in fs::read_dir(&folder).map_err(|error| project::cannot("read", &folder, error))? {
                let path = entry.map_err(|error| project::cannot("read", &folder, error))?.path();
                if path.extension().is_some_and(|ending| ending == "json") {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        match paths.is_empty() {
            false => paths.iter().map(|path| Self::read(path)).collect(),
            true => Err(Error::invalid(format!(
                "{} has no cases; write one into cases.json there, such as \
                 {{\"name\": \"hello\", \"request\": {{\"messages\": [{{\"role\": \"user\", \"content\": \"Hello?\"}}]}}}}, and let \
                 `riad plugin test --update` write what it expects",
                folder.display()
            ))),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| project::cannot("read", path, error))?;
        let is_list = text.trim_start().starts_with('[');
        let cases = match is_list {
            true => serde_json::from_str(&text),
            false => serde_json::from_str(&text).map(|case| vec![case]),
        };
        Ok(Self {
            cases: cases.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?,
            path: path.to_owned(),
            is_list,
        })
    }

    pub fn write(&self) -> Result<()> {
        let text = match self.cases.as_slice() {
            [case] if !self.is_list => serde_json::to_string_pretty(case),
            cases => serde_json::to_string_pretty(cases),
        };
        project::write(&self.path, text.map_err(Error::internal)? + "\n")
    }
}
