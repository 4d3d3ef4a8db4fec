//! What a configuration key is: the trait that describes a type's keys, and the macro that declares a section.

use riad_core::{CellName, Limits, TenantId};
use riad_engine::{Device, Dtype, Quantization};
use riad_telemetry::LogFormat;
use std::path::PathBuf;
use toml::Value;

/// A configuration key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// With its sections, as in `engine.profile.passages`.
    pub path: String,
    pub kind: Kind,
    pub doc: &'static str,
}

impl Key {
    /// The section and the name in it.
    pub fn split(&self) -> (&str, &str) {
        self.path.rsplit_once('.').unwrap_or(("", &self.path))
    }
}

/// How a value is written in TOML, and in an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A whole number, not negative.
    Number,
    Fraction,
    Flag,
    /// Texts; in an environment variable with commas between them.
    List,
}

impl Kind {
    /// The value that an environment variable's text stands for; `None` if it is not of this kind.
    pub fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::String(text.to_owned())),
            Self::Number => text.trim().parse().ok().map(Value::Integer),
            Self::Fraction => text.trim().parse().ok().map(Value::Float),
            Self::Flag => text.trim().parse().ok().map(Value::Boolean),
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
        }
        .filter(|value| self.accepts(value))
    }

    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_str(),
            Self::Number => value.as_integer().is_some_and(|number| number >= 0),
            Self::Fraction => value.is_float() || value.is_integer(),
            Self::Flag => value.is_bool(),
            Self::List => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item.is_str())),
        }
    }

    /// For "it must be …".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a whole number, 0 or more",
            Self::Fraction => "a number",
            Self::Flag => "true or false",
            Self::List => "a list of texts",
        }
    }
}

/// A type that the configuration has: of a single value, or of a section with keys of its own.
pub trait Setting {
    /// Adds every key at and below a path, in the order of the reference. `doc` is that of the field.
    fn describe(path: &str, doc: &'static str, keys: &mut Vec<Key>);
}

/// Types of single values, by how they are written.
macro_rules! values {
    ($($kind:ident: $($type:ty),+;)+) => {
        $($(impl $crate::config::setting::Setting for $type {
            fn describe(path: &str, doc: &'static str, keys: &mut Vec<$crate::config::setting::Key>) {
                let (path, kind) = (path.to_owned(), $crate::config::setting::Kind::$kind);
                keys.push($crate::config::setting::Key { path, kind, doc });
            }
        })+)+
    };
}

values! {
    Text: String, PathBuf, CellName, Dtype, Device, Quantization, LogFormat;
    Number: u32, u64, usize;
    Fraction: f32, f64;
    Flag: bool;
    List: Vec<TenantId>, Vec<String>;
}

impl<T: Setting> Setting for Option<T> {
    fn describe(path: &str, doc: &'static str, keys: &mut Vec<Key>) {
        T::describe(path, doc, keys);
    }
}

impl Setting for Limits {
    fn describe(path: &str, _: &'static str, keys: &mut Vec<Key>) {
        for (name, _, doc) in Self::TABLE {
            u64::describe(&join(path, name), doc.trim(), keys);
        }
    }
}

pub fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Declares a section: its struct, its defaults and the description of its keys. A field's comment is its documentation
/// in the reference.
macro_rules! section {
    ($(#[$attribute:meta])* $section:ident { $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+ }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $section {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl $crate::config::setting::Setting for $section {
            fn describe(path: &str, _: &'static str, keys: &mut Vec<$crate::config::setting::Key>) {
                use $crate::config::setting::{Setting, join};
                $(<$type as Setting>::describe(&join(path, stringify!($name)), concat!($($doc),+).trim(), keys);)+
            }
        }
    };
}

pub(super) use {section, values};
