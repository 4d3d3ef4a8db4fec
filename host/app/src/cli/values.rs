//! Values that are written in words of their own on the command line.

use riad_core::{
    Error, PluginName, Result,
    plugin::{Stage, StageChoice},
};
use serde_json::{Map, Value};
use std::str::FromStr;

/// A member of a JSON object, written `KEY=JSON`.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: String,
    pub value: Value,
}

impl FromStr for Member {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::invalid("write KEY=JSON, for example limit=5 or name='\"Kestrel\"'"))?;
        let value = serde_json::from_str(value).map_err(|error| {
            Error::invalid(format!(
                "the value of `{key}` is not JSON ({error}); put a text into double quotes: {key}='\"text\"'"
            ))
        })?;
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

/// Which component serves a stage, written `STAGE=CHOICE`.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSetting {
    pub stage: Stage,
    pub choice: WantedChoice,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WantedChoice {
    Exact(StageChoice),
    /// The newest version with this name; the client looks it up.
    Newest(PluginName),
}

impl FromStr for StageSetting {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (name, choice) = text
            .split_once('=')
            .ok_or_else(|| Error::invalid("write STAGE=CHOICE, for example prompting=price-desk"))?;
        let choice = if matches!(choice, "standard" | "none") || choice.contains('@') {
            WantedChoice::Exact(choice.parse()?)
        } else {
            WantedChoice::Newest(choice.parse()?)
        };
        Ok(Self {
            stage: stage(name)?,
            choice,
        })
    }
}

pub fn stage(text: &str) -> Result<Stage> {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or_else(|| {
            let known = Stage::ALL.map(Stage::as_str).join(", ");
            Error::invalid(format!("a stage is one of {known}"))
        })
}

/// A member at a dotted path and its new value: JSON, or a bare word.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    path: Vec<String>,
    value: Value,
}

impl FromStr for Change {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (path, value) = text
            .split_once('=')
            .filter(|(path, _)| !path.is_empty())
            .ok_or_else(|| Error::invalid("write KEY=VALUE, for example budget.monthly_tokens=1000000 or plan=gold"))?;
        Ok(Self {
            path: path.split('.').map(str::to_owned).collect(),
            value: serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
        })
    }
}

impl Change {
    /// One JSON object of all changes.
    #[must_use]
    pub fn patch(changes: &[Self]) -> Value {
        let mut patch = Value::Object(Map::new());
        for change in changes {
            let mut place = &mut patch;
            for part in &change.path {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Value::Object(members) = place else { break };
                place = members.entry(part.clone()).or_insert(Value::Null);
            }
            *place = change.value.clone();
        }
        patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_make_one_patch() {
        let changes: Vec<Change> = [
            "budget.total_tokens=10",
            "budget.mode=soft",
            "weight=2",
            "budget.daily_tokens=null",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        assert_eq!(
            Change::patch(&changes),
            json!({"budget": {"total_tokens": 10, "mode": "soft", "daily_tokens": null}, "weight": 2})
        );
        assert!("weight".parse::<Change>().is_err());
        assert!("=2".parse::<Change>().is_err());
    }
}
