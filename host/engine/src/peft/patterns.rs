//! How PEFT's configuration names layers: `target_modules`, `rank_pattern` and `alpha_pattern`. Source of the rules: the PEFT library's
//! `check_target_module_exists` and `get_pattern_key`. Not here: the tensors.

use super::config_error;
use regex::{Regex, RegexBuilder};
use riad_core::{Error, Result};
use serde_json::{Map, Value};

/// Patterns of one option: a few for each layer of a large model.
const PATTERNS_MAX: usize = 1024;
/// Memory of a compiled expression, because a tenant writes it.
const EXPRESSION_BYTES: usize = 1 << 16;
/// PEFT's `all-linear` leaves out the layer that makes the logits.
const HEAD: &str = "lm_head";

/// The layers that `target_modules` names.
#[derive(Debug, Clone)]
pub(super) enum Targets {
    /// The file does not say.
    Any,
    AllLinear,
    /// The ends of layers' names.
    Names(Vec<String>),
    /// Of whole names.
    Expression(Regex),
}

impl Targets {
    pub fn read(value: Option<&Value>) -> Result<Self> {
        let wrong = || {
            config_error(
                "adapter_config.json: target_modules must be a list of names, a regular expression, or \"all-linear\"",
            )
        };
        match value {
            None | Some(Value::Null) => Ok(Self::Any),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("all-linear") => Ok(Self::AllLinear),
            Some(Value::String(text)) => whole("target_modules", text).map(Self::Expression),
            Some(Value::Array(names)) => {
                let name = |name: &Value| name.as_str().map(str::to_owned).ok_or_else(wrong);
                names.iter().map(name).collect::<Result<_>>().map(Self::Names)
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(wrong()),
        }
    }

    pub fn cover(&self, layer: &str) -> bool {
        match self {
            Self::Any => true,
            Self::AllLinear => layer != HEAD,
            Self::Names(names) => names.iter().any(|name| ends_with_name(layer, name)),
            Self::Expression(expression) => expression.is_match(layer),
        }
    }
}

fn ends_with_name(layer: &str, name: &str) -> bool {
    layer
        .strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Values of single layers, by expressions that match the ends of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Pattern<T>(Vec<(String, Regex, T)>);

impl<T: Copy + PartialEq> Pattern<T> {
    pub fn read(option: &str, value: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Result<Self> {
        let entries = match value {
            None | Some(Value::Null) => &Map::new(),
            Some(Value::Object(entries)) => entries,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(config_error(format!(
                    "adapter_config.json: {option} must be an object of layers' names"
                )));
            }
        };
        if entries.len() > PATTERNS_MAX {
            return Err(config_error(format!(
                "adapter_config.json: {option} may have up to {PATTERNS_MAX} entries"
            )));
        }
        let entry = |(key, value): (&String, &Value)| {
            let value = read(value).ok_or_else(|| {
                config_error(format!(
                    "adapter_config.json: {option}.{key} is not a value that it may have"
                ))
            })?;
            Ok((key.clone(), whole(option, &format!("(.*\\.)?({key})"))?, value))
        };
        entries.iter().map(entry).collect::<Result<_>>().map(Self)
    }

    /// The layer's value, if one is given. PEFT takes the first of several that match; a JSON object has no first.
    pub fn of(&self, option: &str, layer: &str) -> Result<Option<T>> {
        let mut found: Option<(&String, T)> = None;
        for (key, expression, value) in &self.0 {
            if !expression.is_match(layer) {
                continue;
            }
            match found {
                Some((other, before)) if before != *value => {
                    return Err(config_error(format!(
                        "adapter_config.json: {option} has two values for the layer {layer}, by {other:?} and {key:?}"
                    )));
                }
                Some(_) => {}
                None => found = Some((key, *value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }
}

/// An expression that matches only the whole of a name.
fn whole(option: &str, expression: &str) -> Result<Regex> {
    let refused = |error: regex::Error| -> Error {
        config_error(format!(
            "adapter_config.json: {option} has an expression that cannot be read: {error}"
        ))
    };
    RegexBuilder::new(&format!("^(?:{expression})$"))
        .size_limit(EXPRESSION_BYTES)
        .dfa_size_limit(EXPRESSION_BYTES)
        .build()
        .map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const Q: &str = "model.layers.1.self_attn.q_proj";

    #[test]
    fn every_spelling_of_target_modules_names_the_same_layers() {
        for (value, q, up, head) in [
            (json!(null), true, true, true),
            (json!("all-linear"), true, true, false),
            (json!("ALL-LINEAR"), true, true, false),
            (json!(["q_proj", "lm_head"]), true, false, true),
            (json!(["self_attn.q_proj"]), true, false, false),
            (json!(["proj", "1.mlp"]), false, false, false),
            (json!(r".*\.(q_proj|up_proj)"), true, true, false),
            (json!(r"model\.layers\.\d+\.mlp\.up_proj|lm_head"), false, true, true),
            (json!("q_proj"), false, false, false),
        ] {
            let targets = Targets::read(Some(&value)).unwrap();
            let covered = [Q, "model.layers.1.mlp.up_proj", "lm_head"].map(|layer| targets.cover(layer));
            assert_eq!(covered, [q, up, head], "{value}");
        }
        for bad in [json!(5), json!([5]), json!("(q_proj"), json!({"q_proj": 1})] {
            let error = Targets::read(Some(&bad)).unwrap_err();
            assert!(error.message().contains("target_modules"), "{error}");
        }
    }

    #[test]
    fn a_pattern_matches_the_end_of_a_name() {
        let read = |value: Value| Pattern::read("rank_pattern", Some(&value), Value::as_u64);
        for (key, matches) in [
            ("q_proj", true),
            ("self_attn.q_proj", true),
            (Q, true),
            (r"model\.layers\.[01]\..*", true),
            ("layers.1.self_attn.q_proj", true),
            ("attn.q_proj", false),
            ("k_proj", false),
            ("model", false),
        ] {
            let pattern = read(json!({key: 2})).unwrap();
            assert_eq!(pattern.of("rank_pattern", Q).unwrap(), matches.then_some(2), "{key}");
        }
        let alike = read(json!({"q_proj": 2, "self_attn.q_proj": 2})).unwrap();
        assert_eq!(alike.of("rank_pattern", Q).unwrap(), Some(2));
        let unlike = read(json!({"q_proj": 2, "self_attn.q_proj": 3})).unwrap();
        assert!(unlike.of("rank_pattern", Q).is_err());
        for bad in [
            json!([]),
            json!({"q_proj": "2"}),
            json!({"(": 2}),
            json!({"(a{999}){999}": 2}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
