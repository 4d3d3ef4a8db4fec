//! Which worker gets a request. Not here: what waits when all are full (`fleet`).

use super::{cache::Tier, table::Table};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Of more holders of an adapter, so many drawn at random are compared (the power of several choices), as a router would that asks few.
const COMPARED_HOLDERS: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Any worker, even a full one.
    Random,
    /// The worker with the fewest requests.
    LeastLoaded,
    /// A worker that has the adapter and a free place, else the one with the fewest requests.
    Affinity,
}

impl Policy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastLoaded => "least loaded",
            Self::Affinity => "adapter affinity, then least loaded",
        }
    }
}

pub struct Router {
    policy: Policy,
    places: u32,
    /// Workers that take requests, by how many places are held.
    by_load: Table<Vec<u32>>,
    /// Each worker's places that are held, and where it stands in `by_load`; none: it takes no requests.
    standing: Table<Option<(u32, usize)>>,
    /// Workers that take requests, by tenant whose adapter they have in that memory.
    engine_holders: Table<Vec<u32>>,
    host_holders: Table<Vec<u32>>,
    open: usize,
    random: ChaCha8Rng,
}

impl Router {
    pub fn new(policy: Policy, workers: usize, places: u32, tenants: u32, random: ChaCha8Rng) -> Self {
        Self {
            policy,
            places,
            by_load: Table::filled(places as usize + 1, Vec::new),
            standing: Table::filled(workers, || None),
            engine_holders: Table::filled(tenants as usize, Vec::new),
            host_holders: Table::filled(tenants as usize, Vec::new),
            open: 0,
            random,
        }
    }

    /// None: no worker has a free place, or none takes requests.
    pub fn choose(&mut self, tenant: u32) -> Option<u32> {
        match self.policy {
            Policy::Random => self.any(),
            Policy::LeastLoaded => self.least_loaded(),
            Policy::Affinity => self
                .holder(tenant, Tier::Engine)
                .or_else(|| self.holder(tenant, Tier::Host))
                .or_else(|| self.least_loaded()),
        }
    }

    /// The places that a worker's requests hold; none: it takes no more requests.
    pub fn set_load(&mut self, worker: u32, held: Option<u32>) {
        if let Some((load, position)) = self.standing[worker].take() {
            self.open -= 1;
            let same = &mut self.by_load[load];
            same.swap_remove(position);
            if let Some(moved) = same.get(position).copied() {
                self.standing[moved] = Some((load, position));
            }
        }
        if let Some(load) = held {
            self.open += 1;
            let same = &mut self.by_load[load];
            self.standing[worker] = Some((load, same.len()));
            same.push(worker);
        }
    }

    pub fn takes_requests(&self, worker: u32) -> bool {
        self.standing[worker].is_some()
    }

    pub fn add_holder(&mut self, tenant: u32, tier: Tier, worker: u32) {
        self.holders(tenant, tier).push(worker);
    }

    pub fn remove_holder(&mut self, tenant: u32, tier: Tier, worker: u32) {
        let holders = self.holders(tenant, tier);
        if let Some(position) = holders.iter().position(|holder| *holder == worker) {
            holders.swap_remove(position);
        }
    }

    /// Of the workers that have the fewest requests, the one that is given back first.
    pub fn idlest(&self) -> Option<u32> {
        self.by_load.iter().find_map(|same| same.last().copied())
    }

    fn holders(&mut self, tenant: u32, tier: Tier) -> &mut Vec<u32> {
        match tier {
            Tier::Engine => &mut self.engine_holders[tenant],
            Tier::Host | Tier::Store => &mut self.host_holders[tenant],
        }
    }

    fn any(&mut self) -> Option<u32> {
        let mut left = self.random.random_range(0..self.open.max(1));
        for same in self.by_load.iter() {
            match same.get(left) {
                Some(worker) => return Some(*worker),
                None => left -= same.len(),
            }
        }
        None
    }

    fn least_loaded(&mut self) -> Option<u32> {
        let places = self.places as usize;
        let same = self.by_load.iter().take(places).find(|same| !same.is_empty())?;
        same.get(self.random.random_range(0..same.len())).copied()
    }

    /// A holder with a free place.
    fn holder(&mut self, tenant: u32, tier: Tier) -> Option<u32> {
        let holders = match tier {
            Tier::Engine => &self.engine_holders[tenant],
            Tier::Host | Tier::Store => &self.host_holders[tenant],
        };
        let load = |worker: u32| self.standing[worker].map(|(load, _)| load);
        let mut best: Option<(u32, u32)> = None;
        for number in 0..holders.len().min(COMPARED_HOLDERS) {
            let index = match holders.len() {
                0..=COMPARED_HOLDERS => number,
                many => self.random.random_range(0..many),
            };
            if let Some(worker) = holders.get(index).copied()
                && let Some(load) = load(worker)
                && load < best.map_or(self.places, |(least, _)| least)
            {
                best = Some((load, worker));
            }
        }
        best.map(|(_, worker)| worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn router(policy: Policy) -> Router {
        let mut router = Router::new(policy, 4, 2, 3, ChaCha8Rng::seed_from_u64(1));
        for (worker, load) in [(0, 1), (1, 0), (2, 2)] {
            router.set_load(worker, Some(load));
        }
        router
    }

    #[test]
    fn the_least_loaded_worker_with_a_place_is_chosen() {
        let mut router = router(Policy::LeastLoaded);
        assert_eq!(router.choose(0), Some(1));
        router.set_load(1, None);
        assert_eq!(router.choose(0), Some(0));
        router.set_load(0, Some(2));
        assert_eq!(router.choose(0), None);
        assert_eq!(router.idlest(), Some(0));
    }

    #[test]
    fn a_holder_is_chosen_while_it_has_a_place() {
        let mut router = router(Policy::Affinity);
        router.add_holder(0, Tier::Engine, 0);
        router.add_holder(0, Tier::Engine, 2);
        router.add_holder(1, Tier::Host, 0);
        assert_eq!(
            (router.choose(0), router.choose(1), router.choose(2)),
            (Some(0), Some(0), Some(1))
        );
        router.remove_holder(0, Tier::Engine, 0);
        // The one holder that is left is full.
        assert_eq!(router.choose(0), Some(1));
    }

    #[test]
    fn a_random_worker_may_be_full_but_not_closed() {
        let mut router = router(Policy::Random);
        let mut chosen = [0_u32; 4];
        for _ in 0..3000 {
            chosen[router.choose(0).unwrap() as usize] += 1;
        }
        assert!(
            chosen[..3].iter().all(|count| (800..1200).contains(count)),
            "{chosen:?}"
        );
        assert_eq!(chosen[3], 0);
        for worker in 0..3 {
            router.set_load(worker, None);
        }
        assert_eq!(router.choose(0), None);
    }
}
