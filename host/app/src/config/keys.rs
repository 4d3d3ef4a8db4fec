//! The table of all configuration keys. Not here: their types in Rust (`config`), the limits (`riad_core::Limits`).

use super::Secrets;
use riad_core::Limits;
use toml::Value;

/// How a variable's text becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Fraction,
    Flag,
    /// Texts; in a variable with commas between them.
    List,
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
            Self::Flag => text
                .trim()
                .parse()
                .map(Value::Boolean)
                .map_err(|_| format!("`{text}` is neither true nor false")),
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
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
        "server",
        "tls_certificate",
        Kind::Text,
        "",
        "PEM file with the certificate and its chain. With it and tls_key the server speaks TLS only; both are read again when they change.",
    ),
    key(
        "server",
        "tls_key",
        Kind::Text,
        "",
        "PEM file with the certificate's private key.",
    ),
    key(
        "auth",
        "jwks",
        Kind::Text,
        "",
        "Public keys of an identity provider, a file or a URL; with them its tokens are taken for keys. Unset: no tokens.",
    ),
    key(
        "auth",
        "issuer",
        Kind::Text,
        "",
        "What a token's `iss` must be. Needed with jwks.",
    ),
    key(
        "auth",
        "audience",
        Kind::Text,
        "",
        "What a token's `aud` must be or contain. Needed with jwks.",
    ),
    key(
        "auth",
        "tenant_claim",
        Kind::Text,
        "\"tenant\"",
        "The claim that names the tenant.",
    ),
    key(
        "auth",
        "role_claim",
        Kind::Text,
        "\"role\"",
        "The claim that names the role: admin, user or read-only.",
    ),
    key(
        "auth",
        "scopes_claim",
        Kind::Text,
        "\"scope\"",
        "The claim that lists the scopes; a token without it has all.",
    ),
    key(
        "auth",
        "tenants",
        Kind::List,
        "[]",
        "Tenants that the issuer may speak for; empty: all.",
    ),
    key(
        "auth",
        "leeway_seconds",
        Kind::Number,
        "30",
        "Seconds that the provider's clock may be wrong, 300 at most.",
    ),
    key(
        "scheduler",
        "policy",
        Kind::Text,
        "\"fair\"",
        "Who gets a free lane: fair (who has had least for its weight) or fifo (who came first).",
    ),
    key(
        "scheduler",
        "target_first_token_ms",
        Kind::Number,
        "10000",
        "Milliseconds in which a request should have its first token; beyond it, new requests of low classes are refused first.",
    ),
    key(
        "metering",
        "currency",
        Kind::Text,
        "\"usd\"",
        "Currency of all prices and bills, three small letters.",
    ),
    key(
        "metering",
        "accrual_ms",
        Kind::Number,
        "3600000",
        "Milliseconds after which stored bytes and resident adapters are billed again.",
    ),
    key(
        "telemetry",
        "log_format",
        Kind::Text,
        "\"text\"",
        "text for people, json for machines: one object a line on stderr.",
    ),
    key(
        "telemetry",
        "otlp_endpoint",
        Kind::Text,
        "",
        "Collector for traces, OTLP over HTTP, as in http://127.0.0.1:4318. Unset: no traces.",
    ),
    key(
        "telemetry",
        "sample_ratio",
        Kind::Fraction,
        "1.0",
        "Share of the requests that are traced, 0 to 1.",
    ),
    key(
        "telemetry",
        "tenant_label",
        Kind::Flag,
        "false",
        "Whether metrics tell tenants apart.",
    ),
    key(
        "telemetry",
        "max_tenants",
        Kind::Number,
        "100",
        "Tenants that metrics tell apart; the others are counted together.",
    ),
    key(
        "telemetry",
        "open_metrics",
        Kind::Flag,
        "false",
        "Whether anybody may read /metrics. Else it needs the operator's key or RIAD_METRICS_KEY.",
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
         # server.listen is RIAD_SERVER__LISTEN, engine.profile.passages is RIAD_ENGINE__PROFILE__PASSAGES; a list has commas.\n\
         # Values that stand here are the defaults. Secrets are environment variables only:\n",
    );
    for (name, meaning) in Secrets::VARIABLES {
        text += &format!("#   {name}: {meaning}\n");
    }
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
                Kind::Flag => "true",
                Kind::List => "x,y",
            };
            (variable, value)
        })
        .collect()
}
