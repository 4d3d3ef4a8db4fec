//! What a run found: for people as a table, for machines as JSON. Not here: finding it.

use crate::attempt::Outcome;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// Everything that was tried, and what is wrong.
#[derive(Debug, Serialize)]
pub struct Report {
    pub tenant_a: String,
    pub tenant_b: String,
    pub outcomes: Vec<Outcome>,
    /// Endpoints of the server that nothing was tried on.
    pub uncovered: Vec<String>,
    /// What B has changed in A's room.
    pub harm: Vec<String>,
}

impl Report {
    /// Whether nothing leaked, everything was answered as it should be, nothing was left out and A is unharmed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_well) && self.uncovered.is_empty() && self.harm.is_empty()
    }

    /// Each leak in words: what was seen, and where.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let leaks = self.outcomes.iter().flat_map(|outcome| {
            let place = place(outcome);
            outcome
                .leaked
                .iter()
                .map(move |what| format!("A's {what} was seen in {place}"))
        });
        leaks.collect()
    }

    /// Everything that is wrong, in words.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut findings = self.leaks();
        for outcome in &self.outcomes {
            findings.extend(
                outcome
                    .faults
                    .iter()
                    .map(|fault| format!("{}: {fault}", place(outcome))),
            );
        }
        findings.extend(self.harm.iter().cloned());
        findings.extend(
            self.uncovered
                .iter()
                .map(|endpoint| format!("{endpoint} was not tried")),
        );
        findings
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "What {} gets when it reaches for {}'s things:",
            self.tenant_b, self.tenant_a
        )?;
        for outcome in &self.outcomes {
            let verdict = match (outcome.leaked.is_empty(), outcome.faults.is_empty()) {
                (true, true) => "ok",
                (true, false) => "FAULT",
                (false, _) => "LEAK",
            };
            let place = place(outcome);
            writeln!(f, "  {verdict:<5} {:>3}  {place}", outcome.status)?;
        }
        let findings = self.findings();
        for finding in &findings {
            writeln!(f, "{finding}")?;
        }
        let attempts = self.outcomes.len();
        match findings.len() {
            0 => write!(
                f,
                "{attempts} attempts: nothing of {} was seen, and it is unharmed.",
                self.tenant_a
            ),
            count => write!(f, "{attempts} attempts: {count} findings."),
        }
    }
}

fn place(outcome: &Outcome) -> String {
    match outcome.endpoint.as_str() {
        "" => outcome.what.clone(),
        endpoint => format!("{endpoint} ({})", outcome.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            tenant_a: "acme".into(),
            tenant_b: "globex".into(),
            outcomes: vec![Outcome {
                endpoint: "GET /v1/logs".into(),
                what: "look around".into(),
                status: 200,
                ..Outcome::default()
            }],
            uncovered: Vec::new(),
            harm: Vec::new(),
        }
    }

    type Change = fn(&mut Report);

    #[test]
    fn any_finding_makes_a_report_unclean_and_stands_in_its_text() {
        assert!(report().is_clean());
        let changes: [(Change, &str); 4] = [
            (
                |r| r.outcomes[0].leaked = vec!["log line".into()],
                "A's log line was seen in GET /v1/logs (look around)",
            ),
            (
                |r| r.outcomes[0].faults = vec!["expected 404, got 200".into()],
                "expected 404",
            ),
            (|r| r.uncovered = vec!["GET /v2".into()], "GET /v2 was not tried"),
            (|r| r.harm = vec!["A's settings changed".into()], "A's settings changed"),
        ];
        for (change, words) in changes {
            let mut report = report();
            change(&mut report);
            assert!(!report.is_clean());
            assert!(report.to_string().contains(words), "{report}");
        }
    }
}
