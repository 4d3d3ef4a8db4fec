//! The rules for families, labels and series.

use crate::{
    lines::number,
    scrape::{Family, MetricType, Sample},
};
use std::collections::{BTreeMap, HashSet};

/// Units that names may end with, and must if they have them.
const BASE_UNITS: &[&str] = &["seconds", "bytes", "ratio"];
/// What would have to be one of [`BASE_UNITS`].
const OTHER_UNITS: &[&str] = &[
    "ns",
    "us",
    "ms",
    "nanoseconds",
    "microseconds",
    "milliseconds",
    "millis",
    "minutes",
    "hours",
    "days",
    "weeks",
    "bits",
    "kb",
    "mb",
    "gb",
    "kib",
    "mib",
    "gib",
    "kilobytes",
    "megabytes",
    "gigabytes",
    "kibibytes",
    "mebibytes",
    "gibibytes",
    "percent",
    "percents",
    "percentage",
];
/// Ends of names that types give to samples, and that would be taken for those.
const ENDS: &[&str] = &["_total", "_created", "_bucket", "_sum", "_count", "_info"];
/// Types do not belong into names.
const TYPES: &[&str] = &["counter", "gauge", "histogram", "summary"];

/// Whether a family of that name and type has samples of that name.
pub(super) fn belongs(sample: &str, family: &str, kind: MetricType) -> bool {
    let Some(end) = sample.strip_prefix(family) else {
        return false;
    };
    match kind {
        MetricType::Counter => end == "_total",
        MetricType::Gauge => end.is_empty(),
        MetricType::Histogram => matches!(end, "_bucket" | "_sum" | "_count"),
    }
}

/// All faults of one family.
pub(super) fn check_family(family: &Family) -> Vec<String> {
    let mut faults = Vec::new();
    name(family, &mut faults);
    if family.help.trim().is_empty() {
        faults.push("its HELP is empty".to_owned());
    }
    for sample in &family.samples {
        labels(family, sample, &mut faults);
    }
    match family.kind {
        MetricType::Counter => {
            for sample in family.samples.iter().filter(|sample| !is_amount(sample.value)) {
                faults.push(format!("line {}: a counter is a number from 0 up", sample.line));
            }
        }
        MetricType::Gauge => {}
        MetricType::Histogram => histogram(family, &mut faults),
    }
    faults
        .into_iter()
        .map(|fault| format!("{}: {fault}", family.name))
        .collect()
}

/// Series that stand there twice.
pub(super) fn duplicates(families: &[Family]) -> Vec<String> {
    let mut seen = HashSet::new();
    let samples = families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| !seen.insert((&sample.name, sorted(&sample.labels))))
        .map(|sample| {
            format!(
                "line {}: this series of {} stands there twice",
                sample.line, sample.name
            )
        })
        .collect()
}

fn name(family: &Family, faults: &mut Vec<String>) {
    let name = &family.name;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) || name.starts_with('_') || name.ends_with('_') {
        faults.push("names are lower-case words with underscores between them".to_owned());
    }
    if let Some(end) = ENDS.iter().find(|end| name.ends_with(*end)) {
        faults.push(format!("{end} at the end is for samples"));
    }
    let words: Vec<&str> = name.split('_').collect();
    if let Some(kind) = TYPES.iter().find(|kind| words.contains(kind)) {
        faults.push(format!("its name has its type in it: {kind}"));
    }
    if let Some(unit) = OTHER_UNITS.iter().find(|unit| words.contains(unit)) {
        faults.push(format!("{unit} is no base unit: seconds, bytes and ratio are"));
    }
    let last = words.last().copied().unwrap_or_default();
    match &family.unit {
        Some(unit) if !name.ends_with(&format!("_{unit}")) => {
            faults.push(format!("its UNIT is {unit}, and its name does not end with it"));
        }
        Some(_) => {}
        None if BASE_UNITS.contains(&last) => faults.push(format!("its name ends with {last}, and it has no UNIT")),
        None => {}
    }
    if let Some(unit) = BASE_UNITS.iter().find(|unit| **unit != last && words.contains(unit)) {
        faults.push(format!("the unit {unit} is not the end of its name"));
    }
}

fn labels(family: &Family, sample: &Sample, faults: &mut Vec<String>) {
    for (label, _) in &sample.labels {
        if label.bytes().any(|byte| byte.is_ascii_uppercase()) {
            faults.push(format!("line {}: the label {label} is not lower-case", sample.line));
        }
        let buckets = family.kind == MetricType::Histogram && sample.name.ends_with("_bucket");
        if label == "quantile" || (label == "le" && !buckets) {
            faults.push(format!("line {}: the label {label} is for buckets", sample.line));
        }
    }
}

/// The series of one histogram with one set of labels.
#[derive(Default)]
struct Series {
    /// Bound, count, line; in the order of the text.
    buckets: Vec<(f64, f64, usize)>,
    sum: Option<f64>,
    count: Option<f64>,
}

fn histogram(family: &Family, faults: &mut Vec<String>) {
    let mut all: BTreeMap<Vec<(String, String)>, Series> = BTreeMap::new();
    let mut last = None;
    for sample in &family.samples {
        let mut key = sorted(&sample.labels);
        key.retain(|(label, _)| label != "le");
        if last.as_ref() != Some(&key) && all.contains_key(&key) {
            faults.push(format!(
                "line {}: the lines of a histogram do not stand together",
                sample.line
            ));
        }
        let series = all.entry(key.clone()).or_default();
        last = Some(key);
        match sample.name.strip_prefix(family.name.as_str()) {
            Some("_sum") => series.sum = Some(sample.value),
            Some("_count") => series.count = Some(sample.value),
            Some(_) | None => match sample.label("le").map(number) {
                Some(Ok(bound)) => series.buckets.push((bound, sample.value, sample.line)),
                Some(Err(fault)) => faults.push(format!("line {}: le: {fault}", sample.line)),
                None => faults.push(format!("line {}: a bucket without le", sample.line)),
            },
        }
    }
    for (labels, series) in all {
        for fault in series.faults() {
            faults.push(format!("{labels:?}: {fault}"));
        }
    }
}

impl Series {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for ((bound, count, _), (next_bound, next_count, line)) in self.buckets.iter().zip(self.buckets.iter().skip(1))
        {
            // Written so that a NaN is a fault as well.
            if !matches!(bound.partial_cmp(next_bound), Some(std::cmp::Ordering::Less)) {
                faults.push(format!("line {line}: bounds do not rise"));
            }
            if next_count < count {
                faults.push(format!("line {line}: fewer than in the bucket below"));
            }
        }
        for (_, count, line) in &self.buckets {
            if !is_amount(*count) || count.fract() != 0.0 {
                faults.push(format!("line {line}: a bucket's count is a whole number"));
            }
        }
        match self.buckets.last() {
            Some((bound, count, _)) if *bound == f64::INFINITY => {
                if Some(*count) != self.count {
                    faults.push(format!("the bucket +Inf has {count}, and _count is {:?}", self.count));
                }
            }
            Some(_) | None => faults.push("the last bucket is not +Inf".to_owned()),
        }
        match self.sum {
            Some(sum) if sum.is_finite() => {}
            Some(_) | None => faults.push("no _sum that is a number".to_owned()),
        }
        faults
    }
}

fn is_amount(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn sorted(labels: &[(String, String)]) -> Vec<(String, String)> {
    let mut labels = labels.to_vec();
    labels.sort();
    labels
}
