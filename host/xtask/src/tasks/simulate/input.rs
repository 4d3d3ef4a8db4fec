//! What the model is fed with: a TOML file whose every figure says where it is from. `input.toml` beside this file is the default, and
//! documents the keys.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{fs, path::Path};

const DEFAULT: &str = include_str!("input.toml");
/// The days of a week and the hours of a day.
pub const HOURS: usize = 24;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub engine: Engine,
    pub adapters: Adapters,
    pub store: Store,
    pub traffic: Traffic,
    pub scaling: Scaling,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub places: u32,
    pub decode: Vec<DecodeRate>,
    pub adapters: AdapterSlowdown,
    pub prefill_tokens_per_second: f64,
    pub prefill_slowdown: f64,
    pub speed: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeRate {
    pub sequences: u32,
    pub tokens_per_second: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterSlowdown {
    pub distinct: u32,
    pub ratio: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adapters {
    pub sizes: Vec<AdapterSize>,
    pub engine_bytes: u64,
    pub host_bytes: u64,
    pub load_s: f64,
    pub load_bytes_per_second: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterSize {
    pub share: f64,
    pub bytes: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub first_byte_s: f64,
    pub worker_bytes_per_second: f64,
    pub bytes_per_second_per_1000_workers: f64,
    pub requests_per_second_per_1000_workers: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    pub requests_per_tenant_per_day: f64,
    pub zipf_exponent: f64,
    pub prompt_tokens: Tokens,
    pub completion_tokens: Tokens,
    pub hours: [f64; HOURS],
    pub weekend: f64,
    pub regions: Vec<Region>,
    pub patience_s: f64,
    pub target_first_token_s: f64,
}

/// How long prompts or completions are.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "distribution")]
pub enum Tokens {
    LogNormal { median: f64, sigma: f64, most: f64 },
    Exponential { mean: f64 },
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    pub name: String,
    pub share: f64,
    pub utc_offset_hours: f64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    pub interval_s: f64,
    pub start_s: f64,
    pub target_utilization: f64,
    pub scale_down_window_s: f64,
    pub least: u32,
}

impl Input {
    /// # Errors
    /// When the file cannot be read, or has a figure that the model cannot use.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                Self::parse(&text).with_context(|| format!("cannot use {}", path.display()))
            }
            None => Self::parse(DEFAULT),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let input: Self = toml::from_str(text)?;
        input.check()?;
        Ok(input)
    }

    fn check(&self) -> Result<()> {
        let engine = &self.engine;
        ensure!(engine.places > 0, "engine.places must be above 0");
        ensure!(!engine.decode.is_empty(), "engine.decode has no figure");
        ensure!(
            engine.decode.is_sorted_by(|one, next| one.sequences < next.sequences),
            "engine.decode must be ordered by sequences"
        );
        ensure!(engine.adapters.distinct > 0, "engine.adapters.distinct must be above 0");
        ensure!(
            engine.prefill_slowdown > 1.0,
            "engine.prefill_slowdown must be above 1, else no prompt is read beside streams"
        );
        let positive = [
            ("engine.adapters.ratio", engine.adapters.ratio),
            ("engine.prefill_tokens_per_second", engine.prefill_tokens_per_second),
            ("engine.speed", engine.speed),
            ("adapters.load_bytes_per_second", self.adapters.load_bytes_per_second),
            ("store.worker_bytes_per_second", self.store.worker_bytes_per_second),
            (
                "store.bytes_per_second_per_1000_workers",
                self.store.bytes_per_second_per_1000_workers,
            ),
            (
                "store.requests_per_second_per_1000_workers",
                self.store.requests_per_second_per_1000_workers,
            ),
            (
                "traffic.requests_per_tenant_per_day",
                self.traffic.requests_per_tenant_per_day,
            ),
            ("traffic.patience_s", self.traffic.patience_s),
            ("scaling.interval_s", self.scaling.interval_s),
            ("scaling.target_utilization", self.scaling.target_utilization),
            ("the sum of traffic.hours", self.traffic.hours.iter().sum()),
        ];
        for (name, value) in positive {
            ensure!(value > 0.0, "{name} must be above 0");
        }
        let rates = engine.decode.iter().map(|rate| rate.tokens_per_second);
        ensure!(
            rates.into_iter().all(|rate| rate > 0.0),
            "engine.decode has a rate that is not above 0"
        );
        ensure!(
            self.traffic.hours.iter().all(|hour| *hour >= 0.0),
            "traffic.hours has a rate below 0"
        );
        let one = |what: &str, shares: f64| {
            ensure!(
                (shares - 1.0).abs() < 1e-6,
                "the shares of {what} add up to {shares}, not 1"
            );
            Ok(())
        };
        one(
            "traffic.regions",
            self.traffic.regions.iter().map(|region| region.share).sum(),
        )?;
        one(
            "adapters.sizes",
            self.adapters.sizes.iter().map(|size| size.share).sum(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_can_be_used() {
        assert!(Input::read(None).is_ok());
    }

    #[test]
    fn figures_that_cannot_be_are_refused_by_name() {
        for (was, is, named) in [
            ("places = 16", "places = 0", "engine.places"),
            (
                "prefill_slowdown = 2.5",
                "prefill_slowdown = 1.0",
                "engine.prefill_slowdown",
            ),
            ("share = 0.45", "share = 0.55", "traffic.regions"),
            ("least = 0", "leest = 0", "leest"),
        ] {
            assert!(DEFAULT.contains(was), "{was}");
            let error = Input::parse(&DEFAULT.replacen(was, is, 1)).err().unwrap();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
