//! What a script says, and the table of all. A script writes a line `@ FEATURE WORD WHY` for each feature that it checked: `ok`, `none`
//! (the client has no such thing), `client` (it fails because of the client) or `failed`; and `@ version …`.

use std::collections::BTreeMap;

/// Columns of the table.
const FEATURES: [&str; 13] = [
    "models",
    "chat",
    "stream",
    "tools",
    "structured",
    "embeddings",
    "completions",
    "responses",
    "files",
    "uploads",
    "stores",
    "errors",
    "retries",
];

#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub name: &'static str,
    version: String,
    /// By feature, why if there is a reason.
    features: BTreeMap<String, (State, String)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Works,
    /// The client does not have it.
    Lacks,
    /// It fails because of the client.
    ClientFails,
    Fails,
    Skipped,
}

impl Outcome {
    pub fn skipped(name: &'static str) -> Self {
        Self {
            name,
            version: String::new(),
            features: BTreeMap::new(),
            state: State::Skipped,
        }
    }

    /// `ended_well` is the script's exit code.
    pub fn read(name: &'static str, written: &str, ended_well: bool) -> Self {
        let mut outcome = Self {
            state: State::Works,
            ..Self::skipped(name)
        };
        for line in written.lines().filter_map(|line| line.strip_prefix("@ ")) {
            let (feature, rest) = line.split_once(' ').unwrap_or((line, ""));
            if feature == "version" {
                rest.clone_into(&mut outcome.version);
                continue;
            }
            let (word, why) = rest.split_once(' ').unwrap_or((rest, ""));
            let state = match word {
                "ok" => State::Works,
                "none" => State::Lacks,
                "client" => State::ClientFails,
                _ => State::Fails,
            };
            let known = FEATURES.contains(&feature);
            if !known || state == State::Fails {
                outcome.state = State::Fails;
            }
            outcome.features.insert(feature.to_owned(), (state, why.to_owned()));
        }
        let has_worked = outcome.features.values().any(|(state, _)| *state == State::Works);
        if !ended_well || !has_worked {
            outcome.state = State::Fails;
        }
        outcome
    }

    pub fn has_failed(&self) -> bool {
        self.state == State::Fails
    }
}

/// In Markdown, with the reasons below.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "| client | {} |\n|{}\n",
        FEATURES.join(" | "),
        " --- |".repeat(FEATURES.len() + 1)
    );
    let mut notes = Vec::new();
    for outcome in outcomes {
        let cells = FEATURES.map(|feature| match outcome.features.get(feature) {
            _ if outcome.state == State::Skipped => "skipped".to_owned(),
            None => "–".to_owned(),
            Some((state, why)) => {
                let cell = match state {
                    State::Works => "yes",
                    State::Lacks => "–",
                    State::ClientFails => "no",
                    State::Fails | State::Skipped => "FAILED",
                };
                if *state != State::Fails && !why.is_empty() {
                    notes.push(format!("- {}, {feature}: {why}", outcome.name));
                }
                cell.to_owned()
            }
        });
        let name = format!("{} {}", outcome.name, outcome.version);
        table += &format!("| {} | {} |\n", name.trim_end(), cells.join(" | "));
    }
    if !notes.is_empty() {
        table += "\n";
        table += &notes.join("\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_passes_if_all_that_it_says_is_well() {
        let read = |text: &str, ended_well| Outcome::read("x", text, ended_well).has_failed();
        assert!(!read(
            "noise\n@ version 1.2\n@ chat ok\n@ models none it lists no models\n",
            true
        ));
        assert!(read("@ chat ok\n", false), "the exit code");
        assert!(read("@ chat ok\n@ stream failed AssertionError\n", true));
        assert!(read("@ version 1.2\n", true), "it checked nothing");
        assert!(read("@ models none\n", true), "nothing works");
        assert!(read("@ chat ok\n@ smell ok\n", true), "not a column");
    }

    #[test]
    fn the_table_has_a_row_a_client_and_reasons_below() {
        let read = Outcome::read("x", "@ version 1.2\n@ chat ok\n@ stream client it waits\n", true);
        let table = table(&[read, Outcome::skipped("y")]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("| client | models | chat |"));
        assert!(lines[2].starts_with("| x 1.2 | – | yes | no | – |"), "{table}");
        assert!(lines[3].starts_with("| y | skipped |"), "{table}");
        assert_eq!(lines.last(), Some(&"- x, stream: it waits"));
    }
}
