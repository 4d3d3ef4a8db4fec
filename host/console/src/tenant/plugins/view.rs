//! The page of plugins. A script uploads components (`assets/plugins.js`).

use crate::parts::{self, format};
use maud::{Markup, html};
use riad_core::{
    PluginVersion,
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
};

pub(super) struct PluginsPage<'a> {
    /// Newest first.
    pub versions: &'a [PluginVersion],
    /// With every stage named.
    pub pipeline: &'a Pipeline,
    pub may_change: bool,
    /// Of a component.
    pub most_bytes: u64,
    pub csrf: Markup,
}

/// Between the pages about plugins.
pub(super) fn tabs(current: &str) -> Markup {
    html! {
        nav.tabs aria-label="Plugins" {
            @for (path, label) in [("", "Versions"), ("/settings", "Settings"), ("/logs", "Log")] {
                a href={ "/console/plugins" (path) } aria-current=[(path == current).then_some("page")] { (label) }
            }
        }
    }
}

pub(super) fn list(view: &PluginsPage<'_>) -> Markup {
    html! {
        (tabs(""))
        (stages(view))
        (canary(view))
        @if view.may_change { (upload(view)) }
        section aria-labelledby="versions-title" {
            h2 #versions-title { "Versions" }
            @if view.versions.is_empty() {
                (parts::empty("No plugins yet", &html! {
                    "The standard pipeline serves this room. " code { "riad plugin new" } " begins a plugin, " code { "riad plugin build" }
                    " makes its component, which you upload above."
                }))
            } @else { div.scroll tabindex="0" role="region" aria-label="Table of versions" { (versions(view)) } }
        }
    }
}

fn stages(view: &PluginsPage<'_>) -> Markup {
    let seen = view.pipeline.last_canary.as_ref().map(|canary| canary.ended);
    html! {
        section aria-labelledby="stages-title" {
            h2 #stages-title { "Who serves each stage" }
            @if view.may_change {
                form method="post" action="/console/plugins/stages" {
                    (view.csrf)
                    @if let Some(seen) = seen { input type="hidden" name="seen_canary" value=(seen); }
                    (stages_table(view))
                    div.actions { button.primary type="submit" { "Save stages" } }
                }
            } @else { (stages_table(view)) }
            @if !view.pipeline.vector_stores.is_empty() {
                p.muted {
                    "Guests search these vector stores in place of the room's documents: "
                    @for store in &view.pipeline.vector_stores { code { (store) } " " }
                }
            }
        }
    }
}

fn stages_table(view: &PluginsPage<'_>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of stages" { table {
            thead { tr { th scope="col" { "Stage" } th scope="col" { "Served by" } th scope="col" { "When" } } }
            tbody { @for stage in Stage::ALL { (stage_row(view, stage)) } }
        } }
    }
}

fn stage_row(view: &PluginsPage<'_>, stage: Stage) -> Markup {
    let chosen = view.pipeline.choice(stage);
    let id = format!("stage-{stage}");
    let when = match Stage::INGESTION.contains(&stage) {
        true => "a document is added",
        false => "a question is answered",
    };
    html! {
        tr {
            th scope="row" { @if view.may_change { label for=(id) { (stage) } } @else { (stage) } }
            td {
                @if view.may_change {
                    select id=(id) name=(stage) {
                        @let default = StageChoice::default_of(stage);
                        option value=(default) selected[chosen == default] { (default) }
                        @for version in view.versions.iter().filter(|version| version.stages.contains(&stage)) {
                            @let choice = choice_of(version);
                            option value=(choice) selected[chosen == choice] { (label(version)) }
                        }
                    }
                } @else { (chosen_label(view, &chosen)) }
            }
            td.muted { (when) }
        }
    }
}

fn chosen_label(view: &PluginsPage<'_>, chosen: &StageChoice) -> String {
    let found = view.versions.iter().find(|version| choice_of(version) == *chosen);
    found.map_or_else(|| chosen.to_string(), label)
}

fn choice_of(version: &PluginVersion) -> StageChoice {
    StageChoice::Plugin {
        name: version.name.clone(),
        version: version.version,
    }
}

/// A version's name, with the author's own count if there is one.
pub(super) fn label(version: &PluginVersion) -> String {
    let digest = format::short_digest(&version.version);
    match &version.manifest {
        Some(manifest) => format!("{} {} ({digest})", version.name, manifest.version),
        None => format!("{} ({digest})", version.name),
    }
}

fn canary(view: &PluginsPage<'_>) -> Markup {
    let pipeline = view.pipeline;
    html! {
        @if let Some(ended) = &pipeline.last_canary {
            div.notice.warn {
                p { "The server ended the canary " code { (ended.settings()) } " " (parts::when(ended.ended)) ": " (ended.reason) "." }
            }
        }
        @if let Some(canary) = &pipeline.canary {
            section aria-labelledby="canary-title" {
                h2 #canary-title { "Canary" }
                p { "Serves " strong { (canary.percent) " %" } " of the requests:" }
                ul { @for (stage, choice) in &canary.stages { li { (stage) ": " (chosen_label(view, choice)) } } }
                @if view.may_change {
                    div.actions {
                        (parts::button_form("/console/plugins/canary/promote", "Promote to all requests", &view.csrf))
                        (parts::button_form("/console/plugins/canary/end", "End the canary", &view.csrf))
                    }
                }
            }
        } @else if view.may_change && !view.versions.is_empty() {
            details {
                summary { "Try a version on a share of the requests" }
                form method="post" action="/console/plugins/canary" {
                    (view.csrf)
                    div.fields {
                        div.field {
                            label for="canary-version" { "Version" }
                            select #canary-version name="version" {
                                @for version in view.versions { option value=(choice_of(version)) { (label(version)) } }
                            }
                        }
                        div.field {
                            label for="canary-percent" { "Percent of the requests" }
                            input #canary-percent name="percent" type="number" min="1" max="100" value="10" required;
                        }
                    }
                    button type="submit" { "Start the canary" }
                }
            }
        }
    }
}

fn upload(view: &PluginsPage<'_>) -> Markup {
    html! {
        section aria-labelledby="upload-title" {
            h2 #upload-title { "Upload a component" }
            form #plugin-upload data-most-bytes=(view.most_bytes) hidden {
                (view.csrf)
                div.fields {
                    div.field {
                        label for="plugin-file" { "Component (" code { ".wasm" } "), up to " (format::bytes(view.most_bytes)) }
                        input #plugin-file type="file" accept=".wasm,application/wasm" required;
                    }
                    div.field {
                        label for="plugin-name" { "Name: a–z, 0–9, - and _" }
                        input #plugin-name required pattern="[a-z0-9][a-z0-9_\\-]*" maxlength="64" autocomplete="off";
                    }
                }
                div.actions { button.primary type="submit" { "Upload" } }
                p #plugin-state role="status" {}
            }
            noscript { p.notice { "Components are sent by a script, which your browser does not run. Use " code { "riad plugin deploy" } "." } }
            p.muted { "An upload is checked and compiled, and serves nothing until a stage names it." }
        }
    }
}

fn versions(view: &PluginsPage<'_>) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Plugin" }
                th scope="col" { "Stages" }
                th scope="col" { "Capabilities" }
                th.number scope="col" { "Size" }
                th scope="col" { "Uploaded" }
                @if view.may_change { th scope="col" { span.visually-hidden { "Actions" } } }
            } }
            tbody { @for version in view.versions { (version_row(view, version)) } }
        }
    }
}

fn version_row(view: &PluginsPage<'_>, version: &PluginVersion) -> Markup {
    let choice = choice_of(version);
    let serving: Vec<&str> = view
        .pipeline
        .choices()
        .filter(|(_, _, serving)| **serving == choice)
        .map(|(_, stage, _)| stage.as_str())
        .collect();
    let stages: Vec<&str> = version.stages.iter().map(|stage| stage.as_str()).collect();
    let base = format!("/console/plugins/of/{}", version.name);
    html! {
        tr {
            th scope="row" {
                a href=(base) { (version.name) }
                @if let Some(manifest) = &version.manifest { " " (manifest.version) " " span.muted { (manifest.language) } }
                " " (parts::digest(&version.version))
                @if !serving.is_empty() { " " span.badge.good { "serves " (serving.join(", ")) } }
            }
            td { (stages.join(", ")) }
            td {
                @if let Some(manifest) = &version.manifest {
                    @let capabilities: Vec<&str> = manifest.capabilities.iter().map(|capability| capability.as_str()).collect();
                    (capabilities.join(", "))
                }
            }
            td.number { (format::bytes(version.bytes)) }
            td { (parts::when(version.created)) }
            @if view.may_change {
                td.actions {
                    @if serving.is_empty() {
                        (parts::button_form(&format!("{base}/{}/use", version.version), use_label(view, version), &view.csrf))
                        (parts::confirmed_form(&format!("{base}/{}/delete", version.version), "Delete", "The component is removed from this room.", &view.csrf))
                    }
                }
            }
        }
    }
}

/// A version that is older than the one of its plugin that serves is a step back.
fn use_label(view: &PluginsPage<'_>, version: &PluginVersion) -> &'static str {
    let mut of_plugin = view.versions.iter().filter(|found| found.name == version.name);
    let serves = |found: &PluginVersion| {
        let choice = choice_of(found);
        view.pipeline.stages.values().any(|serving| *serving == choice)
    };
    // Newest first: what stands before it is newer.
    let has_newer = of_plugin
        .by_ref()
        .take_while(|found| found.version != version.version)
        .any(serves);
    if has_newer { "Roll back to this" } else { "Use" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Digest;

    fn version(name: &str, bytes: &[u8]) -> PluginVersion {
        PluginVersion {
            name: name.parse().unwrap(),
            version: Digest::of(bytes),
            stages: vec![Stage::Retrieval],
            manifest: None,
            bytes: 1,
            created: 0,
        }
    }

    fn shown(may_change: bool) -> String {
        let versions = [
            version("desk", b"newest"),
            version("desk", b"new"),
            version("desk", b"old"),
            version("other", b"x"),
        ];
        let pipeline = Pipeline {
            stages: [(Stage::Retrieval, choice_of(&versions[1]))].into(),
            ..Pipeline::default()
        };
        let view = PluginsPage {
            versions: &versions,
            pipeline: &pipeline.complete(),
            may_change,
            most_bytes: 1024,
            csrf: html! { input name="csrf" type="hidden" value="token"; },
        };
        list(&view).into_string()
    }

    #[test]
    fn an_older_version_is_a_rollback() {
        let html = shown(true);
        assert_eq!(html.matches("Roll back to this").count(), 1);
        assert_eq!(html.matches(">Use<").count(), 2, "the newest, and the other plugin's");
        assert!(html.contains("serves retrieval"));
    }

    #[test]
    fn a_key_that_only_reads_sees_no_buttons() {
        let html = shown(false);
        assert!(
            !html.contains("<button") && !html.contains("<select") && !html.contains("<form"),
            "{html}"
        );
    }
}
