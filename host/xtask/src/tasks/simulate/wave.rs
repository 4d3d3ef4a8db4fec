//! How much traffic there is at a moment: each region's day by its own clock.

use super::input::{HOURS, Traffic};

pub const HOUR: f64 = 3600.0;
pub const DAY: f64 = 24.0 * HOUR;
const WORKING_DAYS: f64 = 5.0;

pub struct Wave {
    /// Each hour's rate over the day's mean.
    hours: [f64; HOURS],
    weekend: f64,
    /// Requests per second on a working day's mean, and seconds from UTC, by region.
    regions: Vec<(f64, f64)>,
}

impl Wave {
    pub fn new(traffic: &Traffic, requests_per_day: f64) -> Self {
        let mean = traffic.hours.iter().sum::<f64>() / HOURS as f64;
        Self {
            hours: traffic.hours.map(|hour| hour / mean),
            weekend: traffic.weekend,
            regions: traffic
                .regions
                .iter()
                .map(|region| (region.share * requests_per_day / DAY, region.utc_offset_hours * HOUR))
                .collect(),
        }
    }

    /// Requests per second of each region. Time 0 is the beginning of a Monday, UTC.
    pub fn rates(&self, time: f64) -> impl Iterator<Item = f64> {
        self.regions.iter().map(move |(mean, offset)| {
            let local = time + offset;
            let weekday = (local / DAY).floor().rem_euclid(7.0);
            let day = if weekday < WORKING_DAYS { 1.0 } else { self.weekend };
            mean * day * self.at_hour(local / HOUR)
        })
    }

    pub fn rate(&self, time: f64) -> f64 {
        self.rates(time).sum()
    }

    /// The middle of the hour with the most traffic, among whole hours of the day that begins at `day`.
    pub fn busiest(&self, day: f64) -> f64 {
        let hours = (0..HOURS).map(|hour| day + (hour as f64 + 0.5) * HOUR);
        hours.fold(
            day,
            |best, hour| {
                if self.rate(hour) > self.rate(best) { hour } else { best }
            },
        )
    }

    /// A profile's figure holds in the middle of its hour; between two of them the rate changes evenly.
    fn at_hour(&self, hour: f64) -> f64 {
        let hour = (hour - 0.5).rem_euclid(HOURS as f64);
        let figure = |index: usize| self.hours.get(index % HOURS).copied().unwrap_or_default();
        let part = hour.fract();
        figure(hour as usize) * (1.0 - part) + figure(hour as usize + 1) * part
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, Wave};
    use crate::tasks::simulate::input::{Input, Region};

    fn one_region(utc_offset_hours: f64) -> Wave {
        let mut traffic = Input::read(None).unwrap().traffic;
        traffic.regions = vec![Region {
            name: "one".into(),
            share: 1.0,
            utc_offset_hours,
        }];
        Wave::new(&traffic, DAY)
    }

    #[test]
    fn a_working_day_has_its_mean_and_a_weekend_less() {
        let wave = one_region(0.0);
        let mean = |day: f64| {
            (0..2400)
                .map(|step| wave.rate(day * DAY + f64::from(step) * 36.0))
                .sum::<f64>()
                / 2400.0
        };
        assert!((mean(1.0) - 1.0).abs() < 1e-3, "{}", mean(1.0));
        assert!((mean(5.0) - 0.35).abs() < 1e-3, "{}", mean(5.0));
        assert!((mean(7.0) - 1.0).abs() < 1e-3, "{}", mean(7.0));
    }

    #[test]
    fn a_region_lives_by_its_own_clock() {
        let (here, there) = (one_region(0.0), one_region(8.0));
        assert!((here.rate(DAY + 15.0 * HOUR) - there.rate(DAY + 7.0 * HOUR)).abs() < 1e-9);
        assert_eq!(here.busiest(DAY), DAY + 11.5 * HOUR);
        assert_eq!(there.busiest(DAY), DAY + 3.5 * HOUR);
    }
}
