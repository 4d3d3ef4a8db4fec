//! Whether settings follow the JSON Schema that a plugin has of them. The schema comes with an upload, so what compiling it and what
//! checking settings may cost is bounded before either begins: <https://json-schema.org/draft/2020-12>.

use crate::{Error, Result, json};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

/// JSON values of a schema, counted again wherever a `$ref` repeats them.
const VALUES_MAX: usize = 2048;
/// Of lists and objects in each other.
const DEPTH_MAX: usize = 32;
/// Bytes of a member's name: every part of a compiled schema keeps the path to it.
const NAME_BYTES: usize = 256;
/// Regular expressions of a schema, and bytes of one when it is compiled: it is of the kind that needs linear time.
const PATTERNS_MAX: usize = 8;
const PATTERN_BYTES: usize = 16 << 10;
/// Each value of the schema may be held against each value of the settings.
const COMPARISONS_MAX: usize = 1 << 20;
/// The library makes an error for each of those that fails, with the path to the value, before it gives the first. Where all of them could
/// take more bytes than this, a message names none.
const FAULT_BYTES: usize = 32 << 20;
/// Faults of settings that a message names.
const FAULTS_NAMED: usize = 4;
/// Characters of a fault's path and of its description.
const FAULT_CHARACTERS: usize = 300;

const DRAFTS: [&str; 2] = [
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema",
];
/// Keywords that name a schema in ways that the count above does not follow, or read the settings again and again.
const REFUSED: [&str; 8] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "unevaluatedItems",
    "unevaluatedProperties",
];

pub struct SettingsSchema {
    validator: Validator,
    /// As counted.
    values: usize,
}

impl SettingsSchema {
    /// # Errors
    /// `InvalidRequest` for what is no schema, and for one that is too large or uses what is not supported here.
    pub fn compile(schema: &Map<String, Value>) -> Result<Self> {
        let mut size = Size {
            root: schema,
            values: 0,
            patterns: 0,
        };
        size.count_object(schema, 0)?;
        let is_known = |draft: &Value| {
            draft
                .as_str()
                .is_some_and(|draft| DRAFTS.contains(&draft.trim_end_matches('#')))
        };
        if schema.get("$schema").is_some_and(|draft| !is_known(draft)) {
            let [newest, _] = DRAFTS;
            return Err(wrong(format!("`$schema` must be \"{newest}\" or left out")));
        }
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES);
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(patterns)
            .build(&Value::Object(schema.clone()))
            .map(|validator| Self {
                validator,
                values: size.values,
            })
            .map_err(|error| wrong(describe(&error)))
    }

    /// # Errors
    /// `InvalidRequest` names the settings that do not follow the schema.
    pub fn check(&self, settings: &Map<String, Value>) -> Result<()> {
        let text = serde_json::to_vec(settings).map_err(Error::internal)?;
        let values = json::count_values(&text, usize::MAX).unwrap_or(usize::MAX);
        let comparisons = self.values.saturating_mul(values);
        if comparisons > COMPARISONS_MAX {
            return Err(Error::invalid(format!(
                "the settings have {values} values, too many for a schema of {}; use shorter lists",
                self.values
            )));
        }
        let settings = Value::Object(settings.clone());
        // Makes no errors.
        if self.validator.is_valid(&settings) {
            return Ok(());
        }
        if comparisons.saturating_mul(text.len()) > FAULT_BYTES {
            return Err(Error::invalid("they do not follow it, and are too long to say where"));
        }
        let mut faults = self.validator.iter_errors(&settings).map(|error| describe(&error));
        let named: Vec<String> = faults.by_ref().take(FAULTS_NAMED).collect();
        let more = if faults.next().is_some() { "; and more" } else { "" };
        Err(Error::invalid(format!("{}{more}", named.join("; "))))
    }
}

fn wrong(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("`configuration` is no JSON Schema that can be used: {why}"))
}

/// Where and what, without the value: it may be long, or a secret.
fn describe(error: &ValidationError<'_>) -> String {
    let what = error.masked_with("the value").to_string();
    let cut = |text: &str| text.chars().take(FAULT_CHARACTERS).collect::<String>();
    match error.instance_path().as_str() {
        "" => cut(&what),
        path => format!("{}: {}", cut(path), cut(&what)),
    }
}

/// What of a schema has been counted.
struct Size<'a> {
    root: &'a Map<String, Value>,
    values: usize,
    patterns: usize,
}

impl Size<'_> {
    fn count(&mut self, value: &Value, depth: usize) -> Result<()> {
        match value {
            Value::Object(members) => self.count_object(members, depth),
            Value::Array(values) => {
                self.add_value()?;
                values.iter().try_for_each(|value| self.count(value, depth + 1))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.add_value(),
        }
    }

    fn count_object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<()> {
        self.add_value()?;
        if depth > DEPTH_MAX {
            return Err(wrong(format!(
                "it is nested more than {DEPTH_MAX} deep, or a `$ref` refers to what it stands in"
            )));
        }
        if let Some(Value::String(reference)) = members.get("$ref") {
            self.count(referenced(self.root, reference)?, depth + 1)?;
        }
        for (key, value) in members {
            if key.len() > NAME_BYTES {
                return Err(wrong(format!("a name in it has more than {NAME_BYTES} bytes")));
            }
            // A property of the settings may have the name of a keyword; then its schema is an object. Another draft below the root would
            // name schemas in its own way.
            let is_keyword = !value.is_object() || key.starts_with("unevaluated");
            let is_refused = REFUSED.contains(&key.as_str()) || (key == "$schema" && depth > 0);
            if is_keyword && is_refused {
                return Err(wrong(format!("`{key}` is not supported")));
            }
            self.patterns += match (key.as_str(), value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(patterns)) => patterns.len(),
                _ => 0,
            };
            if self.patterns > PATTERNS_MAX {
                return Err(wrong(format!("it has more than {PATTERNS_MAX} patterns")));
            }
            self.count(value, depth + 1)?;
        }
        Ok(())
    }

    fn add_value(&mut self) -> Result<()> {
        self.values += 1;
        match self.values > VALUES_MAX {
            true => Err(wrong(format!(
                "it has more than {VALUES_MAX} values, with those that each `$ref` stands for"
            ))),
            false => Ok(()),
        }
    }
}

fn referenced<'a>(root: &'a Map<String, Value>, reference: &str) -> Result<&'a Value> {
    // A name with one of these would be another one to the library, which decodes it, or a path.
    let is_plain = |name: &&str| !name.contains(['/', '~', '%']);
    let definition = ["$defs", "definitions"].into_iter().find_map(|folder| {
        let name = reference.strip_prefix("#/")?.strip_prefix(folder)?.strip_prefix('/');
        root.get(folder)?.get(name.filter(is_plain)?)
    });
    definition.ok_or_else(|| {
        wrong(format!(
            "`$ref` may name a schema in `$defs`, as \"#/$defs/name\", not {reference:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compile(schema: Value) -> Result<SettingsSchema> {
        let Value::Object(schema) = schema else {
            panic!("{schema}")
        };
        SettingsSchema::compile(&schema)
    }

    fn refused(schema: Value) -> String {
        compile(schema).err().expect("a refusal").message().to_owned()
    }

    fn check(schema: &SettingsSchema, settings: Value) -> std::result::Result<(), String> {
        let Value::Object(settings) = settings else {
            panic!("{settings}")
        };
        schema.check(&settings).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn settings_follow_the_schema_or_are_told_where_not() {
        let schema = compile(json!({
            "type": "object",
            "properties": {
                "limit": {"type": "integer", "minimum": 1},
                "orders": {"type": "array", "items": {"$ref": "#/$defs/order"}},
            },
            "required": ["limit"],
            "$defs": {"order": {"type": "object", "properties": {"mail": {"format": "email"}}}},
        }))
        .unwrap();
        check(
            &schema,
            json!({"limit": 2, "orders": [{"mail": "a@example.com"}], "of_another_plugin": 1}),
        )
        .unwrap();
        let fault = check(&schema, json!({"limit": 0})).unwrap_err();
        assert_eq!(fault, "/limit: the value is less than the minimum of 1");
        let fault = check(&schema, json!({"orders": [{}, {"mail": "secret"}]})).unwrap_err();
        assert!(fault.contains("\"limit\" is a required property"), "{fault}");
        assert!(fault.contains("/orders/1/mail: "), "{fault}");
        assert!(!fault.contains("secret"), "{fault}");
    }

    #[test]
    fn only_so_many_faults_are_named() {
        let schema = compile(json!({"additionalProperties": {"type": "string"}})).unwrap();
        let settings: Map<String, Value> = (0..40).map(|number| (format!("s{number}"), json!(1))).collect();
        let fault = check(&schema, Value::Object(settings)).unwrap_err();
        assert_eq!(fault.matches("is not of type").count(), FAULTS_NAMED, "{fault}");
        assert!(fault.ends_with("; and more"), "{fault}");
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let message = refused(json!({"properties": {"limit": {"type": "number", "minimum": "one"}}}));
        assert!(message.contains("/properties/limit/minimum"), "{message}");
        assert!(refused(json!({"properties": {"a".repeat(300): {}}})).contains("256 bytes"));
        let message = refused(json!({"properties": {"name": {"pattern": "("}}}));
        assert!(message.contains("pattern"), "{message}");
        assert!(refused(json!({"$schema": "http://json-schema.org/draft-04/schema#"})).contains("draft/2020-12"));
        compile(json!({"$schema": "http://json-schema.org/draft-07/schema#"})).unwrap();
    }

    #[test]
    fn references_stay_within_the_schema() {
        for reference in [
            "https://example.com/schema.json",
            "file:///etc/passwd",
            "#",
            "#/properties/a",
            "#/$defs/none",
        ] {
            let message = refused(json!({"properties": {"a": {"$ref": reference}}}));
            assert!(message.contains("`$ref` may name a schema in `$defs`"), "{message}");
        }
        // What the library would read as the definition `ab`.
        let message = refused(json!({"$ref": "#/$defs/a%62", "$defs": {"a%62": {}, "ab": {"$ref": "#/$defs/ab"}}}));
        assert!(message.contains("`$ref` may name"), "{message}");
        assert!(refused(json!({"$id": "https://example.com"})).contains("`$id` is not supported"));
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let message = refused(json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}));
        assert!(message.contains("refers to what it stands in"), "{message}");
        let doubled = |next: &str| json!({"allOf": [{"$ref": next}, {"$ref": next}]});
        let mut definitions: Map<String, Value> = (0..30)
            .map(|level| (format!("d{level}"), doubled(&format!("#/$defs/d{}", level + 1))))
            .collect();
        definitions.insert("d30".into(), json!({}));
        let message = refused(json!({"$ref": "#/$defs/d0", "$defs": definitions}));
        assert!(message.contains("2048 values") || message.contains("deep"), "{message}");
        // In the older draft, `id` makes a root of its own, in which the definitions are others.
        let inner = json!({"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://x/y", "allOf": [{"$ref": "#/$defs/d"}]});
        let message = refused(json!({"$defs": {"d": {}}, "allOf": [inner]}));
        assert!(message.contains("`$schema` is not supported"), "{message}");
    }

    #[test]
    fn faults_that_would_fill_the_memory_are_not_made() {
        let all = json!({"type": "string"});
        let schema = compile(json!({"additionalProperties": {"items": {"allOf": vec![all; 500]}}})).unwrap();
        let fault = check(&schema, json!({"a": vec![0; 30_000]})).unwrap_err();
        assert!(fault.contains("too many for a schema of"), "{fault}");
        let fault = check(&schema, json!({"a".repeat(30_000): vec![0; 900]})).unwrap_err();
        assert!(fault.contains("too long to say where"), "{fault}");
        check(&schema, json!({"a": vec!["text"; 900]})).unwrap();
    }

    #[test]
    fn patterns_take_linear_time_and_little_memory() {
        let schema = compile(json!({"properties": {"name": {"pattern": "^(a+)+$"}}})).unwrap();
        check(&schema, json!({"name": format!("{}b", "a".repeat(60_000))})).unwrap_err();
        refused(json!({"properties": {"name": {"pattern": "(\\w{1000}){1000}"}}}));
        refused(json!({"properties": {"name": {"pattern": "(?=a)"}}}));
        let many: Map<String, Value> = (0..40).map(|number| (format!("^p{number}"), json!({}))).collect();
        assert!(refused(json!({"patternProperties": many})).contains("8 patterns"));
    }
}
