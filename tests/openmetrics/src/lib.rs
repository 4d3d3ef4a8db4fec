//! Reads a scrape in OpenMetrics' text format and says what is wrong with it, as `promtool check metrics` does. It knows what
//! Riad writes: exemplars, timestamps and other metric types are faults.
//!
//! The format: OpenMetrics 1.0.0, sections 4 and 5; names and units: Prometheus' "Metric and label naming".

mod lines;
mod rules;
mod scrape;

pub use scrape::{Exposition, Family, MetricType, Sample};

use lines::Line;
use std::collections::HashSet;

/// Reads a scrape and checks all of it.
///
/// # Errors
/// Everything that is wrong, each with its line or metric.
pub fn check(text: &str) -> Result<Exposition, Vec<String>> {
    let mut reader = Reader::default();
    let Some(body) = text.strip_suffix("# EOF\n") else {
        return Err(vec!["the last line is not `# EOF` with a line feed".to_owned()]);
    };
    if !body.is_empty() && !body.ends_with('\n') {
        reader
            .faults
            .push("`# EOF` does not stand on a line of its own".to_owned());
    }
    // Not `lines`, which forgives a carriage return.
    for (index, text) in body.split_terminator('\n').enumerate() {
        let line = index + 1;
        if let Err(fault) = lines::read(text, line).and_then(|read| reader.take(read, line)) {
            reader.faults.push(format!("line {line}: {fault}"));
        }
    }
    reader.end_family();
    let Reader { done, mut faults, .. } = reader;
    faults.extend(rules::duplicates(&done));
    match faults.is_empty() {
        true => Ok(Exposition { families: done }),
        false => Err(faults),
    }
}

/// Collects lines into families. The lines of a family are consecutive, its description first.
#[derive(Default)]
struct Reader {
    done: Vec<Family>,
    open: Option<UnfinishedFamily>,
    names: HashSet<String>,
    faults: Vec<String>,
}

/// A family whose lines are being read.
struct UnfinishedFamily {
    name: String,
    kind: Option<MetricType>,
    help: Option<String>,
    unit: Option<String>,
    samples: Vec<Sample>,
}

impl Reader {
    fn take(&mut self, line: Line, number: usize) -> Result<(), String> {
        match line {
            Line::Help { name, text } => {
                let open = self.describe(name)?;
                set(&mut open.help, text, "HELP")
            }
            Line::Type { name, kind } => {
                let open = self.describe(name)?;
                set(&mut open.kind, kind, "TYPE")
            }
            Line::Unit { name, unit } => {
                let open = self.describe(name)?;
                set(&mut open.unit, unit, "UNIT")
            }
            Line::Sample(sample) => self.sample(sample, number),
        }
    }

    /// The family that a line beginning with `#` is about.
    fn describe(&mut self, name: String) -> Result<&mut UnfinishedFamily, String> {
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.end_family();
            if !self.names.insert(name.clone()) {
                self.faults.push(format!("{name}: its lines do not stand together"));
            }
        }
        let open = self.open.get_or_insert(UnfinishedFamily {
            name,
            kind: None,
            help: None,
            unit: None,
            samples: Vec::new(),
        });
        if open.samples.is_empty() {
            Ok(open)
        } else {
            Err(format!("{} is described after its first sample", open.name))
        }
    }

    fn sample(&mut self, sample: Sample, line: usize) -> Result<(), String> {
        let belongs = self.open.as_ref().is_some_and(|open| match open.kind {
            Some(kind) => rules::belongs(&sample.name, &open.name, kind),
            None => sample.name.starts_with(&open.name),
        });
        match &mut self.open {
            Some(open) if belongs => {
                open.samples.push(Sample { line, ..sample });
                Ok(())
            }
            _ => Err(format!(
                "no HELP and TYPE of {} stand directly before it, or its name does not fit its type",
                sample.name
            )),
        }
    }

    fn end_family(&mut self) {
        let Some(open) = self.open.take() else { return };
        let UnfinishedFamily {
            name,
            kind,
            help,
            unit,
            samples,
        } = open;
        let Some(kind) = kind else {
            self.faults.push(format!("{name}: no TYPE"));
            return;
        };
        let Some(help) = help else {
            self.faults.push(format!("{name}: no HELP"));
            return;
        };
        let family = Family {
            name,
            kind,
            help,
            unit,
            samples,
        };
        self.faults.extend(rules::check_family(&family));
        self.done.push(family);
    }
}

fn set<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("a second {what}")),
    }
}
