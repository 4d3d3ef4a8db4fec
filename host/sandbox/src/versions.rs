//! The versions of `wit/` that this server serves, and what a component may import and export. Names are read from a component's bytes
//! before it is compiled: the name of an interface has the version that the component's SDK was made for.
//! Not here: the types of what is imported and exported (`check.rs`).

use crate::wasi;
use riad_core::{Error, Result, plugin::Stage};
use wasmparser::{Parser, Payload};

/// Interfaces that a component may import, and the versions of each, newest first. The last three only name types.
const CAPABILITIES: [(&str, &[&str]); 14] = [
    ("riad:documents/documents", &["0.2.0", "0.1.0"]),
    ("riad:store/store", &["0.1.0"]),
    ("riad:kv/kv", &["0.1.0"]),
    ("riad:embeddings/embeddings", &["0.1.0"]),
    ("riad:generation/generation", &["0.1.0"]),
    ("riad:http/http", &["0.1.0"]),
    ("riad:settings/settings", &["0.1.0"]),
    ("riad:logging/logging", &["0.1.0"]),
    ("riad:model/model", &["0.1.0"]),
    ("riad:clock/clock", &["0.1.0"]),
    ("riad:random/random", &["0.1.0"]),
    ("riad:types/types", &["0.1.0"]),
    ("riad:pipeline/types", &["0.2.0", "0.1.0"]),
    ("riad:ingestion/types", &["0.1.0"]),
];

/// A version of a package whose stages are served, in the order of [`StageVersion::ALL`] from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageVersion {
    /// `finish` of a filter learns why the output ended.
    V0_2,
    V0_1,
}

impl StageVersion {
    const ALL: [Self; 2] = [Self::V0_2, Self::V0_1];

    /// The versions that a stage has been in, newest first.
    fn of(stage: Stage) -> &'static [Self] {
        match stage {
            Stage::Retrieval | Stage::Prompting | Stage::Postprocessing => &Self::ALL,
            Stage::Tools => &[Self::V0_2],
            Stage::Extraction | Stage::Chunking => &[Self::V0_1],
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::V0_2 => "0.2.0",
            Self::V0_1 => "0.1.0",
        }
    }
}

/// A stage's interface, as a component exports it.
pub(crate) fn interface_name(stage: Stage, version: StageVersion) -> String {
    format!("{}/{stage}@{}", stage.package(), version.as_str())
}

/// Checks the names that a component imports and exports, in its own section only. What cannot be read is left to the compiler, which
/// says where it is wrong.
pub(crate) fn check_names(bytes: &[u8]) -> Result<()> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else {
            return Ok(());
        };
        // Of a nested module or component there is an end, too.
        if matches!(
            payload,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
        ) {
            depth += 1;
        } else if matches!(payload, Payload::End(_)) {
            depth = depth.saturating_sub(1);
        } else if depth > 0 {
            continue;
        } else if let Payload::ComponentImportSection(imports) = payload {
            for import in imports.into_iter().map_while(Result::ok) {
                check_import(import.name.name)?;
            }
        } else if let Payload::ComponentExportSection(exports) = payload {
            for export in exports.into_iter().map_while(Result::ok) {
                exported_stage(export.name.name)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn check_import(name: &str) -> Result<()> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let package = interface.split_once('/').map_or(interface, |(package, _)| package);
    if let Some((_, versions)) = CAPABILITIES.iter().find(|(known, _)| *known == interface) {
        if versions.contains(&version) {
            return Ok(());
        }
        return Err(Error::invalid(format!(
            "the component imports `{name}`; this server has that interface at version {}",
            versions.join(" and ")
        )));
    }
    // The linker knows the interfaces of these packages and names a missing one.
    if wasi::PACKAGES.contains(&package) && version.starts_with("0.2.") {
        return Ok(());
    }
    let why = match package {
        "wasi:filesystem" => ": a plugin has no files; its SQL store is `riad:store`",
        "wasi:sockets" | "wasi:http" => ": a plugin has no network",
        _ => "",
    };
    let granted = CAPABILITIES.map(|(interface, versions)| format!("{interface}@{}", versions.join("|")));
    Err(Error::invalid(format!(
        "the component imports `{name}`, which is not granted{why}. Granted are {}, and of WASI 0.2: {}",
        granted.join(", "),
        wasi::PACKAGES.join(", ")
    )))
}

/// The stage whose interface has this name; `None` if it is none of a stage. Fails for a version that is not served.
pub(crate) fn exported_stage(name: &str) -> Result<Option<(Stage, StageVersion)>> {
    let Some((interface, version)) = name.split_once('@') else {
        return Ok(None);
    };
    let Some(stage) = Stage::of_interface(interface) else {
        return Ok(None);
    };
    let versions = StageVersion::of(stage);
    match versions.iter().find(|known| known.as_str() == version) {
        Some(version) => Ok(Some((stage, *version))),
        None => Err(Error::invalid(format!(
            "the component exports `{name}`; the versions of that stage that this server supports are: {}",
            versions
                .iter()
                .map(|version| version.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// Of several versions of a stage that one component exports, the newest serves.
pub(crate) fn newest(one: StageVersion, other: StageVersion) -> StageVersion {
    match (one, other) {
        (StageVersion::V0_1, StageVersion::V0_1) => StageVersion::V0_1,
        (StageVersion::V0_2, _) | (_, StageVersion::V0_2) => StageVersion::V0_2,
    }
}

/// For the message about a component without a stage.
pub(crate) fn newest_interfaces() -> String {
    let newest = |stage| {
        StageVersion::of(stage)
            .first()
            .map(|version| interface_name(stage, *version))
    };
    Stage::ALL.into_iter().filter_map(newest).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_import_is_named_beside_those_granted() {
        let message = |name| check_import(name).unwrap_err().message().to_owned();
        assert!(
            message("wasi:sockets/tcp@0.2.3")
                .contains("`wasi:sockets/tcp@0.2.3`, which is not granted: a plugin has no network")
        );
        assert!(message("wasi:filesystem/types@0.2.0").contains("no files"));
        assert!(
            message("acme:tools/secrets")
                .contains("`acme:tools/secrets`, which is not granted. Granted are riad:documents")
        );
        assert!(message("riad:documents/documents@0.3.0").contains("at version 0.2.0 and 0.1.0"));
        assert!(message("riad:store/store@0.2.0").contains("at version 0.1.0"));
        assert!(message("wasi:cli/environment@0.3.0").contains("not granted"));
    }

    #[test]
    fn capabilities_and_the_empty_wasi_are_granted() {
        for name in [
            "riad:store/store@0.1.0",
            "riad:documents/documents@0.1.0",
            "riad:documents/documents@0.2.0",
            "riad:pipeline/types@0.1.0",
            "wasi:io/poll@0.2.6",
        ] {
            check_import(name).unwrap();
        }
    }

    #[test]
    fn a_stage_is_served_in_each_of_its_versions() {
        for (name, found) in [
            (
                "riad:pipeline/retrieval@0.1.0",
                Some((Stage::Retrieval, StageVersion::V0_1)),
            ),
            (
                "riad:pipeline/prompting@0.2.0",
                Some((Stage::Prompting, StageVersion::V0_2)),
            ),
            ("riad:pipeline/types@0.2.0", None),
            ("acme:pipeline/prompting@0.2.0", None),
        ] {
            assert_eq!(exported_stage(name).unwrap(), found, "{name}");
        }
        assert!(exported_stage("riad:ingestion/chunking@0.1.0").unwrap().is_some());
        assert!(exported_stage("riad:ingestion/chunking@0.2.0").is_err());
        // There were no tools in 0.1.
        assert!(exported_stage("riad:pipeline/tools@0.2.0").unwrap().is_some());
        assert!(exported_stage("riad:pipeline/tools@0.1.0").is_err());
        let refused = exported_stage("riad:pipeline/retrieval@0.3.0").unwrap_err();
        assert!(refused.message().ends_with("supports are: 0.2.0, 0.1.0"), "{refused}");
    }

    #[test]
    fn the_newest_of_two_versions_serves() {
        assert_eq!(newest(StageVersion::V0_1, StageVersion::V0_2), StageVersion::V0_2);
        assert_eq!(newest(StageVersion::V0_1, StageVersion::V0_1), StageVersion::V0_1);
    }

    #[test]
    fn names_are_read_without_compiling() {
        let read = |wat: &str| check_names(&wat::parse_str(wat).unwrap());
        let refused = read(r#"(component (import "riad:documents/documents@0.9.0" (instance)))"#).unwrap_err();
        assert!(refused.message().contains("0.2.0 and 0.1.0"), "{refused}");
        let refused = read(r#"(component (instance $i) (export "riad:pipeline/prompting@0.9.0" (instance $i)))"#);
        assert!(refused.unwrap_err().message().contains("0.2.0, 0.1.0"));
        // What a component inside of it imports is not asked of the host.
        read(r#"(component (component (import "acme:inner/thing" (instance))) (core module))"#).unwrap();
        // What is no component is the compiler's to refuse.
        check_names(b"\0asm\x0d\0\x01\0 and no more").unwrap();
    }
}
