//! What requests bring: documents, components and adapters of the repository, and adapters that are wrong.

use bytes::Bytes;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub const STANDARD: &[u8] = include_bytes!("../../../plugins/standard/standard.wasm");
pub const PRICE_DESK: &[u8] = include_bytes!("../../../plugins/price-desk/price-desk.wasm");

macro_rules! guests {
    ($($name:ident = $file:literal;)+) => {
        $(pub const $name: &[u8] = include_bytes!(concat!("../../guests/", $file, ".wasm"));)+
    };
}

guests! {
    BIG_OUTPUT = "big-output";
    CALLER = "caller";
    ECHO = "echo";
    ENDLESS_SQL = "endless-sql";
    LOOP = "loop";
    MEMORY_BOMB = "memory-bomb";
    NOTES = "notes";
    ORDER_TOOLS = "order-tools";
    RECURSION = "recursion";
    STATEMENT = "statement";
    TRAP_IN_STREAM = "trap-in-stream";
}

/// Titles and texts of the first tenant's documents.
pub const ACME: &[(&str, &str)] = &[
    (
        "Refunds",
        "The refund window of Acme Tools is 41 days. Refunds are paid to the original card.",
    ),
    (
        "Warranty",
        "The Kestrel drill has a warranty of 37 months. The battery is excluded.",
    ),
    (
        "Support",
        "The e-mail address of the support team is help@acme-tools.example. It answers within one day.",
    ),
];

/// Titles and texts of the second tenant's documents.
pub const GLOBEX: &[(&str, &str)] = &[
    (
        "Refunds",
        "The refund window of Globex Logistics is 14 days. Refunds are paid to the account.",
    ),
    (
        "Contract",
        "The notice period of the Meridian contract is 90 days. It is counted from the first of the month.",
    ),
    (
        "Service",
        "The e-mail address of the support team is service@globex.example. It answers at night too.",
    ),
];

/// How the server names a file: `sha256:` and the digest.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A PEFT adapter's two files.
#[derive(Clone)]
pub struct Adapter {
    pub config: Bytes,
    pub weights: Bytes,
}

/// Tensors by name: number format, shape and bytes.
pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

macro_rules! adapter {
    ($folder:literal) => {
        Adapter {
            config: Bytes::from_static(include_bytes!(concat!(
                "../../../host/models/chat/",
                $folder,
                "/adapter_config.json"
            ))),
            weights: Bytes::from_static(include_bytes!(concat!(
                "../../../host/models/chat/",
                $folder,
                "/adapter_model.safetensors"
            ))),
        }
    };
}

impl Adapter {
    #[must_use]
    pub fn acme() -> Self {
        adapter!("adapter-acme")
    }

    #[must_use]
    pub fn globex() -> Self {
        adapter!("adapter-globex")
    }

    /// With another member in the configuration.
    #[must_use]
    pub fn with_config(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut config: Value = serde_json::from_slice(&self.config).unwrap();
        config[name] = value.into();
        self.config = config.to_string().into();
        self
    }

    /// With other weights.
    #[must_use]
    pub fn with_tensors(mut self, change: impl FnOnce(&mut Tensors)) -> Self {
        let mut tensors = self.tensors();
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        self.weights = safetensors::serialize(views, None).unwrap().into();
        self
    }

    #[must_use]
    pub fn tensors(&self) -> Tensors {
        let file = SafeTensors::deserialize(&self.weights).unwrap();
        let tensors = file.tensors();
        tensors
            .into_iter()
            .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
            .collect()
    }
}
