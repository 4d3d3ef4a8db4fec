//! Checkpoints and adapters of random numbers, in Hugging Face's and PEFT's layouts, with the shipped tokenizer. Their head
//! gives weight only to tokens that are plain text, so that what a model says is readable and ends only at `max_tokens`.
//! Not here: what they should say.

use super::{
    ask,
    random::Random,
    shipped::{self, Template},
    tensors::{self, Tensor, Tensors},
};
use riad_core::adapter::AdapterSource;
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub hidden: usize,
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_size: usize,
    pub positions: usize,
}

pub const SMALL: Shape = Shape {
    hidden: 64,
    inner: 96,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    head_size: 16,
    positions: 4096,
};

/// A checkpoint in a folder of its own, and adapters for it. All goes when it is dropped.
pub struct Made {
    folder: TempDir,
    family: String,
    pub shape: Shape,
    pub tensors: Tensors,
}

pub const HEAD: &str = "lm_head";

/// A linear layer: its name, and its outputs and inputs.
pub type Layer = (String, usize, usize);

impl Made {
    /// `family` is the `model_type`; the same seed gives the same numbers.
    pub fn new(family: &str, shape: Shape, seed: u64) -> Self {
        Self::changed(family, shape, seed, |_| {})
    }

    pub fn changed(family: &str, shape: Shape, seed: u64, change: impl FnOnce(&mut Tensors)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = random_tensors(family, &shape, seed);
        change(&mut tensors);
        let made = Self {
            folder,
            family: family.to_owned(),
            shape,
            tensors,
        };
        write(&made.model(), &config(family, &shape), &made.tensors);
        made
    }

    pub fn model(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    /// The linear matrices of each layer: seven, or four where the family fuses some.
    pub fn matrices(&self) -> Vec<Layer> {
        matrices(&self.family, &self.shape)
    }

    /// A random adapter over these layers.
    pub fn adapter(&self, name: &str, layers: &[Layer], seed: u64) -> AdapterSource {
        self.adapter_of_rank(4, name, layers, seed)
    }

    pub fn adapter_of_rank(&self, rank: usize, name: &str, layers: &[Layer], seed: u64) -> AdapterSource {
        let config = json!({"peft_type": "LORA", "r": rank, "lora_alpha": rank as f64 / 2.0});
        self.adapter_of_ranks(|_| rank, config, name, layers, seed)
    }

    /// `config` is what the adapter's configuration says; `rank` must be what it means.
    pub fn adapter_of_ranks(
        &self,
        rank: impl Fn(&str) -> usize,
        config: serde_json::Value,
        name: &str,
        layers: &[Layer],
        seed: u64,
    ) -> AdapterSource {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut random = Random::new(seed);
        let mut tensors = Tensors::new();
        for (layer, outputs, inputs) in layers {
            let rank = rank(layer);
            let name = |half: &str| format!("base_model.model.{layer}.lora_{half}.weight");
            tensors.insert(name("A"), random.tensor(&[rank, *inputs], unit(*inputs)));
            let mut b = random.tensor(&[*outputs, rank], unit(rank));
            if layer == HEAD {
                silence(&mut b, &Template::read(&self.model()));
            }
            tensors.insert(name("B"), b);
        }
        write_adapter(&folder, &config, &tensors);
        ask::source(&folder)
    }

    /// The same checkpoint with an adapter's product in its weights: `W + B·A·alpha/r`.
    pub fn merged(&self, adapter: &Path) -> PathBuf {
        let peft = std::fs::read(adapter.join("adapter_config.json")).unwrap();
        let peft: serde_json::Value = serde_json::from_slice(&peft).unwrap();
        let scale = peft["lora_alpha"].as_f64().unwrap() / peft["r"].as_f64().unwrap();
        let halves = tensors::read(&adapter.join("adapter_model.safetensors"));
        let mut merged = self.tensors.clone();
        for (name, a) in &halves {
            let Some(layer) = name.strip_suffix(".lora_A.weight") else {
                continue;
            };
            let b = &halves[&format!("{layer}.lora_B.weight")];
            let layer = layer.strip_prefix("base_model.model.").unwrap();
            let weight = merged.get_mut(&format!("{layer}.weight")).unwrap();
            let width = a.shape[1];
            for (row, b) in weight.data.chunks_exact_mut(width).zip(b.rows()) {
                for (column, value) in row.iter_mut().enumerate() {
                    let sum: f32 = b.iter().enumerate().map(|(r, b)| b * a.row(r)[column]).sum();
                    *value += sum * scale as f32;
                }
            }
        }
        let folder = self.folder.path().join("merged");
        let config = std::fs::read_to_string(self.model().join("config.json")).unwrap();
        write(&folder, &config, &merged);
        folder
    }
}

pub fn write_adapter(folder: &Path, config: &serde_json::Value, tensors: &Tensors) {
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    tensors::write(&folder.join("adapter_model.safetensors"), tensors);
}

pub fn matrices(family: &str, shape: &Shape) -> Vec<Layer> {
    let (queries, keys) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
    let (hidden, inner) = (shape.hidden, shape.inner);
    let of_layer = match family {
        "phi3" => vec![
            ("self_attn.qkv_proj", queries + 2 * keys, hidden),
            ("self_attn.o_proj", hidden, queries),
            ("mlp.gate_up_proj", 2 * inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ],
        _ => vec![
            ("self_attn.q_proj", queries, hidden),
            ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden),
            ("self_attn.o_proj", hidden, queries),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ],
    };
    let named = |i: usize| {
        let layers = of_layer.iter();
        layers.map(move |(name, outputs, inputs)| (format!("model.layers.{i}.{name}"), *outputs, *inputs))
    };
    (0..shape.layers).flat_map(named).collect()
}

fn random_tensors(family: &str, shape: &Shape, seed: u64) -> Tensors {
    let mut random = Random::new(seed);
    let template = Template::read(&shipped::base());
    let vocabulary = template.vocabulary();
    let mut all = Tensors::new();
    for (name, outputs, inputs) in matrices(family, shape) {
        // Qwen2 has biases in its attention, but not at its end.
        if family == "qwen2" && name.contains("self_attn") && !name.ends_with("o_proj") {
            all.insert(format!("{name}.bias"), random.tensor(&[outputs], 0.5));
        }
        all.insert(
            format!("{name}.weight"),
            random.tensor(&[outputs, inputs], unit(inputs)),
        );
    }
    // Not ones, so that a norm that is left out is seen. Gemma adds the one itself.
    let one = if family.starts_with("gemma") { 0.0 } else { 1.0 };
    let mut norm = |size: usize| {
        let mut weight = random.tensor(&[size], 0.5);
        weight.data.iter_mut().for_each(|w| *w += one);
        weight
    };
    for i in 0..shape.layers {
        let at = format!("model.layers.{i}");
        all.insert(format!("{at}.input_layernorm.weight"), norm(shape.hidden));
        all.insert(format!("{at}.post_attention_layernorm.weight"), norm(shape.hidden));
        if family == "gemma2" {
            for name in ["pre_feedforward_layernorm", "post_feedforward_layernorm"] {
                all.insert(format!("{at}.{name}.weight"), norm(shape.hidden));
            }
        }
        if family == "qwen3" {
            all.insert(format!("{at}.self_attn.q_norm.weight"), norm(shape.head_size));
            all.insert(format!("{at}.self_attn.k_norm.weight"), norm(shape.head_size));
        }
    }
    all.insert("model.norm.weight".into(), norm(shape.hidden));
    if family.starts_with("gemma") {
        // The words are also the head. Gemma makes them greater before the first layer.
        let mut words = random.tensor(&[vocabulary, shape.hidden], unit(shape.hidden));
        silence(&mut words, &template);
        all.insert("model.embed_tokens.weight".into(), words);
        return all;
    }
    let words = random.tensor(&[vocabulary, shape.hidden], unit(1));
    all.insert("model.embed_tokens.weight".into(), words);
    let mut head = random.tensor(&[vocabulary, shape.hidden], unit(shape.hidden));
    silence(&mut head, &template);
    all.insert(format!("{HEAD}.weight"), head);
    all
}

/// Takes the weight from special tokens (the one that ends an answer among them) and from parts of characters.
fn silence(head: &mut Tensor, template: &Template) {
    let width = head.shape[1];
    for (id, row) in head.data.chunks_exact_mut(width).enumerate() {
        let text = template.text(&[id as u32]);
        if text.is_empty() || !text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            row.fill(0.0);
        }
    }
}

fn config(family: &str, shape: &Shape) -> String {
    let architecture = match family {
        "llama" => "LlamaForCausalLM",
        "mistral" => "MistralForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        "qwen3" => "Qwen3ForCausalLM",
        "smollm3" => "SmolLM3ForCausalLM",
        "gemma" => "GemmaForCausalLM",
        "gemma2" => "Gemma2ForCausalLM",
        "phi3" => "Phi3ForCausalLM",
        other => panic!("no architecture for {other}"),
    };
    let gemma = family.starts_with("gemma");
    json!({
        "architectures": [architecture],
        "model_type": family,
        "vocab_size": Template::read(&shipped::base()).vocabulary(),
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "hidden_act": if gemma { "gelu_pytorch_tanh" } else { "silu" },
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "attention_bias": family == "qwen2",
        // Shorter than the prompts, and a scale and limits that are not the usual ones, so that each is seen.
        "sliding_window": (family == "gemma2").then_some(8),
        "query_pre_attn_scalar": 24,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 4.0,
        "original_max_position_embeddings": shape.positions,
        "use_sliding_window": false,
        "max_window_layers": shape.layers,
        "no_rope_layer_interval": 2,
        "tie_word_embeddings": gemma,
        "bos_token_id": 0,
        "eos_token_id": 5,
        "torch_dtype": "float32",
    })
    .to_string()
}

fn write(folder: &Path, config: &str, tensors: &Tensors) {
    std::fs::create_dir_all(folder).unwrap();
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "generation_config.json",
    ] {
        std::fs::copy(shipped::base().join(name), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("config.json"), config).unwrap();
    tensors::write(&folder.join("model.safetensors"), tensors);
}

/// The limit of uniform numbers with which a sum of `count` products keeps the size of its inputs.
fn unit(count: usize) -> f32 {
    (3.0 / count as f32).sqrt()
}
