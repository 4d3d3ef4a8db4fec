//! What stands in a component's file: imports, exports, manifest. Nothing is compiled.

use riad_core::{
    Error, Result,
    manifest::{self, Capability, Manifest},
    plugin::Stage,
};
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// The package of the stages.
const STAGES: &str = "riad:pipeline/";

pub struct Component {
    pub bytes: usize,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    pub manifest: Option<Manifest>,
}

impl Component {
    /// # Errors
    /// `InvalidRequest` for what is no component.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut component = Self {
            bytes: bytes.len(),
            imports: Vec::new(),
            exports: Vec::new(),
            manifest: manifest::read_section(bytes)?,
        };
        component.read(bytes).map_err(|error| {
            Error::invalid(format!("this is not a WebAssembly component: {error}")).with_source(error)
        })?;
        Ok(component)
    }

    fn read(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        // Of the modules and components in it, too.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if let Payload::Version { .. } = payload {
                depth += 1;
            } else if let Payload::End(_) = payload {
                depth = depth.saturating_sub(1);
            } else if depth > 1 {
                continue;
            } else if let Payload::ComponentImportSection(section) = payload {
                for import in section {
                    self.imports.push(import?.name.name.to_owned());
                }
            } else if let Payload::ComponentExportSection(section) = payload {
                for export in section {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
        }
        Ok(())
    }

    pub fn capabilities(&self) -> BTreeSet<Capability> {
        self.imports
            .iter()
            .filter_map(|name| Capability::of_interface(name))
            .collect()
    }

    /// Each stage with the version of its contract.
    pub fn stages(&self) -> Vec<(Stage, &str)> {
        let stage = |name: &'_ str| Stage::ALL.into_iter().find(|stage| stage.as_str() == name);
        let exports = self
            .exports
            .iter()
            .filter_map(|name| name.strip_prefix(STAGES)?.split_once('@'));
        exports
            .filter_map(|(name, version)| Some((stage(name)?, version)))
            .collect()
    }

    /// Whether the component is what its author says of it.
    ///
    /// # Errors
    /// `InvalidRequest` says what to change in `riad.toml` or in the source.
    pub fn check(&self, manifest: &Manifest) -> Result<()> {
        let more = self.capabilities();
        if let Some(more) = more.iter().find(|capability| !may_import(manifest, **capability)) {
            return Err(Error::invalid(format!(
                "the component imports {}, which {} does not name; add \"{more}\" to `capabilities`",
                more.interface(),
                manifest::FILE
            )));
        }
        let stages: BTreeSet<Stage> = self.stages().into_iter().map(|(stage, _)| stage).collect();
        if let Some(missing) = manifest.stages.difference(&stages).next() {
            return Err(Error::invalid(format!(
                "{} names the stage {missing}, which the source does not export; export it, or take it out of `stages`",
                manifest::FILE
            )));
        }
        match stages.difference(&manifest.stages).next() {
            None => Ok(()),
            Some(more) => Err(Error::invalid(format!(
                "the source exports the stage {more}, which {} does not name; add \"{more}\" to `stages`",
                manifest::FILE
            ))),
        }
    }
}

/// Requests have a type of `riad:model`, so that the tools of some languages import that interface with every stage that reads one.
fn may_import(manifest: &Manifest, capability: Capability) -> bool {
    let reads_requests = Stage::STANDARD.iter().any(|stage| manifest.stages.contains(stage));
    manifest.capabilities.contains(&capability) || (capability == Capability::Model && reads_requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nlanguage = \"rust\"\nstages = [\"retrieval\"]\n\
                            capabilities = [\"store\"]\n";

    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut text = String::from("(component (instance $none)");
        for name in imports {
            text += &format!("(import \"{name}\" (instance))");
        }
        for name in exports {
            text += &format!("(export \"{name}\" (instance $none))");
        }
        // Its imports are not the component's.
        text += "(component (import \"riad:kv/kv@0.1.0\" (instance))))";
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn imports_and_exports_are_those_of_the_top_level() {
        let bytes = component(
            &["riad:store/store@0.1.0"],
            &["riad:pipeline/retrieval@0.2.0", "riad:pipeline/other@0.2.0"],
        );
        let found = Component::parse(&bytes).unwrap();
        assert_eq!(found.imports, ["riad:store/store@0.1.0"]);
        assert_eq!(found.exports.len(), 2);
        assert_eq!(found.stages(), [(Stage::Retrieval, "0.2.0")]);
        assert_eq!(found.capabilities(), [Capability::Store].into());
        assert!(found.manifest.is_none());
    }

    #[test]
    fn a_component_that_is_not_as_the_manifest_says_is_refused() {
        let manifest = Manifest::from_toml(MANIFEST).unwrap();
        let check = |imports: &[&str], exports: &[&str]| {
            let found = Component::parse(&component(imports, exports)).unwrap();
            found.check(&manifest).map_err(|error| error.message().to_owned())
        };
        check(
            &["riad:store/store@0.1.0", "riad:types/types@0.1.0"],
            &["riad:pipeline/retrieval@0.2.0"],
        )
        .unwrap();
        check(&["riad:model/model@0.1.0"], &["riad:pipeline/retrieval@0.2.0"]).unwrap();
        let error = check(&["riad:kv/kv@0.1.0"], &["riad:pipeline/retrieval@0.2.0"]).unwrap_err();
        assert!(error.ends_with("add \"kv\" to `capabilities`"), "{error}");
        let error = check(&[], &["riad:pipeline/prompting@0.2.0"]).unwrap_err();
        assert!(error.contains("names the stage retrieval"), "{error}");
        let both = ["riad:pipeline/retrieval@0.2.0", "riad:pipeline/prompting@0.2.0"];
        assert!(
            check(&[], &both)
                .unwrap_err()
                .ends_with("add \"prompting\" to `stages`")
        );
    }

    #[test]
    fn what_is_no_component_is_refused() {
        for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0\x0a\x02\x01\x07"] {
            assert!(Component::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
