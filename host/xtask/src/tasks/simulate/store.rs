//! The object store that all workers load adapters from: a queue with a rate of bytes and a rate of requests, and each worker's network.

use super::input::Store as Figures;

pub struct Store {
    first_byte: f64,
    worker_bytes_per_second: f64,
    bytes_per_second: f64,
    requests_per_second: f64,
    /// When the store has answered all that was asked of it.
    free: f64,
}

/// What one adapter's way took.
pub struct Fetch {
    pub ready: f64,
    /// Seconds for which the store did nothing else.
    pub busy: f64,
}

impl Store {
    pub fn new(figures: &Figures, workers: u32) -> Self {
        let part = f64::from(workers) / 1000.0;
        Self {
            first_byte: figures.first_byte_s,
            worker_bytes_per_second: figures.worker_bytes_per_second,
            bytes_per_second: figures.bytes_per_second_per_1000_workers * part,
            requests_per_second: figures.requests_per_second_per_1000_workers * part,
            free: f64::NEG_INFINITY,
        }
    }

    /// `network_free`: when the worker's network has carried all that was asked for before.
    pub fn fetch(&mut self, now: f64, bytes: f64, network_free: &mut f64) -> Fetch {
        let busy = (bytes / self.bytes_per_second).max(1.0 / self.requests_per_second);
        self.free = self.free.max(now) + busy;
        let first_byte = self.free - busy + self.first_byte;
        *network_free = network_free.max(first_byte) + bytes / self.worker_bytes_per_second;
        Fetch {
            ready: network_free.max(self.free + self.first_byte),
            busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_three_rates_can_be_what_it_waits_for() {
        let figures = |worker, bytes, requests| Figures {
            first_byte_s: 0.5,
            worker_bytes_per_second: worker,
            bytes_per_second_per_1000_workers: bytes,
            requests_per_second_per_1000_workers: requests,
        };
        let third = |figures: Figures| {
            let mut store = Store::new(&figures, 1000);
            let mut network_free = 0.0;
            let mut ready = 0.0;
            for _ in 0..3 {
                ready = store.fetch(10.0, 100.0, &mut network_free).ready;
            }
            ready
        };
        assert!((third(figures(100.0, 1e9, 1e9)) - 13.5).abs() < 1e-3);
        assert!((third(figures(1e9, 50.0, 1e9)) - 16.5).abs() < 1e-3);
        assert!((third(figures(1e9, 1e9, 0.5)) - 16.5).abs() < 1e-3);
    }
}
