//! PEFT's file format, checked before a tensor is made: `adapter_config.json` and the header of
//! `adapter_model.safetensors`. Source of the format: the PEFT library's `LoraConfig` and its checkpoint names.
//! Not here: tensors (`mistral/adapters.rs`).

use riad_core::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const PREFIX: &str = "base_model.model.";

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
const REFUSED: [(&str, &str); 11] = [
    ("use_dora", ""),
    ("fan_in_fan_out", ""),
    ("bias", "none"),
    ("modules_to_save", ""),
    ("rank_pattern", ""),
    ("alpha_pattern", ""),
    ("layer_replication", ""),
    ("lora_bias", ""),
    ("trainable_token_indices", ""),
    ("target_parameters", ""),
    ("use_qalora", ""),
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PeftConfig {
    pub rank: u32,
    pub scale: f64,
}

/// The two tensors of one layer, by their names in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairNames {
    pub a: String,
    pub b: String,
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
    let rank = raw
        .r
        .filter(|r| (1..=1024).contains(r))
        .ok_or_else(|| config_error("adapter_config.json: r must be 1 to 1024"))?;
    let alpha = raw
        .lora_alpha
        .filter(|alpha| alpha.is_finite() && *alpha != 0.0)
        .ok_or_else(|| config_error("adapter_config.json: lora_alpha must be a number and not 0"))?;
    let divisor = if raw.use_rslora {
        f64::from(rank).sqrt()
    } else {
        f64::from(rank)
    };
    Ok(PeftConfig {
        rank,
        scale: alpha / divisor,
    })
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
) -> Result<BTreeMap<String, PairNames>> {
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
        let rank = config.rank as usize;
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
            (Some(a), Some(b)) => Ok((target, PairNames { a, b })),
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

    const CONFIG: PeftConfig = PeftConfig { rank: 2, scale: 1.0 };

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

    fn pair(bytes: &[u8]) -> Result<BTreeMap<String, PairNames>> {
        pair_tensors(&read_weights(bytes)?, &CONFIG, |name| {
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
            PairNames {
                a: A.into(),
                b: B.into()
            }
        );
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
        assert_eq!(
            read_config(good.to_string().as_bytes()).unwrap(),
            PeftConfig { rank: 4, scale: 2.0 }
        );
        for (key, value) in [
            ("peft_type", serde_json::json!("IA3")),
            ("r", serde_json::json!(0)),
            ("lora_alpha", serde_json::json!(null)),
            ("use_dora", serde_json::json!(true)),
            ("bias", serde_json::json!("all")),
            ("modules_to_save", serde_json::json!(["lm_head"])),
            ("rank_pattern", serde_json::json!({"q": 3})),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(read_config(bad.to_string().as_bytes()).is_err(), "{key}");
        }
        let mut rs = good;
        rs["use_rslora"] = serde_json::json!(true);
        assert_eq!(read_config(rs.to_string().as_bytes()).unwrap().scale, 4.0);
    }
}
