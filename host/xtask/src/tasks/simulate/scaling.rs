//! How many workers there should be. Not here: starting and draining them (`fleet`).

use super::input::Scaling;
use std::collections::VecDeque;

/// For so long work is averaged, in seconds.
const WORK_WINDOW: f64 = 60.0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The work of the tokens that are asked for, and the queue.
    Work,
    /// Requests in flight over places.
    Occupancy,
}

/// What the autoscaler reads.
pub struct Reading {
    /// Seconds of a whole worker that was asked for since the last look.
    pub work: f64,
    /// Requests that hold a place.
    pub held: u32,
    /// Requests that wait for one.
    pub waiting: usize,
}

pub struct Scaler {
    signal: Signal,
    figures: Scaling,
    places: f64,
    most: u32,
    work: VecDeque<f64>,
    /// What was wanted, within the window for scaling down.
    wanted: VecDeque<u32>,
}

impl Scaler {
    pub fn new(signal: Signal, figures: &Scaling, places: u32, most: u32) -> Self {
        Self {
            signal,
            figures: figures.clone(),
            places: f64::from(places),
            most,
            work: VecDeque::new(),
            wanted: VecDeque::new(),
        }
    }

    /// How many workers there should be, of `now` that run or start.
    pub fn decide(&mut self, reading: &Reading, now: u32) -> u32 {
        let interval = self.figures.interval_s;
        keep(&mut self.work, reading.work, WORK_WINDOW / interval);
        let target = self.figures.target_utilization;
        let wanted = match self.signal {
            Signal::Work => {
                let rate = self.work.iter().sum::<f64>() / self.work.len() as f64 / interval;
                rate / target + reading.waiting as f64 / self.places
            }
            Signal::Occupancy => (f64::from(reading.held) + reading.waiting as f64) / (self.places * target),
        };
        let least = self.figures.least.min(self.most);
        let wanted = (wanted.ceil() as u32).clamp(least, self.most);
        keep(&mut self.wanted, wanted, self.figures.scale_down_window_s / interval);
        let recently = self.wanted.iter().copied().max().unwrap_or(wanted);
        wanted.max(now.min(recently))
    }
}

/// Adds a value, of which the last `most` stay.
fn keep<T>(values: &mut VecDeque<T>, value: T, most: f64) {
    values.push_back(value);
    while values.len() > (most as usize).max(1) {
        values.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::simulate::input::Input;

    #[test]
    fn it_grows_at_once_and_shrinks_after_the_window() {
        let figures = Input::read(None).unwrap().scaling;
        let mut scaler = Scaler::new(Signal::Work, &figures, 16, 100);
        let mut decide = |work: f64, now: u32| {
            let reading = Reading {
                work: work * figures.interval_s,
                held: 0,
                waiting: 0,
            };
            scaler.decide(&reading, now)
        };
        assert_eq!(decide(7.0, 0), 10);
        // 5 minutes of 15 seconds; the mean of work follows within the first.
        let looks: Vec<u32> = (0..25).map(|_| decide(0.0, 10)).collect();
        assert!(looks[..18].iter().all(|wanted| *wanted == 10), "{looks:?}");
        assert_eq!(looks.last(), Some(&0));
        // The mean of a minute is above the most.
        assert_eq!(decide(1000.0, 0), 100);
    }

    #[test]
    fn a_queue_wants_workers_too() {
        let figures = Input::read(None).unwrap().scaling;
        for signal in [Signal::Work, Signal::Occupancy] {
            let mut scaler = Scaler::new(signal, &figures, 16, 100);
            let reading = Reading {
                work: 0.0,
                held: 0,
                waiting: 33,
            };
            assert_eq!(scaler.decide(&reading, 0), 3, "{signal:?}");
        }
    }
}
