//! Who asks for what, and when: a Poisson process whose rate follows the wave, with Zipf's law over the tenants of each region. It does not
//! depend on what the fleet does, so fleets that are compared get the same requests.

use super::{
    input::{Adapters, Input, Tokens, Traffic as Figures},
    table::Table,
    wave::Wave,
};
use anyhow::{Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, Exp1, LogNormal, weighted::WeightedAliasIndex};

/// For so long a rate is taken for constant, in seconds.
const RATE_STEP: f64 = 60.0;

/// Streams of one seed, so that who draws more takes nothing from the others.
#[derive(Clone, Copy)]
pub enum Stream {
    Adapters,
    Regions,
    Arrivals,
    Routing,
}

pub fn random(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream as u64);
    random
}

pub struct Arrival {
    pub time: f64,
    pub tenant: u32,
    pub prompt_tokens: f64,
    pub completion_tokens: f64,
}

/// Every tenant's adapter.
pub fn adapter_bytes(adapters: &Adapters, tenants: u32, seed: u64) -> Result<Table<u32>> {
    let mut random = random(seed, Stream::Adapters);
    let shares = adapters.sizes.iter().map(|size| size.share).collect();
    let drawn = WeightedAliasIndex::new(shares)
        .ok()
        .context("the shares of adapters.sizes cannot be used")?;
    let bytes: Table<u32> = adapters.sizes.iter().map(|size| size.bytes as u32).collect();
    Ok((0..tenants).map(|_| bytes[drawn.sample(&mut random) as u32]).collect())
}

pub struct Traffic {
    wave: Wave,
    regions: Table<RegionTenants>,
    prompt: Lengths,
    completion: Lengths,
    random: ChaCha8Rng,
    time: f64,
    /// Until then `rates` hold.
    step_end: f64,
    rates: Vec<f64>,
}

struct RegionTenants {
    tenants: Table<u32>,
    drawn: WeightedAliasIndex<f64>,
}

impl Traffic {
    pub fn new(input: &Input, tenants: u32, load: f64, start: f64, seed: u64) -> Result<Self> {
        let figures = &input.traffic;
        let requests_per_day = f64::from(tenants) * figures.requests_per_tenant_per_day * load;
        Ok(Self {
            wave: Wave::new(figures, requests_per_day),
            regions: regions(figures, tenants, seed)?,
            prompt: Lengths::new(&figures.prompt_tokens)?,
            completion: Lengths::new(&figures.completion_tokens)?,
            random: random(seed, Stream::Arrivals),
            time: start,
            step_end: start,
            rates: Vec::new(),
        })
    }

    /// The next request; there is always one more.
    pub fn next(&mut self) -> Arrival {
        loop {
            let rate: f64 = self.rates.iter().sum();
            let gap: f64 = self.random.sample(Exp1);
            let time = if rate > 0.0 {
                self.time + gap / rate
            } else {
                f64::INFINITY
            };
            if time >= self.step_end {
                // What had not come by then is drawn again: the process has no memory.
                self.time = self.step_end;
                self.step_end += RATE_STEP;
                self.rates = self.wave.rates(self.time).collect();
                continue;
            }
            self.time = time;
            let mut point = self.random.random::<f64>() * rate;
            let mut region = 0;
            for (index, rate) in (0..).zip(&self.rates) {
                region = index;
                if point < *rate {
                    break;
                }
                point -= rate;
            }
            let region = &self.regions[region];
            return Arrival {
                time,
                tenant: region.tenants[region.drawn.sample(&mut self.random) as u32],
                prompt_tokens: self.prompt.draw(&mut self.random),
                completion_tokens: self.completion.draw(&mut self.random),
            };
        }
    }
}

/// Each tenant's share of the traffic, by rank.
pub fn popularity(exponent: f64, tenants: u32) -> impl Iterator<Item = f64> {
    (1..=tenants).map(move |rank| f64::from(rank).powf(-exponent))
}

/// Tenants, whose number is their rank, are dealt to regions at random.
fn regions(figures: &Figures, tenants: u32, seed: u64) -> Result<Table<RegionTenants>> {
    let mut random = random(seed, Stream::Regions);
    let shares = figures.regions.iter().map(|region| region.share).collect();
    let drawn = WeightedAliasIndex::new(shares)
        .ok()
        .context("the shares of traffic.regions cannot be used")?;
    let mut members: Table<(Vec<u32>, Vec<f64>)> = Table::filled(figures.regions.len(), Default::default);
    for (tenant, weight) in (0..).zip(popularity(figures.zipf_exponent, tenants)) {
        let (tenants, weights) = &mut members[drawn.sample(&mut random) as u32];
        tenants.push(tenant);
        weights.push(weight);
    }
    let region = |(tenants, weights): &(Vec<u32>, Vec<f64>)| {
        Ok(RegionTenants {
            tenants: tenants.iter().copied().collect(),
            drawn: WeightedAliasIndex::new(weights.clone())
                .ok()
                .context("a region has no tenant: there are too few")?,
        })
    };
    members.iter().map(region).collect()
}

enum Lengths {
    LogNormal { drawn: LogNormal<f64>, most: f64 },
    Exponential(Exp<f64>),
}

impl Lengths {
    fn new(tokens: &Tokens) -> Result<Self> {
        Ok(match tokens {
            Tokens::LogNormal { median, sigma, most } => Self::LogNormal {
                drawn: LogNormal::new(median.ln(), *sigma)
                    .ok()
                    .context("a length cannot be drawn so")?,
                most: *most,
            },
            Tokens::Exponential { mean } => {
                Self::Exponential(Exp::new(1.0 / mean).ok().context("a length cannot be drawn so")?)
            }
        })
    }

    /// Whole tokens, at least one.
    fn draw(&self, random: &mut ChaCha8Rng) -> f64 {
        let length = match self {
            Self::LogNormal { drawn, most } => drawn.sample(random).min(*most),
            Self::Exponential(drawn) => drawn.sample(random),
        };
        length.ceil().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::simulate::wave::{DAY, HOUR};

    #[test]
    fn requests_follow_zipf_and_the_wave() {
        let mut input = Input::read(None).unwrap();
        input.traffic.regions.truncate(1);
        input.traffic.regions[0].share = 1.0;
        let tenants = 1000;
        let mut traffic = Traffic::new(&input, tenants, 5.0, DAY, 7).unwrap();
        let wave = Wave::new(&input.traffic, 200_000.0);
        let mut counts = vec![0.0_f64; tenants as usize];
        let mut hours = [0.0_f64; 24];
        loop {
            let arrival = traffic.next();
            if arrival.time >= 2.0 * DAY {
                break;
            }
            counts[arrival.tenant as usize] += 1.0;
            hours[((arrival.time - DAY) / HOUR) as usize] += 1.0;
        }
        for (hour, count) in hours.iter().enumerate() {
            let steps = (0..60).map(|step| wave.rate(DAY + hour as f64 * HOUR + f64::from(step) * 60.0) * 60.0);
            let expected: f64 = steps.sum();
            // Five standard deviations.
            assert!(
                (count - expected).abs() < 5.0 * expected.sqrt(),
                "{hour}: {count} {expected}"
            );
        }
        let ratio = counts[..10].iter().sum::<f64>() / counts[10..100].iter().sum::<f64>();
        let weights: Vec<f64> = popularity(1.0, tenants).collect();
        let expected = weights[..10].iter().sum::<f64>() / weights[10..100].iter().sum::<f64>();
        assert!((ratio / expected - 1.0).abs() < 0.03, "{ratio} {expected}");
    }

    #[test]
    fn a_seed_gives_the_same_requests() {
        let input = Input::read(None).unwrap();
        let drawn = |seed| {
            let mut traffic = Traffic::new(&input, 500, 1.0, 0.0, seed).unwrap();
            let next = || {
                let arrival = traffic.next();
                (arrival.time, arrival.tenant, arrival.prompt_tokens)
            };
            std::iter::repeat_with(next).take(100).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
