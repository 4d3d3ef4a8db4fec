//! The table of all configuration keys. Not here: their types in Rust (`config`), the limits (`riad_core::Limits`).

use riad_core::Limits;
use toml::Value;

/// How a variable's text becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Fraction,
}

impl Kind {
    pub fn value(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text => Ok(Value::String(text.to_owned())),
            Self::Number => text
                .trim()
                .parse()
                .map(Value::Integer)
                .map_err(|_| format!("`{text}` is not a whole number")),
            Self::Fraction => text
                .trim()
                .parse()
                .map(Value::Float)
                .map_err(|_| format!("`{text}` is not a number")),
        }
    }
}

struct Key {
    section: &'static str,
    name: &'static str,
    kind: Kind,
    /// As in a TOML file; empty: unset, and the meaning says what then is.
    default: &'static str,
    meaning: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        default,
        meaning,
    }
}

/// All keys but the limits, which have their own table.
const KEYS: &[Key] = &[
    key(
        "server",
        "listen",
        Kind::Text,
        "\"127.0.0.1:8080\"",
        "Address and port; port 0 takes a free one.",
    ),
    key(
        "server",
        "data",
        Kind::Text,
        "\"riad-data\"",
        "Folder for everything that is kept; one server at a time.",
    ),
    key(
        "engine",
        "model",
        Kind::Text,
        "",
        "A folder in Hugging Face's layout, or a hub id. Unset: the small model that ships with riad.",
    ),
    key(
        "engine",
        "dtype",
        Kind::Text,
        "\"auto\"",
        "Number format of the weights: auto, f32, f16 or bf16.",
    ),
    key("engine", "device", Kind::Text, "\"auto\"", "auto, cpu, cuda or metal."),
    key(
        "engine",
        "lanes",
        Kind::Number,
        "0",
        "Generations at the same time; 0: as many as cores.",
    ),
    key(
        "engine",
        "id",
        Kind::Text,
        "",
        "The model's name in the API. Unset: the last part of engine.model.",
    ),
    key(
        "engine.profile",
        "context_tokens",
        Kind::Number,
        "",
        "Tokens of prompt and completion together. Unset: what the model's config.json says.",
    ),
    key(
        "engine.profile",
        "prompt_tokens",
        Kind::Number,
        "",
        "Tokens up to which the standard pipeline fills a prompt. Unset: half of the context, at most 8192.",
    ),
    key(
        "engine.profile",
        "passages",
        Kind::Number,
        "",
        "Passages in a prompt. Unset: 8.",
    ),
    key(
        "engine.profile",
        "sentences",
        Kind::Number,
        "",
        "Sentences that a passage keeps. Unset: 6.",
    ),
    key(
        "engine.profile",
        "completion_tokens",
        Kind::Number,
        "",
        "max_tokens of a request that does not say. Unset: 512.",
    ),
    key(
        "engine.profile",
        "temperature",
        Kind::Fraction,
        "",
        "temperature of a request that does not say, 0 to 2. Unset: what the model's generation_config.json says, else 1.",
    ),
    key(
        "embeddings",
        "model",
        Kind::Text,
        "",
        "A Model2Vec folder. Unset: the one that ships with riad.",
    ),
];

/// The kind of the key at a path like `["engine", "profile", "passages"]`.
pub fn find(path: &[String]) -> Option<Kind> {
    let (name, section) = path.split_last()?;
    let section = section.join(".");
    if section == "limits" {
        return Limits::TABLE
            .iter()
            .any(|(limit, ..)| limit == name)
            .then_some(Kind::Number);
    }
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
        .map(|key| key.kind)
}

pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration of riad. Each key is also an environment variable, which wins over the file:\n\
         # server.listen is RIAD_SERVER__LISTEN, engine.profile.passages is RIAD_ENGINE__PROFILE__PASSAGES.\n",
    );
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text += &format!("\n[{section}]\n");
        }
        text += &entry(key.name, key.default, key.meaning);
    }
    text += "\n[limits]\n";
    let defaults = Value::try_from(Limits::default()).ok();
    for (name, _, meaning) in Limits::TABLE {
        let default = defaults.as_ref().and_then(|all| all.get(name)).map(ToString::to_string);
        text += &entry(name, &default.unwrap_or_default(), meaning.trim());
    }
    text
}

fn entry(name: &str, default: &str, meaning: &str) -> String {
    if default.is_empty() {
        format!("# {meaning}\n#{name} =\n")
    } else {
        format!("# {meaning}\n{name} = {default}\n")
    }
}

/// Each key as a variable, with a value of its kind.
#[cfg(test)]
pub fn variables() -> Vec<(String, &'static str)> {
    let limits = Limits::TABLE.iter().map(|(name, ..)| ("limits", *name, Kind::Number));
    KEYS.iter()
        .map(|key| (key.section, key.name, key.kind))
        .chain(limits)
        .map(|(section, name, kind)| {
            let variable = format!("RIAD_{section}__{name}").replace('.', "__").to_uppercase();
            let value = match kind {
                Kind::Text => "x",
                Kind::Number => "7",
                Kind::Fraction => "0.5",
            };
            (variable, value)
        })
        .collect()
}
