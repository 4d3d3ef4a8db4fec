//! When each worker's next event is due: a tournament tree, in which the earliest is at the root. A change costs one comparison per
//! level; no event is ever canceled, which a heap of events would need at each change of a batch.

use super::table::Table;

pub struct Calendar {
    /// A power of two.
    leaves: u32,
    /// The earliest time below each node, with its worker. Node 1 is the root; the children of `n` are `2n` and `2n + 1`.
    nodes: Table<(f64, u32)>,
}

impl Calendar {
    pub fn new(workers: usize) -> Self {
        let leaves = workers.next_power_of_two().max(2);
        Self {
            leaves: leaves as u32,
            nodes: Table::filled(2 * leaves, || (f64::INFINITY, 0)),
        }
    }

    /// Infinity: nothing is due.
    pub fn set(&mut self, worker: u32, time: f64) {
        let mut node = self.leaves + worker;
        self.nodes[node] = (time, worker);
        while node > 1 {
            node /= 2;
            let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
            self.nodes[node] = if right.0 < left.0 { right } else { left };
        }
    }

    pub fn earliest(&self) -> (f64, u32) {
        self.nodes[1]
    }
}

#[cfg(test)]
mod tests {
    use super::Calendar;

    #[test]
    fn the_earliest_is_found_after_every_change() {
        let mut calendar = Calendar::new(5);
        assert_eq!(calendar.earliest().0, f64::INFINITY);
        let mut times = [f64::INFINITY; 5];
        for step in 0..200_u32 {
            let worker = step * 7 % 5;
            let time = match step % 11 {
                0 => f64::INFINITY,
                _ => f64::from(step * 37 % 101),
            };
            calendar.set(worker, time);
            times[worker as usize] = time;
            let least = times.iter().copied().fold(f64::INFINITY, f64::min);
            let (earliest, worker) = calendar.earliest();
            assert_eq!(earliest, least);
            assert_eq!(times[worker as usize], least);
        }
    }
}
