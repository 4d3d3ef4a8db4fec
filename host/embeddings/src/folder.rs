//! A model's folder: which kind of model it has, and its files. Not here: what is computed with them.

use riad_core::{Error, Result};
use safetensors::tensor::{Metadata, TensorInfo};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const MODULES: &str = "modules.json";
const CONFIG: &str = "config.json";
/// Bytes of a header of weights: it has a line for each tensor.
const HEADER_MAX: u64 = 100 << 20;

pub(crate) struct Folder {
    path: PathBuf,
    /// The key of the configuration that names it.
    key: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Static,
    Bert,
}

/// What `config.json` says of all kinds.
#[derive(Default, Deserialize)]
struct AnyConfig {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    id2label: Option<HashMap<String, String>>,
    num_labels: Option<usize>,
}

/// Of the weights.
struct Header {
    /// Before the first tensor.
    bytes: u64,
    tensors: HashMap<String, TensorInfo>,
}

impl Folder {
    pub fn new(path: &Path, key: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            key,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which kind of embedder it has.
    pub fn embedder(&self) -> Result<Kind> {
        let config = self.any_config()?;
        if config.model_type.as_deref() == Some("bert") && self.path.join(MODULES).is_file() {
            return Ok(Kind::Bert);
        }
        let has_table = self
            .header()
            .is_ok_and(|header| header.tensors.contains_key("embeddings"));
        match config.model_type.as_deref() == Some("model2vec") || has_table {
            true => Ok(Kind::Static),
            false => Err(self.wrong(format!(
                "it is neither a Model2Vec folder ({CONFIG}, {TOKENIZER}, {WEIGHTS} with a tensor `embeddings`) nor a \
                 sentence-transformers folder of a BERT ({CONFIG} with the model_type `bert`, {TOKENIZER}, {WEIGHTS}, \
                 {MODULES} and the config.json of the pooling that it names); the model_type of this one is {}",
                described(&config)
            ))),
        }
    }

    pub fn cross_encoder(&self) -> Result<()> {
        let config = self.any_config()?;
        let labels = config.id2label.as_ref().map(HashMap::len).or(config.num_labels);
        let is_classifier = config
            .architectures
            .iter()
            .any(|name| name == "BertForSequenceClassification");
        match is_classifier && labels == Some(1) {
            true => Ok(()),
            false => Err(self.wrong(format!(
                "it is not the folder of a cross-encoder ({TOKENIZER}, {WEIGHTS}, {CONFIG} with the architecture \
                 BertForSequenceClassification and one label); the model_type of this one is {}",
                described(&config)
            ))),
        }
    }

    fn any_config(&self) -> Result<AnyConfig> {
        self.json(CONFIG)
    }

    #[cfg(feature = "bert")]
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        self.json(CONFIG)
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        std::fs::read(self.path.join(name)).map_err(|error| self.wrong(format!("{name}: {error}")))
    }

    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.read(name)?;
        serde_json::from_slice(&bytes).map_err(|error| self.wrong(format!("{name}: {error}")))
    }

    /// `None` if the file is not there.
    pub fn json_if_any<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.path.join(name).is_file() {
            true => self.json(name).map(Some),
            false => Ok(None),
        }
    }

    fn header(&self) -> Result<Header> {
        let wrong = |error: &dyn Display| self.wrong(format!("{WEIGHTS}: {error}"));
        let mut file = File::open(self.path.join(WEIGHTS)).map_err(|error| wrong(&error))?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|error| wrong(&error))?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_MAX {
            return Err(wrong(&"its header is too long"));
        }
        let mut header = Vec::new();
        let read = file
            .take(length)
            .read_to_end(&mut header)
            .map_err(|error| wrong(&error))?;
        if read as u64 != length {
            return Err(wrong(&io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(&error))?;
        let tensors = header.tensors().into_iter();
        Ok(Header {
            bytes: length.saturating_add(8),
            tensors: tensors.map(|(name, info)| (name, info.clone())).collect(),
        })
    }

    pub fn files(&self, kind: &'static str) -> Result<crate::ModelFiles> {
        self.json::<serde::de::IgnoredAny>(TOKENIZER)?;
        let elements = |info: &TensorInfo| {
            info.shape
                .iter()
                .fold(1_u64, |all, side| all.saturating_mul(*side as u64))
        };
        let header = self.header()?;
        let (end, elements) = header.tensors.values().fold((0, 0_u64), |(end, sum), info| {
            (info.data_offsets.1.max(end), sum.saturating_add(elements(info)))
        });
        let bytes = std::fs::metadata(self.path.join(WEIGHTS))
            .map_err(Error::internal)?
            .len();
        if bytes < header.bytes.saturating_add(end as u64) {
            return Err(self.wrong(format!("{WEIGHTS} ends before its last tensor; download it again")));
        }
        Ok(crate::ModelFiles {
            kind,
            bytes: elements.saturating_mul(4),
        })
    }

    pub fn wrong(&self, why: impl Display) -> Error {
        Error::invalid(format!("{}: {}: {why}", self.key, self.path.display())).with_param(self.key)
    }

    #[cfg(not(feature = "bert"))]
    pub fn not_compiled_in(&self) -> Error {
        Error::new(
            riad_core::ErrorKind::Unavailable,
            format!(
                "{}: {} has a BERT, and this binary was built without it; build it with the default features",
                self.key,
                self.path.display()
            ),
        )
    }
}

fn described(config: &AnyConfig) -> String {
    match (&config.model_type, config.architectures.first()) {
        (Some(name), Some(architecture)) => format!("`{name}`, of the architecture {architecture}"),
        (Some(name), None) => format!("`{name}`"),
        (None, _) => "not given".to_owned(),
    }
}
