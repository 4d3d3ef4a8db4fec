//! PEFT's file format, checked before a tensor is made: `adapter_config.json` and the header of
//! `adapter_model.safetensors`. Source of the format: the PEFT library's `LoraConfig` and its checkpoint names.
//! Not here: tensors (`mistral/adapters.rs`).

mod patterns;

use patterns::{Pattern, Targets};
use riad_core::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const PREFIX: &str = "base_model.model.";

#[derive(Debug, Deserialize)]
struct RawConfig {
    peft_type: Option<String>,
    r: Option<u32>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Options of PEFT that change the arithmetic in ways we do not implement; each must be absent, null, false, empty or the
/// value named here.
const REFUSED: [(&str, &str); 10] = [
    ("use_dora", ""),
    ("fan_in_fan_out", ""),
    ("bias", "none"),
    ("modules_to_save", ""),
    ("layer_replication", ""),
    ("lora_bias", ""),
    ("trainable_token_indices", ""),
    ("target_parameters", ""),
    ("use_qalora", ""),
    ("alora_invocation_tokens", ""),
];

#[derive(Debug, Clone)]
pub(crate) struct PeftConfig {
    rank: u32,
    alpha: f64,
    rank_stabilized: bool,
    ranks: Pattern<u32>,
    alphas: Pattern<f64>,
    targets: Targets,
}

impl PeftConfig {
    fn rank_of(&self, layer: &str) -> Result<u32> {
        Ok(self.ranks.of("rank_pattern", layer)?.unwrap_or(self.rank))
    }

    /// What the product of a layer's pair is multiplied by.
    fn scale_of(&self, layer: &str) -> Result<f64> {
        let alpha = self.alphas.of("alpha_pattern", layer)?.unwrap_or(self.alpha);
        let rank = f64::from(self.rank_of(layer)?);
        Ok(alpha / if self.rank_stabilized { rank.sqrt() } else { rank })
    }
}

/// The two tensors of one layer, by their names in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pair {
    pub a: String,
    pub b: String,
    pub rank: u32,
    pub scale: f64,
}

/// A layer that an adapter may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerShape {
    pub in_dim: usize,
    pub out_dim: usize,
}

pub(crate) fn read_config(json: &[u8]) -> Result<PeftConfig> {
    let raw: RawConfig = serde_json::from_slice(json)
        .map_err(|e| config_error(format!("adapter_config.json is not a PEFT configuration: {e}")))?;
    if raw.peft_type.as_deref() != Some("LORA") {
        return Err(config_error("adapter_config.json: peft_type must be \"LORA\""));
    }
    for (option, harmless) in REFUSED {
        let used = match raw.rest.get(option) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => text != harmless,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Bool(true) | Value::Number(_)) => true,
        };
        if used {
            return Err(config_error(format!(
                "adapter_config.json: {option} is not supported; train the adapter without it"
            )));
        }
    }
    check_initialization(raw.rest.get("init_lora_weights"))?;
    let (rank, alpha) = (raw.r.filter(is_rank), raw.lora_alpha.filter(is_alpha));
    let wrong = |what: &str| config_error(format!("adapter_config.json: {what}"));
    let pattern = |option: &str| raw.rest.get(option);
    Ok(PeftConfig {
        rank: rank.ok_or_else(|| wrong("r must be 1 to 1024"))?,
        alpha: alpha.ok_or_else(|| wrong("lora_alpha must be a number and not 0"))?,
        rank_stabilized: raw.use_rslora,
        ranks: Pattern::read("rank_pattern", pattern("rank_pattern"), |value| {
            value.as_u64().and_then(|rank| u32::try_from(rank).ok()).filter(is_rank)
        })?,
        alphas: Pattern::read("alpha_pattern", pattern("alpha_pattern"), |value| {
            value.as_f64().filter(is_alpha)
        })?,
        targets: Targets::read(raw.rest.get("target_modules"))?,
    })
}

/// Some initializations change the base model too, and PEFT repeats that when it loads the adapter.
fn check_initialization(value: Option<&Value>) -> Result<()> {
    let text = match value {
        None | Some(Value::Null | Value::Bool(_)) => return Ok(()),
        Some(Value::String(text)) if ["gaussian", "eva", "orthogonal"].contains(&text.as_str()) => return Ok(()),
        Some(other) => other.to_string(),
    };
    Err(config_error(format!(
        "adapter_config.json: init_lora_weights {text} is not supported, because it changes the base model; let PEFT convert the \
         adapter when it saves it (path_initial_model_for_weight_conversion)"
    )))
}

fn is_rank(rank: &u32) -> bool {
    (1..=1024).contains(rank)
}

fn is_alpha(alpha: &f64) -> bool {
    alpha.is_finite() && *alpha != 0.0
}

pub(crate) fn read_weights(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(bytes).map_err(|e| weights_error(format!("adapter_model.safetensors cannot be read: {e}")))
}

/// Pairs the tensors by layer and checks names, shapes, rank and number formats. `layer` tells the shape of a layer that the
/// model has and calls.
pub(crate) fn pair_tensors(
    weights: &SafeTensors<'_>,
    config: &PeftConfig,
    layer: impl Fn(&str) -> Option<LayerShape>,
) -> Result<BTreeMap<String, Pair>> {
    let mut halves: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    let mut names: Vec<&str> = weights.names();
    names.sort_unstable();
    for name in names {
        let (target, is_a) = split_name(name)?;
        let shape = layer(target).ok_or_else(|| {
            weights_error(format!(
                "tensor {name}: the base model has no layer {target} that an adapter could change"
            ))
        })?;
        let view = weights
            .tensor(name)
            .map_err(|e| weights_error(format!("tensor {name}: {e}")))?;
        if !matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(weights_error(format!(
                "tensor {name} is {:?}; F32, F16 and BF16 are read",
                view.dtype()
            )));
        }
        if !config.targets.cover(target) {
            return Err(weights_error(format!(
                "tensor {name}: target_modules in adapter_config.json does not name the layer {target}"
            )));
        }
        let rank = config.rank_of(target)? as usize;
        let wanted = if is_a {
            [rank, shape.in_dim]
        } else {
            [shape.out_dim, rank]
        };
        if view.shape() != wanted {
            return Err(weights_error(format!(
                "tensor {name} has the shape {:?}, r in adapter_config.json and the base model want {wanted:?}",
                view.shape()
            )));
        }
        let entry = halves.entry(target.to_owned()).or_default();
        *(if is_a { &mut entry.0 } else { &mut entry.1 }) = Some(name.to_owned());
    }
    if halves.is_empty() {
        return Err(weights_error("adapter_model.safetensors has no tensors"));
    }
    halves
        .into_iter()
        .map(|(target, pair)| match pair {
            (Some(a), Some(b)) => {
                let (rank, scale) = (config.rank_of(&target)?, config.scale_of(&target)?);
                Ok((target, Pair { a, b, rank, scale }))
            }
            (Some(a), None) => Err(weights_error(format!("tensor {a} has no lora_B beside it"))),
            (None, b) => Err(weights_error(format!(
                "tensor {} has no lora_A beside it",
                b.unwrap_or_default()
            ))),
        })
        .collect()
}

fn split_name(name: &str) -> Result<(&str, bool)> {
    let wrong = || {
        weights_error(format!(
            "tensor {name}: names must be {PREFIX}<layer>.lora_A.weight or {PREFIX}<layer>.lora_B.weight"
        ))
    };
    let rest = name.strip_prefix(PREFIX).ok_or_else(wrong)?;
    if let Some(target) = rest.strip_suffix(".lora_A.weight") {
        return Ok((target, true));
    }
    rest.strip_suffix(".lora_B.weight")
        .map(|target| (target, false))
        .ok_or_else(wrong)
}

fn config_error(message: impl Into<String>) -> Error {
    Error::invalid(message).with_param("adapter_config.json")
}

pub(crate) fn weights_error(message: impl Into<String>) -> Error {
    Error::invalid(message).with_param("adapter_model.safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn config(members: serde_json::Value) -> PeftConfig {
        let mut json = serde_json::json!({"peft_type": "LORA", "r": 2, "lora_alpha": 2});
        json.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        read_config(json.to_string().as_bytes()).unwrap()
    }

    fn file(tensors: &[(&str, &[usize], Dtype)]) -> Vec<u8> {
        let data = vec![0u8; 4096];
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, shape, dtype)| {
                let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
                (
                    (*name).to_owned(),
                    TensorView::new(*dtype, shape.to_vec(), &data[..bytes]).unwrap(),
                )
            })
            .collect();
        safetensors::serialize(views, None).unwrap()
    }

    fn pair(bytes: &[u8]) -> Result<BTreeMap<String, Pair>> {
        pair_with(&config(serde_json::json!({})), bytes)
    }

    fn pair_with(config: &PeftConfig, bytes: &[u8]) -> Result<BTreeMap<String, Pair>> {
        pair_tensors(&read_weights(bytes)?, config, |name| {
            (name == "model.q").then_some(LayerShape { in_dim: 4, out_dim: 3 })
        })
    }

    const A: &str = "base_model.model.model.q.lora_A.weight";
    const B: &str = "base_model.model.model.q.lora_B.weight";

    #[test]
    fn a_right_file_is_paired() {
        let pairs = pair(&file(&[(A, &[2, 4], Dtype::F32), (B, &[3, 2], Dtype::BF16)])).unwrap();
        assert_eq!(
            pairs["model.q"],
            Pair {
                a: A.into(),
                b: B.into(),
                rank: 2,
                scale: 1.0,
            }
        );
    }

    #[test]
    fn a_layers_rank_and_alpha_are_its_patterns_or_the_general_ones() {
        let bytes = file(&[(A, &[9, 4], Dtype::F32), (B, &[3, 9], Dtype::F32)]);
        for (members, scale) in [
            (serde_json::json!({"rank_pattern": {"q": 9}}), 2.0 / 9.0),
            (
                serde_json::json!({"rank_pattern": {"model.q": 9}, "use_rslora": true}),
                2.0 / 3.0,
            ),
            (
                serde_json::json!({"r": 9, "alpha_pattern": {"q": 3.0, "k": 5}}),
                3.0 / 9.0,
            ),
            (
                serde_json::json!({"rank_pattern": {"[qk]": 9}, "alpha_pattern": {"q": 6}, "use_rslora": true}),
                2.0,
            ),
        ] {
            let pairs = pair_with(&config(members.clone()), &bytes).unwrap();
            assert_eq!((pairs["model.q"].rank, pairs["model.q"].scale), (9, scale), "{members}");
        }
        let error = pair_with(&config(serde_json::json!({"rank_pattern": {"k": 9}})), &bytes).unwrap_err();
        assert!(error.message().contains("[2, 4]"), "{error}");
    }

    #[test]
    fn a_tensor_of_a_layer_that_is_no_target_is_refused() {
        let bytes = file(&[(A, &[2, 4], Dtype::F32), (B, &[3, 2], Dtype::F32)]);
        for (targets, named) in [
            (serde_json::json!(["q", "k"]), true),
            (serde_json::json!(["k"]), false),
            (serde_json::json!(".*q"), true),
            (serde_json::json!("model"), false),
            (serde_json::json!("all-linear"), true),
        ] {
            let paired = pair_with(&config(serde_json::json!({"target_modules": targets})), &bytes);
            assert_eq!(paired.is_ok(), named, "{targets}");
            if let Err(error) = paired {
                assert!(error.message().contains("target_modules"), "{error}");
            }
        }
    }

    #[test]
    fn every_fault_names_the_tensor() {
        let other = "base_model.model.model.k.lora_A.weight";
        for (tensors, fault) in [
            (vec![(A, &[2, 5][..], Dtype::F32), (B, &[3, 2], Dtype::F32)], A),
            (vec![(A, &[1, 4][..], Dtype::F32), (B, &[3, 1], Dtype::F32)], A),
            (vec![(A, &[2, 4][..], Dtype::F32), (B, &[2, 3], Dtype::F32)], B),
            (vec![(A, &[2, 4][..], Dtype::I32), (B, &[3, 2], Dtype::F32)], A),
            (vec![(A, &[2, 4][..], Dtype::F32)], A),
            (vec![(B, &[3, 2][..], Dtype::F32)], B),
            (vec![(other, &[2, 4][..], Dtype::F32)], other),
            (
                vec![("model.q.lora_A.weight", &[2, 4][..], Dtype::F32)],
                "model.q.lora_A.weight",
            ),
        ] {
            let error = pair(&file(&tensors)).unwrap_err();
            assert!(error.message().contains(fault), "{error}");
        }
        assert!(pair(&file(&[])).unwrap_err().message().contains("no tensors"));
        assert!(pair(b"junk").is_err());
    }

    #[test]
    fn configurations_that_mean_other_arithmetic_are_refused() {
        let good =
            serde_json::json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "modules_to_save": null});
        let scale = |json: &serde_json::Value| {
            let config = read_config(json.to_string().as_bytes()).unwrap();
            config.scale_of("model.q").unwrap()
        };
        assert_eq!(scale(&good), 2.0);
        for (key, value) in [
            ("peft_type", serde_json::json!("IA3")),
            ("r", serde_json::json!(0)),
            ("lora_alpha", serde_json::json!(null)),
            ("use_dora", serde_json::json!(true)),
            ("bias", serde_json::json!("all")),
            ("modules_to_save", serde_json::json!(["lm_head"])),
            ("rank_pattern", serde_json::json!({"q": 0})),
            ("alpha_pattern", serde_json::json!({"q": 0})),
            ("target_modules", serde_json::json!(7)),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(read_config(bad.to_string().as_bytes()).is_err(), "{key}");
        }
        let mut rs = good;
        rs["use_rslora"] = serde_json::json!(true);
        assert_eq!(scale(&rs), 4.0);
    }
}
