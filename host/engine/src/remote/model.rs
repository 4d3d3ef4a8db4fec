//! What is known of the servers' model here: its tokenizer, template and configuration, but no weights.

use crate::{
    checkpoint::{self, Checkpoint},
    peft::{self, LayerShape},
    tokens::{engine_error, grammar::GrammarCompiler, prompt::PromptEncoder, vocabulary::Vocabulary},
};
use jsonschema::Validator;
use mistralrs::core::{
    ChatTemplate,
    llguidance::{ParserFactory, toktrie::TokTrie},
};
use riad_core::{
    Error, Result,
    adapter::{AdapterFiles, AdapterInfo},
    chat::{Grammar, OutputFormat},
};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};
use tokenizers::Tokenizer;
use toktrie_hf_tokenizers::{ByteTokenizer, ByteTokenizerEnv};

pub(super) struct RemoteModel {
    pub encoder: PromptEncoder,
    pub vocabulary: Vocabulary,
    /// Tokens below this number can be read and written.
    pub vocabulary_size: usize,
    pub end_tokens: Vec<u32>,
    grammars: GrammarCompiler,
    family: String,
}

/// A format as the server is asked for it, and as what it sent is checked: a server may ignore what it does not know.
pub(super) struct RemoteGrammar {
    pub response_format: Value,
    schema: Option<Validator>,
}

impl RemoteGrammar {
    /// Whether a whole answer is of the format.
    pub fn allows(&self, answer: &[u8]) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(answer) else {
            return false;
        };
        match &self.schema {
            Some(schema) => schema.is_valid(&value),
            None => value.is_object(),
        }
    }
}

impl RemoteModel {
    /// Of a folder in Hugging Face's layout, which may have no weights.
    pub fn open(folder: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json"))
            .map_err(|error| wrong(format!("{}/tokenizer.json cannot be read: {error}", folder.display())))?;
        let template = read_template(folder)?;
        let bytes = ByteTokenizer::from_tokenizer(tokenizer.clone()).map_err(|error| {
            wrong(format!(
                "the tokenizer of {} cannot be used: {error:#}",
                folder.display()
            ))
        })?;
        let trie = TokTrie::from(&bytes.tokrx_info(), &bytes.token_bytes());
        let environment = ByteTokenizerEnv {
            tokenizer: bytes,
            tok_trie: trie,
        }
        .to_env();
        let factory = ParserFactory::new_simple(&environment)
            .map_err(|error| engine_error("cannot use the model's tokenizer", error.to_string()))?;
        let end_tokens = end_tokens(folder, &template, &tokenizer);
        if end_tokens.is_empty() {
            return Err(wrong(format!(
                "{} does not say which token ends an answer",
                folder.display()
            )));
        }
        let vocabulary = Vocabulary::new(environment, &tokenizer);
        Ok(Self {
            encoder: PromptEncoder::new(Arc::new(template), &tokenizer.into())?,
            vocabulary_size: checkpoint
                .vocabulary()
                .map_or(vocabulary.len(), |rows| rows.min(vocabulary.len())),
            vocabulary,
            grammars: GrammarCompiler::new(Arc::new(factory), &end_tokens),
            end_tokens,
            family: checkpoint.family,
        })
    }

    pub fn compile_grammar(&self, format: &OutputFormat) -> Result<Grammar> {
        // It refuses what is no schema, or is too costly, in the words of the local engine.
        let refuse = || self.grammars.compile(format).map(drop);
        let (response_format, schema) = match format {
            OutputFormat::JsonObject => (json!({"type": "json_object"}), None),
            OutputFormat::JsonSchema(schema) => {
                refuse()?;
                let validator = jsonschema::validator_for(schema)
                    .map_err(|error| Error::invalid(format!("this schema cannot be followed: {error}")))?;
                let named = json!({"name": "answer", "schema": schema});
                (json!({"type": "json_schema", "json_schema": named}), Some(validator))
            }
            OutputFormat::ToolCalls { .. } => {
                return Err(Error::invalid(
                    "the model servers of this server cannot be forced to call tools; send tool_choice \"auto\" or \"none\"",
                )
                .with_param("tool_choice"));
            }
        };
        Ok(Grammar::new(RemoteGrammar {
            response_format,
            schema,
        }))
    }

    /// By the files alone: the layers are those of the server's model, which checks them when it loads the adapter.
    pub fn inspect_adapter(&self, files: &AdapterFiles) -> Result<AdapterInfo> {
        checkpoint::check_adapter_family(&self.family)?;
        let config = peft::read_config(&files.config)?;
        let weights = peft::read_weights(&files.weights)?;
        let size = |name: &str, half: &str, dimension: usize| {
            let tensor = weights.tensor(&format!("{}{name}.{half}.weight", peft::PREFIX)).ok()?;
            tensor.shape().get(dimension).copied()
        };
        let pairs = peft::pair_tensors(&weights, &config, |name| {
            Some(LayerShape {
                in_dim: size(name, "lora_A", 1)?,
                out_dim: size(name, "lora_B", 0)?,
            })
        })?;
        Ok(AdapterInfo {
            rank: pairs.values().map(|pair| pair.rank).max().unwrap_or(0),
            bytes: files.weights.len() as u64,
            tensors: u32::try_from(pairs.len() * 2).unwrap_or(u32::MAX),
        })
    }
}

/// `tokenizer_config.json`, with the template of a file of its own where there is one.
fn read_template(folder: &Path) -> Result<ChatTemplate> {
    let path = folder.join("tokenizer_config.json");
    let text = fs::read(&path).map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    let mut config: Value =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("{} is damaged: {error}", path.display())))?;
    if let (Ok(template), Some(members)) = (
        fs::read_to_string(folder.join("chat_template.jinja")),
        config.as_object_mut(),
    ) {
        members.insert("chat_template".to_owned(), template.into());
    }
    let template: ChatTemplate =
        serde_json::from_value(config).map_err(|error| wrong(format!("{} is damaged: {error}", path.display())))?;
    match template.has_chat_template() {
        true => Ok(template),
        false => Err(wrong(format!(
            "{} has no chat template; choose a chat model",
            folder.display()
        ))),
    }
}

/// Those of `generation_config.json`, and the tokenizer's.
fn end_tokens(folder: &Path, template: &ChatTemplate, tokenizer: &Tokenizer) -> Vec<u32> {
    let config = fs::read(folder.join("generation_config.json")).unwrap_or_default();
    let config: Value = serde_json::from_slice(&config).unwrap_or_default();
    let listed = match config.get("eos_token_id") {
        Some(Value::Array(tokens)) => tokens.clone(),
        Some(token) => vec![token.clone()],
        None => Vec::new(),
    };
    let listed = listed.iter().filter_map(|token| u32::try_from(token.as_u64()?).ok());
    let own = template.eos_tok().and_then(|text| tokenizer.token_to_id(&text));
    let mut tokens: Vec<u32> = listed.chain(own).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn wrong(message: String) -> Error {
    Error::invalid(format!("engine.model: {message}")).with_param("engine.model")
}
