//! Manifests as files and as sections.

use super::*;
use serde_json::json;

const GOOD: &str = r#"
[plugin]
name = "price-desk"
version = "1.2.0"
language = "rust"
stages = ["prompting", "retrieval"]
capabilities = ["store", "kv"]

[configuration]
type = "object"
properties.limit = { type = "integer", minimum = 1 }
"#;
/// A component without anything in it.
const EMPTY: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

fn refused(text: &str) -> String {
    Manifest::from_toml(text).unwrap_err().message().to_owned()
}

fn without_schema(change: &str, to: &str) -> String {
    let text = GOOD.split("[configuration]").next().unwrap();
    assert!(text.contains(change));
    text.replace(change, to)
}

#[test]
fn a_file_is_read_whole() {
    let manifest = Manifest::from_toml(GOOD).unwrap();
    assert_eq!(manifest.name.as_str(), "price-desk");
    assert_eq!(manifest.version, Version::new(1, 2, 0));
    assert_eq!(manifest.language, Language::Rust);
    assert_eq!(manifest.stages, [Stage::Retrieval, Stage::Prompting].into());
    assert_eq!(manifest.capabilities, [Capability::Store, Capability::Kv].into());
    let schema = json!({"type": "object", "properties": {"limit": {"type": "integer", "minimum": 1}}});
    assert_eq!(Value::from(manifest.configuration.unwrap()), schema);
}

#[test]
fn capabilities_and_configuration_may_be_left_out() {
    let manifest = Manifest::from_toml(&without_schema("capabilities = [\"store\", \"kv\"]", "")).unwrap();
    assert_eq!(manifest.capabilities, BTreeSet::new());
    assert_eq!(manifest.configuration, None);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (change, to, expected) in [
        (
            "stages =",
            "stage =",
            "line 6: unknown field `stage`, expected one of `name`",
        ),
        ("\"1.2.0\"", "\"1.2\"", "line 4: `1.2` is not a version like 1.0.0"),
        ("\"price-desk\"", "\"Price Desk\"", "line 3: a plugin name must be"),
        (
            "\"rust\"",
            "\"go\"",
            "line 5: unknown variant `go`, expected one of `rust`, `javascript`, `python`",
        ),
        (
            "\"kv\"",
            "\"files\"",
            "line 7: unknown variant `files`, expected one of `documents`",
        ),
        (
            "\"retrieval\"",
            "\"reranking\"",
            "line 6: unknown variant `reranking`, expected",
        ),
        ("version = \"1.2.0\"", "", "line 2: missing field `version`"),
        ("[plugin]", "[plugin", "line 2: "),
    ] {
        let message = refused(&without_schema(change, to));
        assert!(message.starts_with(&format!("riad.toml, {expected}")), "{message}");
    }
}

#[test]
fn what_says_nothing_or_twice_is_refused() {
    assert!(
        refused(&without_schema("[\"prompting\", \"retrieval\"]", "[]")).contains("name at least one of extraction")
    );
    let twice = without_schema("[\"store\", \"kv\"]", "[\"kv\", \"kv\"]");
    assert_eq!(
        refused(&twice),
        "riad.toml: `capabilities` names `kv` twice; name it once"
    );
    assert!(refused(&" ".repeat(BYTES_MAX + 1)).contains("at most 65536 are read"));
}

#[test]
fn a_configuration_is_a_schema_of_an_object_in_json() {
    for (schema, expected) in [
        ("type = \"array\"", "set its `type` to \"object\", not \"array\""),
        ("properties = 7", "`configuration.properties` must be a table"),
        ("properties.since.default = 2020-01-01", "has a date"),
        ("properties.most.maximum = inf", "not finite"),
    ] {
        let message = refused(&format!("{}[configuration]\n{schema}\n", without_schema("", "")));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_component_keeps_its_manifest_and_its_sections() {
    let manifest = Manifest::from_toml(GOOD).unwrap();
    let mut component = EMPTY.to_vec();
    component.extend([0, 3, 1, b'x', 7]);
    assert_eq!(read_section(&component).unwrap(), None);
    let written = write_section(&component, &manifest).unwrap();
    assert!(written.starts_with(&component));
    assert_eq!(read_section(&written).unwrap().unwrap(), manifest);
    // A new one takes the place of the old one.
    let next = Manifest {
        version: Version::new(2, 0, 0),
        ..manifest
    };
    let again = write_section(&written, &next).unwrap();
    assert_eq!(again.len(), written.len());
    assert_eq!(read_section(&again).unwrap().unwrap(), next);
}

#[test]
fn a_broken_component_is_refused_wherever_it_ends() {
    let manifest = Manifest::from_toml(GOOD).unwrap();
    let whole = write_section(&EMPTY, &manifest).unwrap();
    for length in 0..whole.len() {
        let read = read_section(&whole[..length]);
        match length {
            8 => assert_eq!(read.unwrap(), None),
            _ => assert!(read.is_err(), "{length}"),
        }
    }
    let sections = |bytes: &[u8]| read_section(&[&EMPTY[..], bytes].concat());
    assert!(
        sections(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err(),
        "longer than the file"
    );
    assert!(
        sections(&[1, 0xff, 0xff, 0xff, 0xff, 0x1f]).is_err(),
        "more than 32 bits"
    );
    assert!(
        sections(&[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0]).is_err(),
        "a length of six bytes"
    );
    assert!(
        sections(&[0, 1, 9]).unwrap().is_none(),
        "a name that is longer than its section"
    );
    assert!(read_section(b"\0asm\x01\0\0\0").is_err(), "a core module");
}

#[test]
fn two_manifests_and_those_of_another_api_are_refused() {
    let manifest = Manifest::from_toml(GOOD).unwrap();
    let one = write_section(&EMPTY, &manifest).unwrap();
    let error = read_section(&[&one[..], &one[8..]].concat()).unwrap_err();
    assert!(error.message().contains("two sections"), "{error}");
    let later = manifest.to_json().unwrap().replace("\"0.2\"", "\"0.9\"");
    let error = Manifest::from_json(later.as_bytes()).unwrap_err();
    assert!(
        error.message().contains("plugin API `0.9`, and this program has 0.2"),
        "{error}"
    );
    assert!(Manifest::from_json(b"{}").is_err());
    let wide = format!("{{\"api\": [{}]}}", ",".repeat(json::VALUES_MAX));
    let error = Manifest::from_json(wide.as_bytes()).unwrap_err();
    assert!(error.message().contains("values"), "{error}");
    let long = " ".repeat(BYTES_MAX + 1);
    let error = Manifest::from_json(long.as_bytes()).unwrap_err();
    assert!(error.message().contains("more than 65536 bytes"), "{error}");
}

#[test]
fn an_import_is_known_by_its_interface() {
    assert_eq!(Capability::of_interface("riad:kv/kv@0.1.0"), Some(Capability::Kv));
    assert_eq!(Capability::of_interface("riad:types/types@0.1.0"), None);
    assert_eq!(
        Capability::of_interface("wasi:clocks/wall-clock@0.2.6"),
        Some(Capability::Clock)
    );
    assert_eq!(
        Capability::of_interface("wasi:random/insecure@0.2.0"),
        Some(Capability::Random)
    );
    assert_eq!(Capability::of_interface("wasi:io/streams@0.2.6"), None);
    for capability in Capability::ALL {
        assert_eq!(Capability::of_interface(&capability.interface()), Some(capability));
    }
    for (text, language) in [
        ("js", Language::JavaScript),
        ("py", Language::Python),
        ("rust", Language::Rust),
    ] {
        assert_eq!(text.parse::<Language>().unwrap(), language);
    }
    assert!("go".parse::<Language>().is_err());
}
