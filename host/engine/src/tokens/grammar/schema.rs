//! Which schemas are given to llguidance. Its compiler bounds the grammar that it makes, but not what it needs until then: merging keywords
//! multiplies schemas and automata, and references recurse. So what would be merged is refused here, by name, and the rest is counted.

use super::refused;
use riad_core::Result;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const SCHEMAS: usize = 2000;
/// Of schemas in each other. Each distinct reference may add as many.
const DEPTH: usize = 32;
const REFERENCES: usize = 64;
/// Of one object.
const PROPERTIES: usize = 200;
const OPTIONS: usize = 64;
/// Of `oneOf`, whose options are compared with each other.
const EXCLUSIVE_OPTIONS: usize = 16;
const VALUES: usize = 1000;
const PATTERNS: usize = 16;
const PATTERN_BYTES: usize = 256;
const ITEMS: u64 = 1000;
const LETTERS: u64 = 65_536;
/// `multipleOf` as an integer, without its decimal point: an automaton has a state for each remainder.
const REMAINDERS: u64 = 1000;

/// Keywords whose schemas are merged with what stands beside them.
const COMBINING: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];
/// Keywords that may stand beside those: they change nothing, or little.
const BESIDE: [&str; 16] = [
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "definitions",
    "default",
    "deprecated",
    "description",
    "examples",
    "id",
    "nullable",
    "readOnly",
    "title",
    "type",
    "writeOnly",
];

#[derive(Default)]
struct Counted<'a> {
    schemas: usize,
    references: BTreeSet<&'a str>,
    values: usize,
    patterns: usize,
}

pub(super) fn check(schema: &Value) -> Result<()> {
    Counted::default().schema(schema, 0)
}

impl<'a> Counted<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<()> {
        // `true` and `false` are schemas, too; what is none is llguidance's to name.
        let Value::Object(members) = schema else {
            return Ok(());
        };
        self.schemas += 1;
        at_most("schemas", self.schemas, SCHEMAS)?;
        at_most("schemas in each other", depth, DEPTH)?;
        let combined = COMBINING.iter().find(|keyword| members.contains_key(**keyword));
        if let Some(combined) = combined
            && let Some(beside) = members
                .keys()
                .find(|keyword| keyword.as_str() != *combined && !BESIDE.contains(&keyword.as_str()))
        {
            return Err(refused(format!(
                "{beside:?} beside {combined:?} is not supported; write it into the schemas of {combined:?}"
            )));
        }
        for (keyword, value) in members {
            self.keyword(keyword, value, depth)?;
        }
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, value: &'a Value, depth: usize) -> Result<()> {
        match (keyword, value) {
            ("patternProperties", _) => Err(refused(
                "the keyword \"patternProperties\" is not supported; name the properties",
            )),
            ("allOf", Value::Array(schemas)) if schemas.len() > 1 => Err(refused(
                "\"allOf\" with several schemas is not supported; write them as one",
            )),
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => self.named(keyword, schemas, depth),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                let most = if keyword == "oneOf" { EXCLUSIVE_OPTIONS } else { OPTIONS };
                at_most(&format!("schemas in {keyword:?}"), schemas.len(), most)?;
                schemas.iter().try_for_each(|schema| self.schema(schema, depth + 1))
            }
            ("items" | "additionalItems" | "additionalProperties", schema) => self.schema(schema, depth + 1),
            ("$ref", Value::String(reference)) => {
                self.references.insert(reference);
                at_most("different references", self.references.len(), REFERENCES)
            }
            ("enum", Value::Array(values)) => {
                self.values += values.len();
                at_most("values of \"enum\"", self.values, VALUES)
            }
            ("pattern", Value::String(pattern)) => {
                self.patterns += 1;
                at_most("patterns", self.patterns, PATTERNS)?;
                at_most("bytes of a pattern", pattern.len(), PATTERN_BYTES)
            }
            ("minItems" | "maxItems" | "minProperties" | "maxProperties", value) => bounded(keyword, value, ITEMS),
            ("minLength" | "maxLength", value) => bounded(keyword, value, LETTERS),
            ("multipleOf", value) => {
                let digits: String = value.to_string().chars().filter(char::is_ascii_digit).collect();
                match digits.parse() {
                    Ok(1..=REMAINDERS) if !value.to_string().contains('e') => Ok(()),
                    _ => Err(refused(format!(
                        "\"multipleOf\" may be up to {REMAINDERS}, without its decimal point"
                    ))),
                }
            }
            _ => Ok(()),
        }
    }

    fn named(&mut self, keyword: &str, schemas: &'a Map<String, Value>, depth: usize) -> Result<()> {
        at_most(&format!("schemas in {keyword:?}"), schemas.len(), PROPERTIES)?;
        schemas.values().try_for_each(|schema| self.schema(schema, depth + 1))
    }
}

fn at_most(what: &str, count: usize, most: usize) -> Result<()> {
    match count <= most {
        true => Ok(()),
        false => Err(refused(format!("it has {count} {what} or more, and may have {most}"))),
    }
}

fn bounded(keyword: &str, value: &Value, most: u64) -> Result<()> {
    match value.as_u64() {
        Some(count) if count > most => Err(refused(format!("{keyword:?} may be up to {most}"))),
        Some(_) | None => Ok(()),
    }
}

/// Lets an object have the properties that its schema names and no others, where the schema does not say. What is written is valid either way;
/// a model that may write more properties does not stop where a client expects it, and clients' schemas rarely say so.
pub(super) fn close(schema: &mut Value) {
    let Value::Object(members) = schema else {
        return;
    };
    for (keyword, value) in members.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => schemas.values_mut().for_each(close),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(close);
            }
            ("items" | "additionalItems" | "additionalProperties", schema) => close(schema),
            _ => {}
        }
    }
    let Some(Value::Object(properties)) = members.get("properties") else {
        return;
    };
    // A schema may demand more than it names.
    let names = members.get("required").and_then(Value::as_array);
    let is_named = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    let least = members.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    if names.is_none_or(|names| names.iter().all(is_named)) && least <= properties.len() as u64 {
        members.entry("additionalProperties").or_insert(Value::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_closed_unless_the_schema_says_otherwise() {
        let object = |more: Value| {
            let mut schema = json!({"properties": {"a": {"type": "string"}}});
            schema
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            schema
        };
        let closed = object(json!({"additionalProperties": false}));
        for (mut schema, expected) in [
            (object(json!({})), closed.clone()),
            (closed.clone(), closed.clone()),
            (
                json!({"anyOf": [object(json!({})), {"type": "null"}]}),
                json!({"anyOf": [closed, {"type": "null"}]}),
            ),
            (
                json!({"items": {"$ref": "#/$defs/A"}, "$defs": {"A": object(json!({}))}}),
                json!({"items": {"$ref": "#/$defs/A"}, "$defs": {"A": closed}}),
            ),
        ] {
            close(&mut schema);
            assert_eq!(schema, expected);
        }
        for open in [
            json!({"type": "object"}),
            object(json!({"additionalProperties": true})),
            object(json!({"required": ["a", "b"]})),
            object(json!({"minProperties": 2})),
            // A value, not a schema.
            json!({"enum": [{"properties": {}}]}),
        ] {
            let mut schema = open.clone();
            close(&mut schema);
            assert_eq!(schema, open);
        }
    }

    #[test]
    fn what_clients_generate_is_accepted() {
        for schema in [
            json!({"type": "object", "properties": {"pattern": {"type": "string"}, "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
                "required": ["items"], "$defs": {"Item": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Item"}}}),
            json!({"allOf": [{"$ref": "#/$defs/a"}], "default": 1, "$defs": {"a": {"type": "integer", "multipleOf": 0.25}}}),
            json!({"type": "string", "pattern": "^[A-Z]{2}$", "maxLength": 2}),
            json!({"oneOf": [{"const": 1}, {"const": 2}]}),
            json!({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}}}),
        ] {
            check(&schema).unwrap_or_else(|error| panic!("{schema}: {error}"));
        }
    }

    #[test]
    fn what_would_multiply_is_refused_by_name() {
        let many = |count: usize| vec![json!(true); count];
        let chain: Map<String, Value> = (0..100)
            .map(|number| (number.to_string(), json!({"$ref": format!("#/$defs/{}", number + 1)})))
            .collect();
        let deep = (0..40).fold(json!({}), |schema, _| json!({"items": schema}));
        let wide: Map<String, Value> = (0..201).map(|number| (number.to_string(), json!({}))).collect();
        for (schema, named) in [
            (json!({"$ref": "#/$defs/0", "$defs": chain}), "different references"),
            (json!({"allOf": [{"oneOf": many(60)}, {"type": "object"}]}), "allOf"),
            (json!({"oneOf": many(60)}), "oneOf"),
            (
                json!({"anyOf": many(60), "properties": {}}),
                "\"properties\" beside \"anyOf\"",
            ),
            (json!({"$ref": "#/$defs/a", "anyOf": []}), "beside \"$ref\""),
            (
                json!({"type": "string", "allOf": [{"pattern": "a"}, {"pattern": "b"}]}),
                "allOf",
            ),
            (json!({"patternProperties": {"a": {}}}), "patternProperties"),
            (deep, "in each other"),
            (json!({"properties": wide}), "properties"),
            (json!({"prefixItems": many(65)}), "prefixItems"),
            (json!({"enum": many(1001)}), "enum"),
            (
                json!({"properties": {"a": {"items": {"pattern": "a".repeat(257)}}}}),
                "bytes of a pattern",
            ),
            (json!({"maxItems": 100_000}), "maxItems"),
            (json!({"maxLength": 1_000_000_000}), "maxLength"),
            (json!({"multipleOf": 99_991}), "multipleOf"),
            (json!({"multipleOf": 1e-9}), "multipleOf"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.message().contains(named), "{schema}: {error}");
        }
        let patterns: Map<String, Value> = (0..17)
            .map(|number| (number.to_string(), json!({"pattern": "a"})))
            .collect();
        assert!(
            check(&json!({"properties": patterns}))
                .unwrap_err()
                .message()
                .contains("patterns")
        );
    }
}
