//! Whether plugins can be uploaded: the kernel must confine the process that compiles them. And whether those that serve may run: their
//! operator may have taken a grant away since.

use super::check::Check;
use crate::{commands::plugin::component::Component, config::Config, serve};
use riad_core::{
    Digest, Error, ErrorKind, Result, manifest::Capability, pipeline::Pipeline, plugin::StageChoice, policy::grant_key,
};
use riad_store::RoomPipeline;
use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fs,
    path::Path,
};

const NAME: &str = "plugin compiler";
const GRANTS: &str = "plugin grants";
/// Lines about grants; what is beyond is counted.
const GRANT_LINES: usize = 20;

pub(super) async fn compiler(config: &Config) -> Check {
    let asked = async { serve::compiler(config)?.not_confined(&config.limits).await };
    report(asked.await, config.plugins.allow_unconfined_compiler)
}

/// `not_confined`: why the kernel does not confine the compiler, if so.
pub(super) fn report(not_confined: Result<Option<String>>, allowed: bool) -> Check {
    match not_confined {
        Ok(None) => Check::ok(NAME, "the kernel confines its system calls"),
        Ok(Some(reason)) if allowed => Check::warn(
            NAME,
            format!(
                "the kernel does not confine it ({reason}), and plugins.allow_unconfined_compiler is true: uploads are compiled \
                 with the rights of the server; use a kernel with seccomp"
            ),
        ),
        Ok(Some(reason)) if cfg!(target_os = "linux") => Check::warn(
            NAME,
            format!(
                "the kernel does not confine it ({reason}), so uploads of plugins are refused, and deployed ones that must be \
                 compiled again; use a kernel with seccomp, or accept the risk with plugins.allow_unconfined_compiler = true"
            ),
        ),
        Ok(Some(reason)) => Check::warn(
            NAME,
            format!(
                "{reason}: uploads are compiled with the rights of the server; use Linux for tenants that you do not trust"
            ),
        ),
        Err(error) => Check::fail(
            NAME,
            format!("it cannot be started: {error:?}; check limits.compile_bytes and the program's file"),
        ),
    }
}

/// A line for each plugin that serves a room and lacks a grant: every request that starts it is refused.
pub(super) fn grants(data: &Path) -> Vec<Check> {
    let rooms = match riad_store::read_pipelines(data) {
        Ok(rooms) => rooms,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![Check::skip(GRANTS, "there are no rooms yet")];
        }
        Err(error) => return vec![Check::skip(GRANTS, error.message())],
    };
    let (mut known, mut checks, mut plugins) = (HashMap::new(), Vec::new(), 0);
    for room in &rooms {
        let tenant = format!("tenant {} (account {})", room.tenant.id, room.tenant.account);
        let pipeline = match &room.pipeline {
            Ok(pipeline) => pipeline,
            Err(error) => {
                let text = format!("{tenant}: the room cannot be read ({error}); check its disk");
                checks.push(Check::warn(GRANTS, text));
                continue;
            }
        };
        for (choice, members) in by_plugin(pipeline) {
            plugins += 1;
            if let Some(problem) = problem(room, choice, &mut known) {
                let text = format!("{tenant}: {choice}, which is {}, {problem}", members.join(" and "));
                checks.push(Check::warn(GRANTS, text));
            }
        }
    }
    let more = checks.len().saturating_sub(GRANT_LINES);
    checks.truncate(GRANT_LINES);
    if more > 0 {
        checks.push(Check::warn(GRANTS, format!("and {more} more; these are the first")));
    }
    if checks.is_empty() {
        let text = format!("plugins that serve: {plugins}; each has what it imports");
        checks.push(Check::ok(GRANTS, text));
    }
    checks
}

/// The members of the pipeline that name each plugin, such as `stages.retrieval`.
fn by_plugin(pipeline: &Pipeline) -> Vec<(&StageChoice, Vec<String>)> {
    let mut plugins: Vec<(&StageChoice, Vec<String>)> = Vec::new();
    for (member, _, choice) in pipeline.choices() {
        match plugins.iter_mut().find(|(found, _)| *found == choice) {
            Some((_, members)) => members.push(member),
            None if matches!(choice, StageChoice::Plugin { .. }) => plugins.push((choice, vec![member])),
            None => {}
        }
    }
    plugins
}

/// What keeps a plugin from starting, and what to do. `known`: what components import, by digest.
fn problem(
    room: &RoomPipeline,
    choice: &StageChoice,
    known: &mut HashMap<Digest, BTreeSet<Capability>>,
) -> Option<String> {
    let StageChoice::Plugin { version, .. } = choice else {
        return None;
    };
    let imports = match known.entry(*version) {
        Entry::Occupied(found) => found.into_mut(),
        Entry::Vacant(place) => match imports(&room.component(version)) {
            Ok(imports) => place.insert(imports),
            Err(error) => return Some(format!("cannot be read ({error}); its tenant must upload it again")),
        },
    };
    let granted = room.tenant.policy.plugins.granted();
    let missing: Vec<_> = imports.difference(&granted).collect();
    let keys: BTreeSet<_> = missing.iter().map(|capability| grant_key(**capability)).collect();
    let names: Vec<_> = missing.iter().map(|capability| capability.to_string()).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "lacks {}, so every request that starts it is refused; grant it with {} (`riad tenant set {} KEY=VALUE`), or have the tenant \
             take the plugin out",
            names.join(" and "),
            keys.into_iter().collect::<Vec<_>>().join("; "),
            room.tenant.id
        )
    })
}

fn imports(component: &Path) -> Result<BTreeSet<Capability>> {
    let bytes = fs::read(component)
        .map_err(|error| Error::invalid(format!("{}: {error}", component.display())).with_source(error))?;
    Ok(Component::parse(&bytes)?.capabilities())
}
