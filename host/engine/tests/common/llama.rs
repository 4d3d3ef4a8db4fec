//! An implementation of its own of the decoder that Llama, Mistral, Qwen2 and Qwen3 share, without candle: RMSNorm, rotary
//! positions (Hugging Face's halves), grouped-query attention, SwiGLU; biases and head norms where the checkpoint has them.
//! A LoRA pair adds `x·Aᵀ·Bᵀ·alpha/r` and is never merged. Slow and plain on purpose. Not here: tokens as text.

use super::tensors::{self, Tensor, Tensors};
use serde::Deserialize;
use std::path::Path;

pub struct Llama {
    config: Config,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embedding is also the head.
    head: Option<Linear>,
}

#[derive(Deserialize)]
struct Config {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: Option<usize>,
    rms_norm_eps: f32,
    rope_theta: f32,
    tie_word_embeddings: bool,
    eos_token_id: u32,
}

struct Layer {
    attention_norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<Vec<f32>>,
    k_norm: Option<Vec<f32>>,
    mlp_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct Linear {
    weight: Tensor,
    bias: Option<Vec<f32>>,
    lora: Option<(Tensor, Tensor, f32)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// With the token that ended it, if one did.
    pub ids: Vec<u32>,
    pub ended: bool,
    /// The smallest lead of a chosen token over the next best: how far from a tie it was.
    pub margin: f32,
}

struct Parts {
    base: Tensors,
    adapter: Tensors,
    scale: f32,
}

impl Llama {
    pub fn read(folder: &Path, adapter: Option<&Path>) -> Self {
        let json = std::fs::read(folder.join("config.json")).unwrap();
        let config: Config = serde_json::from_slice(&json).unwrap();
        let mut parts = Parts {
            base: tensors::read(&folder.join("model.safetensors")),
            adapter: Tensors::new(),
            scale: 0.0,
        };
        if let Some(adapter) = adapter {
            let json = std::fs::read(adapter.join("adapter_config.json")).unwrap();
            let peft: serde_json::Value = serde_json::from_slice(&json).unwrap();
            parts.scale = (peft["lora_alpha"].as_f64().unwrap() / peft["r"].as_f64().unwrap()) as f32;
            parts.adapter = tensors::read(&adapter.join("adapter_model.safetensors"));
        }
        let model = Self {
            embedding: parts.base.remove("model.embed_tokens.weight").unwrap(),
            layers: (0..config.num_hidden_layers)
                .map(|i| parts.layer(&format!("model.layers.{i}")))
                .collect(),
            norm: parts.vector("model.norm.weight").unwrap(),
            head: (!config.tie_word_embeddings).then(|| parts.linear("lm_head")),
            config,
        };
        assert!(parts.base.is_empty(), "not used: {:?}", parts.base.keys());
        assert!(parts.adapter.is_empty(), "not used: {:?}", parts.adapter.keys());
        model
    }

    /// The most likely tokens after `prompt`, up to the model's end token or `max_tokens`.
    pub fn complete(&self, prompt: &[u32], max_tokens: usize) -> Completion {
        let mut cache = Cache::new(self.layers.len());
        let mut hidden = Vec::new();
        for &id in prompt {
            hidden = self.step(id, &mut cache);
        }
        let mut done = Completion {
            ids: Vec::new(),
            ended: false,
            margin: f32::INFINITY,
        };
        loop {
            let (id, margin) = best(&self.logits(&hidden));
            done.ids.push(id);
            done.margin = done.margin.min(margin);
            done.ended = id == self.config.eos_token_id;
            if done.ended || done.ids.len() == max_tokens {
                return done;
            }
            hidden = self.step(id, &mut cache);
        }
    }

    /// The logits that each token of `answer` was chosen by.
    pub fn logits_after(&self, prompt: &[u32], answer: &[u32]) -> Vec<Vec<f32>> {
        let mut cache = Cache::new(self.layers.len());
        let hidden: Vec<_> = prompt.iter().chain(answer).map(|id| self.step(*id, &mut cache)).collect();
        let chosen_by = &hidden[prompt.len() - 1..hidden.len() - 1];
        chosen_by.iter().map(|hidden| self.logits(hidden)).collect()
    }

    fn step(&self, id: u32, cache: &mut Cache) -> Vec<f32> {
        let config = &self.config;
        let mut x = self.embedding.row(id as usize).to_vec();
        for (layer, past) in self.layers.iter().zip(&mut cache.layers) {
            let h = norm(&x, &layer.attention_norm, config.rms_norm_eps);
            let mut q = layer.q.apply(&h);
            let mut k = layer.k.apply(&h);
            self.place(&mut q, layer.q_norm.as_deref(), cache.position);
            self.place(&mut k, layer.k_norm.as_deref(), cache.position);
            past.keys.push(k);
            past.values.push(layer.v.apply(&h));
            add(&mut x, &layer.o.apply(&self.attend(&q, past)));

            let h = norm(&x, &layer.mlp_norm, config.rms_norm_eps);
            let gated = layer.gate.apply(&h).into_iter().zip(layer.up.apply(&h));
            let gated: Vec<f32> = gated.map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            add(&mut x, &layer.down.apply(&gated));
        }
        cache.position += 1;
        x
    }

    fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let h = norm(hidden, &self.norm, self.config.rms_norm_eps);
        match &self.head {
            Some(head) => head.apply(&h),
            None => self.embedding.rows().map(|row| dot(row, &h)).collect(),
        }
    }

    /// Each head's norm, if there is one, and its rotation by the position.
    fn place(&self, heads: &mut [f32], weight: Option<&[f32]>, position: usize) {
        let size = self.head_size();
        let half = size / 2;
        for head in heads.chunks_exact_mut(size) {
            if let Some(weight) = weight {
                let normed = norm(head, weight, self.config.rms_norm_eps);
                head.copy_from_slice(&normed);
            }
            for i in 0..half {
                let frequency = self.config.rope_theta.powf(-2.0 * i as f32 / size as f32);
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                head[i] = a * cos - b * sin;
                head[i + half] = b * cos + a * sin;
            }
        }
    }

    fn attend(&self, q: &[f32], past: &Past) -> Vec<f32> {
        let size = self.head_size();
        let group = self.config.num_attention_heads / self.config.num_key_value_heads;
        let mut out = vec![0.0; q.len()];
        for (number, (q, out)) in q.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
            let at = number / group * size;
            let mut weights: Vec<f32> = past
                .keys
                .iter()
                .map(|k| dot(q, &k[at..at + size]) / (size as f32).sqrt())
                .collect();
            let top = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            weights.iter_mut().for_each(|w| *w = (*w - top).exp());
            let sum: f32 = weights.iter().sum();
            for (weight, v) in weights.iter().zip(&past.values) {
                for (o, v) in out.iter_mut().zip(&v[at..at + size]) {
                    *o += weight / sum * v;
                }
            }
        }
        out
    }

    fn head_size(&self) -> usize {
        self.config
            .head_dim
            .unwrap_or(self.config.hidden_size / self.config.num_attention_heads)
    }
}

impl Parts {
    fn layer(&mut self, at: &str) -> Layer {
        Layer {
            attention_norm: self.vector(&format!("{at}.input_layernorm.weight")).unwrap(),
            q: self.linear(&format!("{at}.self_attn.q_proj")),
            k: self.linear(&format!("{at}.self_attn.k_proj")),
            v: self.linear(&format!("{at}.self_attn.v_proj")),
            o: self.linear(&format!("{at}.self_attn.o_proj")),
            q_norm: self.vector(&format!("{at}.self_attn.q_norm.weight")),
            k_norm: self.vector(&format!("{at}.self_attn.k_norm.weight")),
            mlp_norm: self.vector(&format!("{at}.post_attention_layernorm.weight")).unwrap(),
            gate: self.linear(&format!("{at}.mlp.gate_proj")),
            up: self.linear(&format!("{at}.mlp.up_proj")),
            down: self.linear(&format!("{at}.mlp.down_proj")),
        }
    }

    fn linear(&mut self, name: &str) -> Linear {
        let adapter = |half: &str| format!("base_model.model.{name}.lora_{half}.weight");
        let (a, b) = (self.adapter.remove(&adapter("A")), self.adapter.remove(&adapter("B")));
        Linear {
            weight: self.base.remove(&format!("{name}.weight")).unwrap(),
            bias: self.vector(&format!("{name}.bias")),
            lora: a.map(|a| (a, b.unwrap(), self.scale)),
        }
    }

    fn vector(&mut self, name: &str) -> Option<Vec<f32>> {
        self.base.remove(name).map(|tensor| tensor.data)
    }
}

impl Linear {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut y = times(&self.weight, x);
        if let Some(bias) = &self.bias {
            add(&mut y, bias);
        }
        if let Some((a, b, scale)) = &self.lora {
            let delta = times(b, &times(a, x));
            y.iter_mut().zip(delta).for_each(|(y, d)| *y += d * scale);
        }
        y
    }
}

struct Cache {
    position: usize,
    layers: Vec<Past>,
}

#[derive(Default)]
struct Past {
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

impl Cache {
    fn new(layers: usize) -> Self {
        Self {
            position: 0,
            layers: (0..layers).map(|_| Past::default()).collect(),
        }
    }
}

fn norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * scale * w).collect()
}

fn times(matrix: &Tensor, x: &[f32]) -> Vec<f32> {
    matrix.rows().map(|row| dot(row, x)).collect()
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Eight sums side by side, which a compiler may keep in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    rest + sums.iter().sum::<f32>()
}

fn best(logits: &[f32]) -> (u32, f32) {
    let mut first = (0, f32::NEG_INFINITY);
    let mut second = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > first.1 {
            second = first.1;
            first = (id as u32, logit);
        } else if logit > second {
            second = logit;
        }
    }
    (first.0, first.1 - second)
}
