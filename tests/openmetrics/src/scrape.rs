//! The content of a scrape.

/// One scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    pub families: Vec<Family>,
}

/// One metric with all its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Without `_total`, `_bucket`, `_sum` and `_count`.
    pub name: String,
    pub kind: MetricType,
    pub help: String,
    /// Also the end of `name`.
    pub unit: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    /// In the order of the text, unescaped.
    pub labels: Vec<(String, String)>,
    pub value: f64,
    /// In the text, from 1.
    pub line: usize,
}

impl Sample {
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Exposition {
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// Samples of that name which have all of `labels`, and perhaps others.
    pub fn samples<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> + 'a {
        self.families
            .iter()
            .flat_map(|family| &family.samples)
            .filter(move |sample| {
                sample.name == name && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
            })
    }

    /// The sum of [`Self::samples`]; absent if there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples(name, labels)
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value)
    }
}
