//! What the files of a sentence-transformers folder say beside the model itself: how the tokens' vectors become the text's, how long a text may
//! be, and what is put before it.

use crate::folder::{Folder, MODULES};
use riad_core::{Result, ports::TextRole};
use serde::Deserialize;
use std::{collections::HashMap, path::Path};

/// Tokens of a text, whatever the folder allows. The memory of a call grows with their square: here it is 50 MB for each layer of 12 heads.
pub(crate) const TOKENS_MAX: usize = 1024;

#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub pooling: Pooling,
    /// Tokens of a text with its prompt and the model's own marks, beside what the model's positions allow.
    pub max_tokens: usize,
    /// Whether the text is in small letters before the tokenizer reads it.
    pub lowercase: bool,
    pub prompts: Prompts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The vector of the first token.
    First,
    /// The mean of all tokens.
    Mean,
}

/// What is put before a text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Prompts {
    query: String,
    passage: String,
    unknown: String,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Deserialize)]
struct PoolingFile {
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    include_prompt: Option<bool>,
}

#[derive(Default, Deserialize)]
struct TransformerFile {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Default, Deserialize)]
struct TokenizerFile {
    /// Where there is no bound, a huge number stands here.
    model_max_length: Option<f64>,
}

#[derive(Default, Deserialize)]
struct PromptsFile {
    #[serde(default)]
    prompts: HashMap<String, String>,
    default_prompt_name: Option<String>,
}

impl Settings {
    pub fn read(folder: &Folder) -> Result<Self> {
        let modules: Vec<Module> = folder.json(MODULES)?;
        // Of `sentence_transformers.models.Pooling` the last part: what stands before it changed with the versions.
        let kinds = modules
            .iter()
            .map(|module| module.r#type.rsplit('.').next().unwrap_or_default());
        let kinds: Vec<&str> = kinds.collect();
        let (["Transformer", "Pooling"] | ["Transformer", "Pooling", "Normalize"], [transformer, pooling, ..]) =
            (kinds.as_slice(), modules.as_slice())
        else {
            return Err(folder.wrong(format!(
                "the modules of {MODULES} must be Transformer, Pooling and perhaps Normalize; they are {}",
                kinds.join(", ")
            )));
        };
        if !transformer.path.is_empty() {
            return Err(folder.wrong(format!("the path of the Transformer in {MODULES} must be empty")));
        }
        let prompts = Prompts::read(folder)?;
        let pooling = Pooling::read(folder, &pooling.path, &prompts)?;
        let file: TransformerFile = folder.json_if_any("sentence_bert_config.json")?.unwrap_or_default();
        let max_tokens = match file.max_seq_length {
            Some(tokens) => tokens,
            None => max_tokens(folder)?,
        };
        Ok(Self {
            pooling,
            max_tokens: max_tokens.min(TOKENS_MAX),
            lowercase: file.do_lower_case,
            prompts,
        })
    }
}

/// What the tokenizer says of the longest text.
pub(crate) fn max_tokens(folder: &Folder) -> Result<usize> {
    let file: TokenizerFile = folder.json_if_any("tokenizer_config.json")?.unwrap_or_default();
    let tokens = file.model_max_length.filter(|tokens| *tokens < TOKENS_MAX as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a negative number becomes 0, which is refused"
    )]
    Ok(tokens.map_or(TOKENS_MAX, |tokens| tokens as usize))
}

impl Pooling {
    fn read(folder: &Folder, path: &str, prompts: &Prompts) -> Result<Self> {
        let name = Path::new(path).join("config.json");
        let name = name.to_string_lossy();
        let file: PoolingFile = folder.json(&name)?;
        if file.include_prompt == Some(false) && *prompts != Prompts::default() {
            return Err(folder.wrong(format!("{name}: prompts that are not pooled are not served")));
        }
        let named = match file.pooling_mode.as_deref() {
            Some("cls") => (true, false, false),
            Some("mean") => (false, true, false),
            Some(_) => (false, false, true),
            None => {
                let others = [
                    file.pooling_mode_max_tokens,
                    file.pooling_mode_mean_sqrt_len_tokens,
                    file.pooling_mode_weightedmean_tokens,
                    file.pooling_mode_lasttoken,
                ];
                let is_other = others.contains(&true);
                (file.pooling_mode_cls_token, file.pooling_mode_mean_tokens, is_other)
            }
        };
        match named {
            (true, false, false) => Ok(Self::First),
            (false, true, false) => Ok(Self::Mean),
            _ => Err(folder.wrong(format!(
                "{name}: the pooling must be of the mean of all tokens, or of the first one (cls)"
            ))),
        }
    }
}

impl Prompts {
    fn read(folder: &Folder) -> Result<Self> {
        let file: PromptsFile = folder
            .json_if_any("config_sentence_transformers.json")?
            .unwrap_or_default();
        let prompt = |names: &[&str]| {
            let found = names.iter().find_map(|name| file.prompts.get(*name));
            found.cloned().unwrap_or_default()
        };
        Ok(Self {
            query: prompt(&["query"]),
            passage: prompt(&["passage", "document"]),
            unknown: file
                .default_prompt_name
                .as_deref()
                .map(|name| prompt(&[name]))
                .unwrap_or_default(),
        })
    }

    pub fn of(&self, role: TextRole) -> &str {
        match role {
            TextRole::Query => &self.query,
            TextRole::Passage => &self.passage,
            TextRole::Unknown => &self.unknown,
        }
    }

    #[cfg(feature = "bert")]
    pub fn longest(&self) -> usize {
        [&self.query, &self.passage, &self.unknown]
            .iter()
            .map(|prompt| prompt.len())
            .max()
            .unwrap_or_default()
    }
}
