//! What the files of `host/deploy` name exists in the product: metrics, paths, the port, variables, configuration keys, commands and their
//! options; and who stops a server gives it the time that it takes. Not here: whether the manifests are ones (`cargo xtask deploy check`).

mod known;
mod mentions;

use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use known::Known;
use std::{fs, path::Path};

const FOLDER: &str = "host/deploy";
/// After `limits.drain_ms`: what is left is cut off (4 s), settled (10 s), and the rooms are closed.
const STOP_SECONDS: u64 = 30;

pub fn check(environment: &Environment) -> Result<Vec<String>> {
    let known = Known::read(environment)?;
    let arguments = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        FOLDER,
    ];
    let listed = process::read(&mut process::command("git", &arguments, &environment.root))?;
    let mut wrong = Vec::new();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = environment.root.join(name);
        // Deleted and not yet committed.
        if path.is_file() && !name.contains("/schemas/") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
            wrong.extend(look_at(&known, name, &text)?);
        }
    }
    Ok(wrong)
}

/// What is wrong in a file, each with its line.
fn look_at(known: &Known, name: &str, text: &str) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let faults = mentions::faults(known, line)?;
        wrong.extend(faults.into_iter().map(|fault| format!("{name}:{}: {fault}", index + 1)));
    }
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        let table: toml::Table = text.parse().with_context(|| format!("{name} is not TOML"))?;
        wrong.extend(
            known
                .unknown_keys(&table)
                .map(|key| format!("{name}: there is no configuration key {key}")),
        );
    }
    wrong.extend(stop_time(known, text)?.map(|fault| format!("{name}: {fault}")));
    Ok(wrong)
}

/// A unit's or a pod's time to stop, which has to be enough for `limits.drain_ms`.
fn stop_time(known: &Known, text: &str) -> Result<Option<String>> {
    let number = |pattern: &str| -> Result<Option<u64>> {
        let found = regex::Regex::new(pattern)?.captures(text);
        let digits = found.as_ref().and_then(|found| found.get(1));
        digits.map(|digits| Ok(digits.as_str().parse()?)).transpose()
    };
    let (given, before) = match number(r"(?m)^TimeoutStopSec=(\d+)$")? {
        Some(given) => (Some(given), 0),
        None => (
            number(r"(?m)^\s*terminationGracePeriodSeconds: (\d+)$")?,
            number(r"(?ms)^\s*preStop:.*?^\s*seconds: (\d+)$")?.unwrap_or(0),
        ),
    };
    let needed = before + known.drain_ms.div_ceil(1000) + STOP_SECONDS;
    Ok(given.filter(|given| *given < needed).map(|given| {
        format!("gives {given} s to stop; limits.drain_ms and what comes before and after it take {needed} s")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: &str, text: &str) -> Vec<String> {
        look_at(&Known::example(), name, text).unwrap()
    }

    #[test]
    fn what_exists_may_be_named() {
        let text = "expr: rate(riad_requests_shed_total[5m]) > riad_queue_requests\n\
                    histogram_quantile(0.9, riad_queue_time_seconds_bucket)\n\
                    url: http://riad-0.riad.svc:8080/operator/v1/scale\nvalueLocation: pressure\n  path: /readyz\nvalue: /v1\n\
                    - containerPort: 8080\nEnvironment=RIAD_OPERATOR_KEY RIAD_SERVER__LISTEN HF_HOME\n\
                    # see limits.drain_ms and `engine.id`\n    riad room export acme acme.tar --data DIR   # --not an option\n\
                    args: [\"serve\", \"--config\", \"/etc/riad/riad.toml\"]\n";
        assert!(wrong("a.yaml", text).is_empty(), "{:?}", wrong("a.yaml", text));
        assert!(wrong("a.toml", "[server]\nlisten = \"0.0.0.0:8080\"\n[engine]\nid = \"x\"\n").is_empty());
    }

    #[test]
    fn each_name_that_does_not_exist_is_found() {
        for (text, name) in [
            ("expr: riad_queue_request", "riad_queue_request"),
            ("expr: riad_requests_shed", "riad_requests_shed"),
            ("expr: gen_ai_tokens", "gen_ai_tokens"),
            ("path: /ready", "/ready"),
            ("url: http://riad:8080/operator/v2/scale", "/operator/v2/scale"),
            ("value: /v2", "/v2"),
            ("valueLocation: presure", "presure"),
            ("containerPort: 8081", "8081"),
            ("url: http://riad-0.riad.svc:8081/metrics", "8081"),
            ("- name: RIAD_OPERATORS_KEY", "RIAD_OPERATORS_KEY"),
            ("Environment=RIAD_SERVER__LISTENS=x", "RIAD_SERVER__LISTENS"),
            ("- name: HF_HOUSE", "HF_HOUSE"),
            ("# limits.drain", "limits.drain"),
            ("    riad rooms export acme", "riad rooms"),
            ("    riad room dump acme", "riad room dump"),
            ("`riad room export --all`", "--all"),
            ("args: [\"serves\"]", "riad serves"),
            ("CMD [\"/opt/riad/riad\", \"scales\"]", "riad scales"),
            ("ExecStart=/opt/riad/riad serve --configuration x", "--configuration"),
        ] {
            let found = wrong("a.yaml", text);
            assert!(found.len() == 1 && found[0].contains(name), "{text}: {found:?}");
        }
        let found = wrong("a.toml", "[server]\nlistens = \"x\"\n");
        assert!(found.len() == 1 && found[0].contains("server.listens"), "{found:?}");
    }

    #[test]
    fn too_little_time_to_stop_is_found() {
        assert!(wrong("a.service", "TimeoutStopSec=90\n").is_empty());
        assert_eq!(wrong("a.service", "TimeoutStopSec=89\n").len(), 1);
        let pod = |seconds: u64| {
            format!("terminationGracePeriodSeconds: {seconds}\n    preStop:\n      sleep:\n        seconds: 10\n")
        };
        assert!(wrong("a.yaml", &pod(100)).is_empty());
        assert_eq!(wrong("a.yaml", &pod(99)).len(), 1);
    }
}
