//! The base model in memory: loading it, and one forward pass of a step's rows. Not here: which rows (`step_loop`), adapters
//! (`adapters`).

use super::inputs::StepInputs;
use crate::{
    Device as DeviceChoice, Dtype, EngineConfig, Quantization,
    checkpoint::Checkpoint,
    memory::{self, BLOCK_SIZE},
    tokens::{engine_error, grammar::GrammarCompiler, prompt::PromptEncoder, vocabulary::Vocabulary},
};
use candle_core::{DType, Device};
use mistralrs::core::{
    AutoDeviceMapParams, DeviceMapSetting, ForwardInputsResult, IsqType, Loader, MemoryGpuConfig, ModelDType,
    NormalLoaderBuilder, NormalSpecificConfig, PagedAttentionConfig, PagedCacheType, Pipeline, TokenSource,
};
use riad_core::{Error, Result};
use riad_lora::{LoadGuard, ModelLayers, RowSegment, RowsGuard, WeightFormat};
use std::sync::Arc;
use tokio::sync::Mutex;

const MEGABYTE: usize = 1 << 20;

pub(super) struct LoadedModel {
    pipeline: Arc<Mutex<dyn Pipeline + Send + Sync>>,
    layers: Arc<ModelLayers>,
    pub encoder: PromptEncoder,
    pub grammars: GrammarCompiler,
    pub device: Device,
    pub end_tokens: Vec<u32>,
    /// Positions that the model has.
    pub context_tokens: usize,
    pub sliding_window: Option<usize>,
    /// Blocks of the KV cache.
    pub blocks: usize,
    pub vocabulary: Vocabulary,
}

/// The logits of the rows that were sampled, one after another.
pub(super) struct Logits {
    values: Vec<f32>,
    vocabulary: usize,
}

impl Logits {
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        self.values.chunks_exact(self.vocabulary.max(1)).nth(row)
    }
}

impl LoadedModel {
    /// Reads the weights and allocates the KV cache. Takes seconds to minutes: call it on a thread that may block.
    pub fn load(config: &EngineConfig) -> Result<Self> {
        let layers = Arc::new(ModelLayers::new(match (config.quantization, config.dtype) {
            (Quantization::Q8_0, _) => WeightFormat::Q8_0,
            (Quantization::None, Dtype::Bf16) => WeightFormat::Bf16,
            (Quantization::None, Dtype::Auto | Dtype::F32 | Dtype::F16) => WeightFormat::Exact,
        }));
        let loaded = {
            let _guard = LoadGuard::enter(layers.clone());
            load_pipeline(config)
        };
        let pipeline = loaded.map_err(|e| {
            Error::invalid(format!("engine.model: \"{}\" cannot be loaded: {e}", config.model))
                .with_param("engine.model")
        })?;
        let model = Self::of(pipeline, layers)?;
        // Once, so that it is known which layers the model calls.
        model.forward(&StepInputs::warm_up(), Vec::new())?;
        Ok(model)
    }

    fn of(pipeline: Arc<Mutex<dyn Pipeline + Send + Sync>>, layers: Arc<ModelLayers>) -> Result<Self> {
        let locked = pipeline.blocking_lock();
        let metadata = locked.get_metadata();
        let missing = |what: &str| {
            Error::invalid(format!("engine.model: the model has no {what}; choose a chat model"))
                .with_param("engine.model")
        };
        let tokenizer = locked.tokenizer().ok_or_else(|| missing("tokenizer"))?;
        let template = locked.get_chat_template().ok_or_else(|| missing("chat template"))?;
        let cache = metadata
            .cache_config
            .as_ref()
            .ok_or_else(|| missing("paged attention"))?;
        let token_bytes = metadata.tok_env().ok_or_else(|| missing("vocabulary"))?;
        let grammars = metadata.llg_factory.clone().ok_or_else(|| missing("vocabulary"))?;
        Ok(Self {
            layers,
            grammars: GrammarCompiler::new(grammars, &metadata.eos_tok),
            encoder: PromptEncoder::new(template, &tokenizer)?,
            device: locked.device(),
            end_tokens: metadata.eos_tok.clone(),
            context_tokens: metadata.max_seq_len,
            sliding_window: metadata.sliding_window,
            blocks: cache.num_gpu_blocks,
            vocabulary: Vocabulary::new(token_bytes, &tokenizer),
            pipeline: {
                drop(locked);
                pipeline
            },
        })
    }

    pub fn layers(&self) -> &ModelLayers {
        &self.layers
    }

    /// Computes the rows, and returns the logits of those that are sampled.
    pub fn forward(&self, inputs: &StepInputs, segments: Vec<RowSegment>) -> Result<Logits> {
        let failed = |e: candle_core::Error| engine_error("failed in a step", e);
        let mut pipeline = self.pipeline.blocking_lock();
        let devices = pipeline
            .device_mapper()
            .map_or_else(|| vec![self.device.clone()], |mapper| mapper.get_unique_devices());
        let model_inputs = inputs
            .tensors(&self.device, &devices, self.sliding_window)
            .map_err(failed)?;
        let _rows = RowsGuard::enter(segments);
        let result = pipeline.forward_inputs(Box::new(model_inputs), false).map_err(failed)?;
        let ForwardInputsResult::CausalGeneration { logits } = result else {
            return Err(engine_error(
                "failed in a step",
                "the model answers with something else than logits",
            ));
        };
        if inputs.sampled() == 0 {
            return Ok(Logits {
                values: Vec::new(),
                vocabulary: 0,
            });
        }
        let vocabulary = logits.dim(candle_core::D::Minus1).map_err(failed)?;
        let values = logits
            .to_device(&Device::Cpu)
            .and_then(|logits| logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1())
            .map_err(failed)?;
        Ok(Logits { values, vocabulary })
    }
}

fn load_pipeline(config: &EngineConfig) -> anyhow::Result<Arc<Mutex<dyn Pipeline + Send + Sync>>> {
    let loader: Box<dyn Loader> = NormalLoaderBuilder::new(
        NormalSpecificConfig::default(),
        None,
        None,
        Some(config.model.clone()),
        false,
        None,
    )
    // mistral.rs takes a cache of Hugging Face also for a model in a folder, by default the user's, and panics where the user has no home.
    .hf_cache_path((&config.model).into())
    .build(None)?;
    let device = match config.device {
        DeviceChoice::Cpu => Device::Cpu,
        DeviceChoice::Auto | DeviceChoice::Cuda | DeviceChoice::Metal => mistralrs::best_device(false)?,
    };
    let mapping = match device.is_cpu() {
        true => DeviceMapSetting::dummy(),
        false => DeviceMapSetting::Auto(AutoDeviceMapParams::default_text()),
    };
    let memory = match device.is_cpu() {
        true => MemoryGpuConfig::MbAmount(kv_cache_bytes(config)?.div_ceil(MEGABYTE)),
        false => MemoryGpuConfig::Utilization(0.9),
    };
    let quantized = match config.quantization {
        Quantization::Q8_0 if !device.is_cpu() => Some(IsqType::Q8_0),
        // The kernels for CPUs have a format of their own, see `WeightFormat`.
        Quantization::Q8_0 | Quantization::None => None,
    };
    loader.load_model_from_hf(
        None,
        TokenSource::None,
        &model_dtype(config, &device),
        &device,
        true,
        mapping,
        quantized,
        Some(PagedAttentionConfig::new(
            Some(BLOCK_SIZE),
            memory,
            match config.dtype == Dtype::Bf16 && device.is_cpu() {
                true => PagedCacheType::BF16,
                false => PagedCacheType::Auto,
            },
        )?),
    )
}

fn model_dtype(config: &EngineConfig, device: &Device) -> ModelDType {
    match config.dtype {
        // The kernels compute in f32 and keep weights that are exactly bf16 or f16 as they are, so nothing is gained by less.
        Dtype::Auto if device.is_cpu() => ModelDType::F32,
        // What is between linear layers stays in f32: nothing is gained where there are no instructions for less.
        Dtype::Bf16 if device.is_cpu() => ModelDType::F32,
        Dtype::Auto => ModelDType::Auto,
        Dtype::F32 => ModelDType::F32,
        Dtype::F16 => ModelDType::F16,
        Dtype::Bf16 => ModelDType::BF16,
    }
}

fn kv_cache_bytes(config: &EngineConfig) -> Result<usize> {
    let checkpoint = Checkpoint::open(&config.model)?;
    let bytes = memory::kv_cache_bytes(&checkpoint, config.dtype, config.kv_cache_tokens)?;
    usize::try_from(bytes).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::profile::ModelProfile;

    #[test]
    fn eight_bit_weights_take_less_memory() {
        let bytes = |quantization| {
            let config = EngineConfig {
                model: concat!(env!("RIAD_SOURCE"), "/host/models/chat/base").to_owned(),
                dtype: Dtype::Auto,
                device: DeviceChoice::Cpu,
                quantization,
                max_sequences: 1,
                rows_per_step: 16,
                prefill_slowdown: None,
                kv_cache_tokens: 512,
                prefix_cache: false,
                profile: ModelProfile {
                    id: "shipped".into(),
                    context_tokens: 512,
                    prompt_tokens: 256,
                    passages: 4,
                    sentences: 3,
                    completion_tokens: 64,
                    temperature: 0.0,
                },
                resident_adapter_bytes: 0,
                idle_unload: None,
                remote: None,
            };
            LoadedModel::load(&config).unwrap().layers().weight_bytes()
        };
        let (exact, quantized) = (bytes(Quantization::None), bytes(Quantization::Q8_0));
        // At the least 16 bits against 8 and a 32nd of 16.
        assert!(quantized * 16 <= exact * 17 / 2, "{quantized} of {exact}");
    }
}
