//! The layers of a BERT, under the names that published weights have. Attention over all tokens, normalization after each part, positions
//! from a table.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear, ops};
use serde::Deserialize;

/// Of `config.json`, what the layers depend on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    num_hidden_layers: usize,
    pub num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    pub max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    #[serde(default, rename = "position_embedding_type")]
    _positions: Positions,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Activation {
    Gelu,
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    Relu,
}

/// There are models with others, which this would compute wrongly.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Positions {
    #[default]
    Absolute,
}

pub(super) struct Layers {
    words: Embedding,
    positions: Embedding,
    types: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    activation: Activation,
    narrow: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl Layers {
    pub fn load(weights: &VarBuilder, config: &Config) -> Result<Self> {
        let size = config.hidden_size;
        let table = weights.pp("embeddings");
        let layers = (0..config.num_hidden_layers)
            .map(|number| Layer::load(&weights.pp(format!("encoder.layer.{number}")), config));
        Ok(Self {
            words: embedding(config.vocab_size, size, table.pp("word_embeddings"))?,
            positions: embedding(config.max_position_embeddings, size, table.pp("position_embeddings"))?,
            types: embedding(config.type_vocab_size, size, table.pp("token_type_embeddings"))?,
            norm: layer_norm(size, config.layer_norm_eps, table.pp("LayerNorm"))?,
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The vectors of tokens, of dimensions (text, token, vector). All arguments have a row for each text; `mask` is 0 where there is
    /// padding.
    pub fn forward(&self, tokens: &Tensor, types: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let (_, length) = tokens.dims2()?;
        let places = Tensor::arange(0, u32::try_from(length).unwrap_or(u32::MAX), &Device::Cpu)?;
        let vectors = (self.words.forward(tokens)? + self.types.forward(types)?)?;
        let vectors = vectors.broadcast_add(&self.positions.forward(&places)?)?;
        // What is added to the scores of attention: nothing, or so much that nothing is left of them.
        let absent = mask
            .to_dtype(DType::F32)?
            .affine(f64::from(f32::MAX), -f64::from(f32::MAX))?;
        let absent = absent.unsqueeze(1)?.unsqueeze(1)?;
        let vectors = self.norm.forward(&vectors)?;
        self.layers
            .iter()
            .try_fold(vectors, |vectors, layer| layer.forward(&vectors, &absent))
    }
}

impl Layer {
    fn load(weights: &VarBuilder, config: &Config) -> Result<Self> {
        let (size, wide, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let square = |name: &str| linear(size, size, weights.pp(name));
        let norm = |name: &str| layer_norm(size, epsilon, weights.pp(name));
        Ok(Self {
            query: square("attention.self.query")?,
            key: square("attention.self.key")?,
            value: square("attention.self.value")?,
            attended: square("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            wide: linear(size, wide, weights.pp("intermediate.dense"))?,
            activation: config.hidden_act,
            narrow: linear(wide, size, weights.pp("output.dense"))?,
            norm: norm("output.LayerNorm")?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, vectors: &Tensor, absent: &Tensor) -> Result<Tensor> {
        let attended = self.attended.forward(&self.attend(vectors, absent)?)?;
        let attended = self.attended_norm.forward(&(attended + vectors)?)?;
        let wide = self.wide.forward(&attended)?;
        let wide = match self.activation {
            Activation::Gelu => wide.gelu_erf()?,
            Activation::GeluNew => wide.gelu()?,
            Activation::Relu => wide.relu()?,
        };
        self.norm.forward(&(self.narrow.forward(&wide)? + attended)?)
    }

    fn attend(&self, vectors: &Tensor, absent: &Tensor) -> Result<Tensor> {
        let (texts, length, size) = vectors.dims3()?;
        let by_head = |layer: &Linear| {
            let made = layer.forward(vectors)?;
            let made = made.reshape((texts, length, self.heads, size / self.heads))?;
            made.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (by_head(&self.query)?, by_head(&self.key)?, by_head(&self.value)?);
        let root = ((size / self.heads) as f64).sqrt();
        let scores = (query.matmul(&key.transpose(D::Minus1, D::Minus2)?)? / root)?;
        let shares = ops::softmax_last_dim(&scores.broadcast_add(absent)?)?;
        shares.matmul(&value)?.transpose(1, 2)?.reshape((texts, length, size))
    }
}
