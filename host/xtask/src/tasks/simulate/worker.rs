//! One worker: its batch, the adapters in its memories, and whether it runs.

use super::{
    batch::{Batch, Speeds},
    cache::{Cache, Tier},
    input::Adapters,
    routing::Router,
    store::Store,
};
use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Off,
    Starting,
    Ready,
    /// Takes no more requests, and is given back when it has answered those it has.
    Draining,
}

pub struct Worker {
    pub state: State,
    pub batch: Batch,
    /// Places that requests hold.
    pub held: u32,
    /// Different adapters of those requests.
    pub adapters_in_use: u32,
    /// Requests that were sent here and have no place yet.
    pub waiting: VecDeque<u32>,
    engine: Cache,
    host: Cache,
    network_free: f64,
}

/// How a request's adapter is made ready.
pub struct Loading {
    pub ready: f64,
    pub from: Tier,
    pub evictions: u64,
    pub store_busy: f64,
    pub store_bytes: f64,
}

impl Worker {
    pub fn new(adapters: &Adapters) -> Self {
        Self {
            state: State::Off,
            batch: Batch::default(),
            held: 0,
            adapters_in_use: 0,
            waiting: VecDeque::new(),
            engine: Cache::new(adapters.engine_bytes),
            host: Cache::new(adapters.host_bytes),
            network_free: f64::NEG_INFINITY,
        }
    }

    pub fn advance(&mut self, time: f64, speeds: &Speeds) {
        self.batch.advance(time, self.adapters_in_use, speeds);
    }

    /// Takes the tenant's adapter into use, from the nearest memory that has it.
    pub fn use_adapter(
        &mut self,
        (number, tenant, bytes): (u32, u32, u32),
        now: f64,
        adapters: &Adapters,
        store: &mut Store,
        router: &mut Router,
    ) -> Loading {
        let mut loading = Loading {
            ready: now,
            from: Tier::Engine,
            evictions: 0,
            store_busy: 0.0,
            store_bytes: 0.0,
        };
        match self.engine.touch(tenant) {
            Some((ready, _)) if ready <= now => {}
            // Another request of the tenant has asked for it.
            Some((ready, from)) => (loading.ready, loading.from) = (ready, from),
            None => {
                let bytes = u64::from(bytes);
                let mut evicted = Vec::new();
                let in_host = match self.host.touch(tenant) {
                    Some((ready, _)) => {
                        loading.from = Tier::Host;
                        ready.max(now)
                    }
                    None => {
                        loading.from = Tier::Store;
                        let fetch = store.fetch(now, bytes as f64, &mut self.network_free);
                        loading.store_busy = fetch.busy;
                        loading.store_bytes = bytes as f64;
                        self.host.insert(tenant, bytes, fetch.ready, Tier::Store, &mut evicted);
                        moved(router, number, Tier::Host, tenant, &mut evicted);
                        fetch.ready
                    }
                };
                loading.ready = in_host + adapters.load_s + bytes as f64 / adapters.load_bytes_per_second;
                self.engine
                    .insert(tenant, bytes, loading.ready, loading.from, &mut evicted);
                loading.evictions = evicted.len() as u64;
                moved(router, number, Tier::Engine, tenant, &mut evicted);
            }
        }
        self.adapters_in_use += u32::from(self.engine.use_once(tenant));
        loading
    }

    pub fn end_use(&mut self, tenant: u32) {
        self.adapters_in_use -= u32::from(self.engine.end_use(tenant));
    }

    /// Tells the router that this worker's adapters are not to be asked for any more.
    pub fn close(&self, number: u32, router: &mut Router) {
        router.set_load(number, None);
        for (cache, tier) in [(&self.engine, Tier::Engine), (&self.host, Tier::Host)] {
            for tenant in cache.tenants() {
                router.remove_holder(tenant, tier, number);
            }
        }
    }

    /// Its machine is given back, with what was in its memory.
    pub fn turn_off(&mut self) {
        self.state = State::Off;
        self.engine.clear();
        self.host.clear();
    }
}

/// Tells the router what came and what left, unless it was told to ask for nothing here.
fn moved(router: &mut Router, worker: u32, tier: Tier, tenant: u32, evicted: &mut Vec<u32>) {
    if router.takes_requests(worker) {
        router.add_holder(tenant, tier, worker);
        for tenant in evicted.iter() {
            router.remove_holder(*tenant, tier, worker);
        }
    }
    evicted.clear();
}
