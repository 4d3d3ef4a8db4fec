//! `riad plugin inspect`.

use super::component::Component;
use crate::{
    commands::read_file,
    output::{Output, clean},
};
use riad_core::{Digest, Error, Result};
use serde_json::{Value, json};
use std::path::Path;

pub async fn run(file: &Path, out: &Output) -> Result<()> {
    let bytes = read_file(file).await?;
    let component = Component::parse(&bytes)?;
    let json = describe(&component, &Digest::of(&bytes))?;
    out.show_json(&json, || lines(&component, &Digest::of(&bytes)));
    Ok(())
}

fn describe(component: &Component, digest: &Digest) -> Result<Value> {
    let manifest = component
        .manifest
        .as_ref()
        .map(|manifest| manifest.to_json())
        .transpose()?;
    let manifest: Option<Value> = manifest
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(Error::internal)?;
    let stages = component.stages();
    let stages = stages
        .iter()
        .map(|(stage, version)| json!({"stage": stage.as_str(), "version": version}));
    Ok(json!({
        "version": digest.to_string(),
        "bytes": component.bytes,
        "stages": stages.collect::<Vec<_>>(),
        "imports": component.imports,
        "exports": component.exports,
        "manifest": manifest,
    }))
}

fn lines(component: &Component, digest: &Digest) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => clean(&names.join("\n            ")),
    };
    let stages: Vec<String> = component
        .stages()
        .iter()
        .map(|(stage, version)| format!("{stage} {version}"))
        .collect();
    let manifest = match &component.manifest {
        None => "none: built without `riad plugin build`".to_owned(),
        Some(manifest) => {
            let capabilities: Vec<&str> = manifest
                .capabilities
                .iter()
                .map(|capability| capability.as_str())
                .collect();
            let capabilities = match capabilities.as_slice() {
                [] => "no capabilities".to_owned(),
                names => names.join(", "),
            };
            let configuration = match &manifest.configuration {
                Some(_) => "with a schema of its settings",
                None => "without a schema of settings",
            };
            format!(
                "{} {} in {}, plugin API {}; may import {capabilities}; {configuration}",
                manifest.name,
                manifest.version,
                manifest.language,
                riad_core::manifest::API
            )
        }
    };
    format!(
        "version     {digest}\nsize        {}\nstages      {}\nimports     {}\nexports     {}\nmanifest    {manifest}",
        super::size(component.bytes),
        match stages.as_slice() {
            [] => "none: no server accepts it".to_owned(),
            stages => stages.join(", "),
        },
        list(&component.imports),
        list(&component.exports),
    )
}
