//! An implementation of its own of the decoder that Llama, Mistral, Qwen2, Qwen3, SmolLM3, Phi-3 and Gemma 2 share, without candle:
//! RMSNorm, rotary positions (Hugging Face's halves), grouped-query attention, SwiGLU; biases and head norms where the checkpoint has
//! them; SmolLM3's layers without positions, Phi-3's fused matrices, and what Gemma 2 does in other ways.
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
    model_type: String,
    /// Of SmolLM3: the last of so many layers knows no positions.
    no_rope_layer_interval: Option<usize>,
    /// The following four are Gemma 2's. Every second layer sees the window only.
    sliding_window: Option<usize>,
    query_pre_attn_scalar: Option<f32>,
    attn_logit_softcapping: Option<f32>,
    final_logit_softcapping: Option<f32>,
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
    /// Gemma 2's, between attention and the sum.
    attention_end_norm: Option<Vec<f32>>,
    mlp_norm: Vec<f32>,
    mlp_end_norm: Option<Vec<f32>>,
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
    family: String,
    heads: (usize, usize),
    base: Tensors,
    adapter: Tensors,
    peft: serde_json::Value,
}

impl Llama {
    pub fn read(folder: &Path, adapter: Option<&Path>) -> Self {
        let json = std::fs::read(folder.join("config.json")).unwrap();
        let config: Config = serde_json::from_slice(&json).unwrap();
        let head_size = config
            .head_dim
            .unwrap_or(config.hidden_size / config.num_attention_heads);
        let mut parts = Parts {
            family: config.model_type.clone(),
            heads: (
                config.num_attention_heads * head_size,
                config.num_key_value_heads * head_size,
            ),
            base: tensors::read(&folder.join("model.safetensors")),
            adapter: Tensors::new(),
            peft: serde_json::Value::Null,
        };
        if let Some(adapter) = adapter {
            let json = std::fs::read(adapter.join("adapter_config.json")).unwrap();
            parts.peft = serde_json::from_slice(&json).unwrap();
            parts.adapter = tensors::read(&adapter.join("adapter_model.safetensors"));
        }
        let model = Self {
            embedding: parts.base.remove("model.embed_tokens.weight").unwrap(),
            layers: (0..config.num_hidden_layers)
                .map(|i| parts.layer(&format!("model.layers.{i}")))
                .collect(),
            norm: parts.norm("model.norm").unwrap(),
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
        let hidden: Vec<_> = prompt
            .iter()
            .chain(answer)
            .map(|id| self.step(*id, &mut cache))
            .collect();
        let chosen_by = &hidden[prompt.len() - 1..hidden.len() - 1];
        chosen_by.iter().map(|hidden| self.logits(hidden)).collect()
    }

    fn step(&self, id: u32, cache: &mut Cache) -> Vec<f32> {
        let config = &self.config;
        let mut x = self.embedding.row(id as usize).to_vec();
        if self.is_gemma() {
            x.iter_mut().for_each(|x| *x *= (config.hidden_size as f32).sqrt());
        }
        for (number, (layer, past)) in self.layers.iter().zip(&mut cache.layers).enumerate() {
            let h = norm(&x, &layer.attention_norm, config.rms_norm_eps);
            let mut q = layer.q.apply(&h);
            let mut k = layer.k.apply(&h);
            let position = self.knows_positions(number).then_some(cache.position);
            self.place(&mut q, layer.q_norm.as_deref(), position);
            self.place(&mut k, layer.k_norm.as_deref(), position);
            past.keys.push(k);
            past.values.push(layer.v.apply(&h));
            let window = config
                .sliding_window
                .filter(|_| self.is_gemma() && number.is_multiple_of(2));
            let attended = layer.o.apply(&self.attend(&q, past, window));
            add(
                &mut x,
                &end_norm(attended, layer.attention_end_norm.as_deref(), config.rms_norm_eps),
            );

            let h = norm(&x, &layer.mlp_norm, config.rms_norm_eps);
            let gated = layer.gate.apply(&h).into_iter().zip(layer.up.apply(&h));
            let gated: Vec<f32> = gated.map(|(g, u)| self.activation(g) * u).collect();
            let down = layer.down.apply(&gated);
            add(
                &mut x,
                &end_norm(down, layer.mlp_end_norm.as_deref(), config.rms_norm_eps),
            );
        }
        cache.position += 1;
        x
    }

    fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let h = norm(hidden, &self.norm, self.config.rms_norm_eps);
        let logits: Vec<f32> = match &self.head {
            Some(head) => head.apply(&h),
            None => self.embedding.rows().map(|row| dot(row, &h)).collect(),
        };
        let cap = self.config.final_logit_softcapping.filter(|_| self.is_gemma());
        logits.into_iter().map(|logit| soft_cap(logit, cap)).collect()
    }

    fn is_gemma(&self) -> bool {
        self.config.model_type == "gemma2"
    }

    fn knows_positions(&self, layer: usize) -> bool {
        let interval = self
            .config
            .no_rope_layer_interval
            .filter(|_| self.config.model_type == "smollm3");
        interval.is_none_or(|interval| !(layer + 1).is_multiple_of(interval))
    }

    /// SiLU, or Gemma's approximation of GELU.
    fn activation(&self, x: f32) -> f32 {
        if self.is_gemma() {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            return 0.5 * x * (1.0 + inner.tanh());
        }
        x / (1.0 + (-x).exp())
    }

    /// Each head's norm, if there is one, and its rotation by the position.
    fn place(&self, heads: &mut [f32], weight: Option<&[f32]>, position: Option<usize>) {
        let size = self.head_size();
        let half = size / 2;
        for head in heads.chunks_exact_mut(size) {
            if let Some(weight) = weight {
                let normed = norm(head, weight, self.config.rms_norm_eps);
                head.copy_from_slice(&normed);
            }
            let Some(position) = position else { continue };
            for i in 0..half {
                let frequency = self.config.rope_theta.powf(-2.0 * i as f32 / size as f32);
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                let (a, b) = (head[i], head[i + half]);
                head[i] = a * cos - b * sin;
                head[i + half] = b * cos + a * sin;
            }
        }
    }

    fn attend(&self, q: &[f32], past: &Past, window: Option<usize>) -> Vec<f32> {
        let size = self.head_size();
        let gemma = self.is_gemma();
        let scale = self
            .config
            .query_pre_attn_scalar
            .filter(|_| gemma)
            .unwrap_or(size as f32)
            .sqrt();
        let cap = self.config.attn_logit_softcapping.filter(|_| gemma);
        let first = past.keys.len().saturating_sub(window.unwrap_or(usize::MAX));
        let group = self.config.num_attention_heads / self.config.num_key_value_heads;
        let mut out = vec![0.0; q.len()];
        for (number, (q, out)) in q.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
            let at = number / group * size;
            let mut weights: Vec<f32> = past.keys[first..]
                .iter()
                .map(|k| soft_cap(dot(q, &k[at..at + size]) / scale, cap))
                .collect();
            let top = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            weights.iter_mut().for_each(|w| *w = (*w - top).exp());
            let sum: f32 = weights.iter().sum();
            for (weight, v) in weights.iter().zip(&past.values[first..]) {
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
        let (attention, mlp) = (format!("{at}.self_attn"), format!("{at}.mlp"));
        let (queries, keys) = self.heads;
        let [q, k, v] = match self.family.as_str() {
            "phi3" => self.fused(&format!("{attention}.qkv_proj"), [queries, keys, keys]),
            _ => ["q_proj", "k_proj", "v_proj"].map(|name| self.linear(&format!("{attention}.{name}"))),
        };
        let down = self.linear(&format!("{mlp}.down_proj"));
        let inner = down.weight.shape[1];
        let [gate, up] = match self.family.as_str() {
            "phi3" => self.fused(&format!("{mlp}.gate_up_proj"), [inner, inner]),
            _ => ["gate_proj", "up_proj"].map(|name| self.linear(&format!("{mlp}.{name}"))),
        };
        // Gemma 2 has the usual name for another place.
        let mut end_norm = |gemma, name: &str| {
            if gemma {
                self.norm(&format!("{at}.{name}"))
            } else {
                None
            }
        };
        let gemma = end_norm(true, "pre_feedforward_layernorm");
        let attention_end_norm = end_norm(gemma.is_some(), "post_attention_layernorm");
        let mlp_end_norm = end_norm(gemma.is_some(), "post_feedforward_layernorm");
        Layer {
            attention_norm: self.norm(&format!("{at}.input_layernorm")).unwrap(),
            q,
            k,
            v,
            o: self.linear(&format!("{attention}.o_proj")),
            q_norm: self.norm(&format!("{attention}.q_norm")),
            k_norm: self.norm(&format!("{attention}.k_norm")),
            attention_end_norm,
            mlp_norm: gemma.unwrap_or_else(|| self.norm(&format!("{at}.post_attention_layernorm")).unwrap()),
            mlp_end_norm,
            gate,
            up,
            down,
        }
    }

    /// Several matrices that are one in the checkpoint, row after row.
    fn fused<const N: usize>(&mut self, name: &str, rows: [usize; N]) -> [Linear; N] {
        let fused = self.linear(name);
        let mut first = 0;
        rows.map(|rows| {
            let part = |tensor: &Tensor| {
                let width = tensor.shape[1];
                Tensor::new(
                    &[rows, width],
                    tensor.data[first * width..(first + rows) * width].to_vec(),
                )
            };
            let linear = Linear {
                weight: part(&fused.weight),
                bias: None,
                lora: fused.lora.as_ref().map(|(a, b, scale)| (a.clone(), part(b), *scale)),
            };
            first += rows;
            linear
        })
    }

    fn linear(&mut self, name: &str) -> Linear {
        let adapter = |half: &str| format!("base_model.model.{name}.lora_{half}.weight");
        let (a, b) = (self.adapter.remove(&adapter("A")), self.adapter.remove(&adapter("B")));
        Linear {
            weight: self.base.remove(&format!("{name}.weight")).unwrap(),
            bias: self.vector(&format!("{name}.bias")),
            lora: a.map(|a| {
                let scale = self.scale(name, a.shape[0]);
                (a, b.unwrap(), scale)
            }),
        }
    }

    /// The rank is the tensor's own; an alpha pattern is the end of a name.
    fn scale(&self, layer: &str, rank: usize) -> f32 {
        let patterns = self.peft["alpha_pattern"].as_object();
        let own = patterns.and_then(|patterns| patterns.iter().find(|(end, _)| layer.ends_with(end.as_str())));
        let alpha = own
            .map_or(&self.peft["lora_alpha"], |(_, alpha)| alpha)
            .as_f64()
            .unwrap();
        let rank = rank as f64;
        let divisor = if self.peft["use_rslora"] == true {
            rank.sqrt()
        } else {
            rank
        };
        (alpha / divisor) as f32
    }

    fn norm(&mut self, name: &str) -> Option<Vec<f32>> {
        let mut weight = self.vector(&format!("{name}.weight"))?;
        if self.family == "gemma2" {
            weight.iter_mut().for_each(|weight| *weight += 1.0);
        }
        Some(weight)
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

fn end_norm(x: Vec<f32>, weight: Option<&[f32]>, eps: f32) -> Vec<f32> {
    match weight {
        Some(weight) => norm(&x, weight, eps),
        None => x,
    }
}

fn soft_cap(x: f32, cap: Option<f32>) -> f32 {
    cap.map_or(x, |cap| cap * (x / cap).tanh())
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
