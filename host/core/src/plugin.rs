//! Stages, what may serve each, and the values that pass between stages. Not here: a room's choice of them (`pipeline`).

use crate::{Digest, Error, PluginName, Result, chat::Message, document::Passage, profile::ModelProfile};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Extraction,
    Chunking,
    Retrieval,
    Prompting,
    Postprocessing,
    Tools,
}

impl Stage {
    pub const ALL: [Self; 6] = [
        Self::Extraction,
        Self::Chunking,
        Self::Retrieval,
        Self::Prompting,
        Self::Postprocessing,
        Self::Tools,
    ];
    /// The stages of adding a document.
    pub const INGESTION: [Self; 2] = [Self::Extraction, Self::Chunking];
    /// The stages of a chat.
    pub const CHAT: [Self; 4] = [Self::Retrieval, Self::Prompting, Self::Postprocessing, Self::Tools];
    /// Those of every chat, which the standard pipeline serves where no plugin does.
    pub const STANDARD: [Self; 3] = [Self::Retrieval, Self::Prompting, Self::Postprocessing];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extraction => "extraction",
            Self::Chunking => "chunking",
            Self::Retrieval => "retrieval",
            Self::Prompting => "prompting",
            Self::Postprocessing => "postprocessing",
            Self::Tools => "tools",
        }
    }

    /// Whether a component of the server's serves it where no plugin does.
    #[must_use]
    pub fn has_standard(self) -> bool {
        match self {
            Self::Extraction | Self::Chunking | Self::Retrieval | Self::Prompting | Self::Postprocessing => true,
            Self::Tools => false,
        }
    }

    /// The package of `wit/` that has its interface.
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::Extraction | Self::Chunking => "riad:ingestion",
            Self::Retrieval | Self::Prompting | Self::Postprocessing | Self::Tools => "riad:pipeline",
        }
    }

    /// The stage with the interface of this name, such as `riad:pipeline/tools`.
    #[must_use]
    pub fn of_interface(name: &str) -> Option<Self> {
        let (package, interface) = name.split_once('/')?;
        Self::ALL
            .into_iter()
            .find(|stage| stage.package() == package && stage.as_str() == interface)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The component that serves a stage: `standard`, `name@sha256:…`, or for the tools `none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StageChoice {
    /// For a stage with a standard only.
    Standard,
    /// For the others only.
    None,
    Plugin {
        name: PluginName,
        version: Digest,
    },
}

impl StageChoice {
    /// What serves a stage that the tenant has chosen nothing for.
    #[must_use]
    pub fn default_of(stage: Stage) -> Self {
        match stage.has_standard() {
            true => Self::Standard,
            false => Self::None,
        }
    }

    /// # Errors
    /// `InvalidRequest` if the stage cannot be served so.
    pub fn check(&self, stage: Stage) -> Result<()> {
        match self {
            Self::Plugin { .. } => Ok(()),
            Self::Standard | Self::None if *self == Self::default_of(stage) => Ok(()),
            Self::Standard => Err(Error::invalid(format!(
                "there is no standard for the stage {stage}; it is served by \"none\" or by \"name@sha256:…\""
            ))),
            Self::None => Err(Error::invalid(format!(
                "every {} needs the stage {stage}; it is served by \"standard\" or by \"name@sha256:…\"",
                match Stage::INGESTION.contains(&stage) {
                    true => "document",
                    false => "request",
                }
            ))),
        }
    }
}

impl FromStr for StageChoice {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self> {
        match value {
            "standard" => return Ok(Self::Standard),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let (name, version) = value
            .split_once('@')
            .ok_or_else(|| Error::invalid("a stage is served by \"standard\", by \"none\", or by \"name@sha256:…\""))?;
        Ok(Self::Plugin {
            name: name.parse()?,
            version: version.parse()?,
        })
    }
}

impl TryFrom<String> for StageChoice {
    type Error = Error;
    fn try_from(value: String) -> Result<Self> {
        value.parse()
    }
}

impl From<StageChoice> for String {
    fn from(value: StageChoice) -> Self {
        value.to_string()
    }
}

impl fmt::Display for StageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("standard"),
            Self::None => f.write_str("none"),
            Self::Plugin { name, version } => write!(f, "{name}@{version}"),
        }
    }
}

/// Input of every stage of a chat request.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRequest {
    pub messages: Vec<Message>,
    pub profile: ModelProfile,
    /// The request's `max_tokens`; prompt plus this must fit into the context.
    pub max_tokens: u32,
}

/// Output of the prompting stage: the messages for the model, and the passages in the order it numbered them, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    pub messages: Vec<Message>,
    pub passages: Vec<Passage>,
}

/// Whether a quotation in the answer really occurs in the passage that it cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Number of the passage in the prompt, from 1.
    pub passage: u32,
    pub grounded: bool,
}

/// Output of a stream filter when the model's output has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Text that the filter had held back.
    pub text: String,
    pub citations: Vec<Citation>,
}

/// Tools that a plugin may offer (`wit/riad-pipeline`).
pub const TOOLS_OFFERED: usize = 32;

/// What a plugin's tool answered to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolOutcome {
    Result(String),
    /// The tool cannot be called like this. The text says why to the model, which may try again.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_a_default_that_it_accepts() {
        for stage in Stage::ALL {
            let default = StageChoice::default_of(stage);
            default.check(stage).unwrap();
            assert_eq!(default.to_string().parse::<StageChoice>().unwrap(), default);
        }
        assert_eq!(StageChoice::default_of(Stage::Tools), StageChoice::None);
    }

    #[test]
    fn a_stage_is_known_by_its_interface() {
        for stage in Stage::ALL {
            let name = format!("{}/{stage}", stage.package());
            assert_eq!(Stage::of_interface(&name), Some(stage));
        }
        assert_eq!(Stage::of_interface("riad:pipeline/chunking"), None);
        assert_eq!(Stage::of_interface("riad:pipeline/types"), None);
    }

    #[test]
    fn only_tools_are_served_by_none() {
        let refused = StageChoice::None.check(Stage::Retrieval).unwrap_err();
        assert!(
            refused.message().contains("every request needs the stage retrieval"),
            "{refused}"
        );
        let refused = StageChoice::None.check(Stage::Chunking).unwrap_err();
        assert!(
            refused.message().contains("every document needs the stage chunking"),
            "{refused}"
        );
        let refused = StageChoice::Standard.check(Stage::Tools).unwrap_err();
        assert!(
            refused.message().contains("no standard for the stage tools"),
            "{refused}"
        );
    }
}
