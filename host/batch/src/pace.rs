//! How much of prompts a step may read while sequences decode, by the time that steps have taken. The unit of costs is a row without context.
//!
//! A step takes `base` + `rate` × its cost, about. Both follow from two means: of light steps, in which nothing or almost nothing was
//! read of prompts beside sequences that decode, and of heavy ones. Under a steady flood of prompts no step would be light, so now and
//! then one is made light.

use std::time::Duration;

/// A mean is of about so many steps.
const STEPS: u32 = 8;
/// A step counts for at most so many times what the mean lets expect: another process may have had the processor.
const OUTLIER: f64 = 3.0;
/// After so many heavy steps one is to be light.
const HEAVY_STEPS: u32 = 64;

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    steps: u32,
    cost: f64,
    seconds: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many times as long a step may take because prompts are read in it.
    slowdown: Option<f64>,
    light: Mean,
    heavy: Mean,
    /// Heavy steps since the last light one.
    heavy_steps: u32,
}

impl Mean {
    fn add(&mut self, cost: f64, seconds: f64) {
        let mut seconds = seconds;
        if self.steps > 0 {
            seconds = seconds.min(OUTLIER * self.seconds * (cost / self.cost).max(1.0));
        }
        self.steps = (self.steps + 1).min(STEPS);
        let part = 1.0 / f64::from(self.steps);
        self.cost += part * (cost - self.cost);
        self.seconds += part * (seconds - self.seconds);
    }
}

impl Pace {
    pub fn new(slowdown: Option<f64>) -> Self {
        Self {
            slowdown: slowdown.map(|slowdown| slowdown.max(1.0)),
            light: Mean::default(),
            heavy: Mean::default(),
            heavy_steps: 0,
        }
    }

    /// Whether the next step with prompts should read as little as possible of them.
    pub fn needs_light_step(&self) -> bool {
        self.slowdown.is_some() && (self.light.steps == 0 || self.heavy_steps >= HEAVY_STEPS)
    }

    /// A step took so long: of cost `decoding` for sequences that decode, and of cost `reading` for prompts, little on purpose if it
    /// `is_light`. What is alone in a step slows nobody.
    pub fn observe(&mut self, decoding: f64, reading: f64, is_light: bool, time: Duration) {
        if decoding > 0.0 {
            let is_light = is_light || reading <= 0.0;
            self.heavy_steps = if is_light { 0 } else { self.heavy_steps + 1 };
            let mean = if is_light { &mut self.light } else { &mut self.heavy };
            mean.add(decoding + reading, time.as_secs_f64());
        }
    }

    /// What may be read of prompts in a step in which sequences decode at this cost. `None`: as much as fits.
    pub fn reading(&self, decoding: f64) -> Option<f64> {
        let slowdown = self.slowdown?;
        let (light, heavy) = (&self.light, &self.heavy);
        if decoding <= 0.0 || light.steps == 0 || heavy.steps == 0 {
            return None;
        }
        let rate = (heavy.seconds - light.seconds) / (heavy.cost - light.cost);
        // Prompts seem to cost nothing, or there were never more rows with them than without. The next light step will tell.
        if !(rate.is_finite() && rate > 0.0) {
            return None;
        }
        let base = (light.seconds - rate * light.cost).max(0.0);
        Some((slowdown - 1.0) * (base / rate + decoding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: f64 = 0.009;
    const RATE: f64 = 0.0007;

    fn time(cost: f64) -> Duration {
        Duration::from_secs_f64(BASE + RATE * cost)
    }

    fn measured(slowdown: Option<f64>) -> Pace {
        let mut pace = Pace::new(slowdown);
        for cost in [1.0, 2.0, 1.0] {
            pace.observe(cost, 0.0, false, time(cost));
        }
        for reading in [63.0, 20.0] {
            pace.observe(1.0, reading, false, time(1.0 + reading));
        }
        pace
    }

    #[test]
    fn a_step_with_prompts_takes_as_many_times_as_long_as_was_set() {
        for slowdown in [1.5, 4.0, 10.0] {
            for decoding in [1.0, 16.0] {
                let reading = measured(Some(slowdown)).reading(decoding).unwrap();
                let ratio = time(decoding + reading).as_secs_f64() / time(decoding).as_secs_f64();
                assert!((ratio - slowdown).abs() < 1e-6, "{ratio} at {slowdown}");
            }
        }
    }

    #[test]
    fn nothing_is_bounded_that_slows_nobody_or_was_never_measured() {
        assert_eq!(measured(None).reading(1.0), None);
        assert_eq!(measured(Some(4.0)).reading(0.0), None);
        assert_eq!(Pace::new(Some(4.0)).reading(1.0), None);
        let mut pace = Pace::new(Some(4.0));
        pace.observe(0.0, 64.0, false, time(64.0));
        pace.observe(1.0, 0.0, false, time(1.0));
        assert_eq!(pace.reading(1.0), None);
    }

    #[test]
    fn a_flood_of_prompts_has_a_light_step_now_and_then() {
        let mut pace = Pace::new(Some(4.0));
        assert!(pace.needs_light_step(), "nothing is known");
        pace.observe(1.0, 8.0, true, time(9.0));
        assert!(!pace.needs_light_step());
        let mut light = 0;
        for _ in 0..10 * HEAVY_STEPS {
            let is_light = pace.needs_light_step();
            light += u32::from(is_light);
            let reading = if is_light { 8.0 } else { 60.0 };
            pace.observe(1.0, reading, is_light, time(1.0 + reading));
        }
        assert_eq!(light, 9);
        let reading = pace.reading(1.0).unwrap();
        let ratio = time(1.0 + reading).as_secs_f64() / time(1.0).as_secs_f64();
        assert!((ratio - 4.0).abs() < 1e-6, "{ratio}");
        assert!(!Pace::new(None).needs_light_step());
    }

    #[test]
    fn a_slower_machine_is_noticed_and_one_slow_step_is_not() {
        let mut pace = measured(Some(4.0));
        let before = pace.reading(1.0).unwrap();
        pace.observe(1.0, 20.0, false, Duration::from_secs(1000));
        assert!(pace.reading(1.0).unwrap() > before / 4.0);
        for _ in 0..100 {
            pace.observe(1.0, 20.0, false, time(1.0 + 5.0 * 20.0));
        }
        let after = pace.reading(1.0).unwrap();
        assert!(after < before / 3.0, "{after} of {before}");
    }

    #[test]
    fn times_that_make_no_sense_bound_nothing() {
        let mut pace = Pace::new(Some(f64::NAN));
        pace.observe(1.0, 0.0, false, Duration::ZERO);
        pace.observe(1.0, 8.0, false, Duration::ZERO);
        assert_eq!(pace.reading(1.0), None);
    }
}
