//! The simulation: events in the order of their times, from one moment to the next.

use super::{
    batch::{Due, Speeds},
    cache::Tier,
    calendar::Calendar,
    input::Input,
    measures::{INTERVAL, Interval},
    routing::{Policy, Router},
    scaling::{Reading, Scaler, Signal},
    store::Store,
    table::Table,
    traffic::{Arrival, Stream, Traffic, adapter_bytes, random},
    wave::HOUR,
    worker::{State, Worker},
};
use anyhow::Result;
use std::collections::VecDeque;

#[cfg(test)]
mod tests;

/// What is simulated, beside the input.
#[derive(Clone)]
pub struct Scenario {
    pub workers: u32,
    /// Workers that the object store was built for.
    pub store_workers: u32,
    pub tenants: u32,
    pub policy: Policy,
    /// None: all workers run all the time.
    pub scaling: Option<Signal>,
    /// Multiplies the traffic.
    pub load: f64,
    /// Hours since the beginning of a Monday, UTC.
    pub start_hour: f64,
    /// Hours before the start that are simulated and not measured.
    pub warm_up_hours: f64,
    pub hours: f64,
    pub seed: u64,
}

/// What came out, by interval.
pub struct Outcome {
    pub intervals: Vec<Interval>,
    /// Requests and events of the whole run, with those that were not measured.
    pub requests: u64,
    pub events: u64,
}

impl Outcome {
    pub fn total(&self) -> Result<Interval> {
        Interval::sum(&self.intervals)
    }
}

struct Request {
    tenant: u32,
    arrived: f64,
    prompt_tokens: f64,
    completion_tokens: f64,
}

struct Fleet<'a> {
    input: &'a Input,
    speeds: Speeds,
    workers: Table<Worker>,
    router: Router,
    calendar: Calendar,
    store: Store,
    scaler: Option<Scaler>,
    adapter_bytes: Table<u32>,
    requests: Table<Request>,
    free_requests: Vec<u32>,
    /// Requests that no worker had a place for.
    queue: VecDeque<u32>,
    now: f64,
    /// Workers by what they cost and serve, and requests by what they hold: what the integrals are of.
    in_use: u32,
    ready: u32,
    held: u32,
    waiting: u32,
    /// Work that was asked for since the autoscaler has looked.
    work: f64,
    interval: Interval,
}

/// # Errors
/// When the input's figures cannot be used.
pub fn simulate(input: &Input, scenario: &Scenario) -> Result<Outcome> {
    let mut fleet = Fleet::new(input, scenario)?;
    let start = scenario.start_hour * HOUR;
    let begin = start - scenario.warm_up_hours * HOUR;
    let end = start + scenario.hours * HOUR;
    let mut traffic = Traffic::new(input, scenario.tenants, scenario.load, begin, scenario.seed)?;
    let mut outcome = Outcome {
        intervals: Vec::new(),
        requests: 0,
        events: 0,
    };
    fleet.now = begin;
    let mut arrival = traffic.next();
    let mut look = begin;
    let mut boundary = if begin < start { start } else { start + INTERVAL };
    loop {
        let (due, worker) = fleet.calendar.earliest();
        let next = due.min(arrival.time).min(look).min(boundary);
        fleet.pass(next);
        if next == boundary {
            let finished = std::mem::replace(&mut fleet.interval, Interval::new(boundary - start)?);
            if boundary > start {
                outcome.intervals.push(finished);
            }
            if boundary >= end {
                return Ok(outcome);
            }
            boundary = (boundary + INTERVAL).min(end);
        } else if next == due {
            fleet.happen(worker);
        } else if next == arrival.time {
            outcome.requests += 1;
            let arrived = std::mem::replace(&mut arrival, traffic.next());
            fleet.arrive(&arrived);
        } else {
            fleet.look();
            look += input.scaling.interval_s;
        }
        outcome.events += 1;
    }
}

impl<'a> Fleet<'a> {
    fn new(input: &'a Input, scenario: &Scenario) -> Result<Self> {
        let count = scenario.workers as usize;
        let places = input.engine.places;
        let routing = random(scenario.seed, Stream::Routing);
        let scaler = scenario
            .scaling
            .map(|signal| Scaler::new(signal, &input.scaling, places, scenario.workers));
        let mut fleet = Self {
            input,
            speeds: Speeds::new(&input.engine),
            workers: Table::filled(count, || Worker::new(&input.adapters)),
            router: Router::new(scenario.policy, count, places, scenario.tenants, routing),
            calendar: Calendar::new(count),
            store: Store::new(&input.store, scenario.store_workers),
            scaler,
            adapter_bytes: adapter_bytes(&input.adapters, scenario.tenants, scenario.seed)?,
            requests: Table::default(),
            free_requests: Vec::new(),
            queue: VecDeque::new(),
            now: 0.0,
            in_use: 0,
            ready: 0,
            held: 0,
            waiting: 0,
            work: 0.0,
            interval: Interval::new(0.0)?,
        };
        if fleet.scaler.is_none() {
            for number in 0..scenario.workers {
                fleet.in_use += 1;
                fleet.open(number);
            }
        }
        Ok(fleet)
    }

    /// Time passes up to an event.
    fn pass(&mut self, to: f64) {
        let passed = to - self.now;
        self.now = to;
        let interval = &mut self.interval;
        interval.seconds += passed;
        interval.in_use += passed * f64::from(self.in_use);
        interval.ready += passed * f64::from(self.ready);
        interval.held += passed * f64::from(self.held);
        interval.waiting += passed * f64::from(self.waiting);
        interval.most_in_use = interval.most_in_use.max(self.in_use);
    }

    fn arrive(&mut self, arrival: &Arrival) {
        self.interval.arrived += 1;
        let work = self.speeds.work(arrival.prompt_tokens, arrival.completion_tokens);
        self.interval.work += work;
        self.work += work;
        let request = Request {
            tenant: arrival.tenant,
            arrived: self.now,
            prompt_tokens: arrival.prompt_tokens,
            completion_tokens: arrival.completion_tokens,
        };
        let number = match self.free_requests.pop() {
            Some(number) => {
                self.requests[number] = request;
                number
            }
            None => self.requests.push(request),
        };
        match self.router.choose(arrival.tenant) {
            Some(worker) if self.workers[worker].held < self.input.engine.places => {
                self.place(number, worker);
                self.schedule(worker);
            }
            Some(worker) => {
                self.waiting += 1;
                self.workers[worker].waiting.push_back(number);
            }
            None => {
                self.waiting += 1;
                self.queue.push_back(number);
            }
        }
    }

    /// Gives a request a place. Its prompt is read when its adapter is there.
    fn place(&mut self, number: u32, at: u32) {
        let request = &self.requests[number];
        let worker = &mut self.workers[at];
        worker.advance(self.now, &self.speeds);
        worker.held += 1;
        self.held += 1;
        if worker.state == State::Ready {
            self.router.set_load(at, Some(worker.held));
        }
        let adapter = (at, request.tenant, self.adapter_bytes[request.tenant]);
        let adapters = &self.input.adapters;
        let loading = worker.use_adapter(adapter, self.now, adapters, &mut self.store, &mut self.router);
        self.interval.evictions += loading.evictions;
        self.interval.store_bytes += loading.store_bytes;
        self.interval.store_busy += loading.store_busy;
        self.interval.record_place(self.now - request.arrived, loading.from);
        match loading.from {
            Tier::Engine => worker.batch.read(number, request.prompt_tokens),
            Tier::Host | Tier::Store => worker.batch.load(number, loading.ready),
        }
    }

    /// What a worker's calendar says happens now.
    fn happen(&mut self, at: u32) {
        if self.workers[at].state == State::Starting {
            self.open(at);
            self.fill(at);
        } else {
            self.step(at);
        }
        self.schedule(at);
    }

    fn step(&mut self, at: u32) {
        let worker = &mut self.workers[at];
        let due = worker.batch.next(worker.adapters_in_use, &self.speeds);
        worker.advance(self.now, &self.speeds);
        let Some((due, number)) = due.and_then(|(_, due)| Some((due, worker.batch.take(due)?))) else {
            return;
        };
        let request = &self.requests[number];
        match due {
            Due::Loaded => worker.batch.read(number, request.prompt_tokens),
            Due::Read => {
                self.interval.record_first_token(self.now - request.arrived);
                // The first of them came with the prompt.
                worker.batch.decode(number, request.completion_tokens - 1.0);
            }
            Due::Finished => {
                worker.held -= 1;
                self.held -= 1;
                worker.end_use(request.tenant);
                if worker.state == State::Ready {
                    self.router.set_load(at, Some(worker.held));
                }
                self.interval.completed += 1;
                self.interval.sojourn += self.now - request.arrived;
                self.free_requests.push(number);
                self.fill(at);
                self.turn_off_if_drained(at);
            }
        }
    }

    /// Gives free places to those who wait the longest: who was sent here, then who was sent nowhere.
    fn fill(&mut self, at: u32) {
        self.give_up();
        while self.workers[at].held < self.input.engine.places {
            let is_ready = self.workers[at].state == State::Ready;
            let number = match self.workers[at].waiting.pop_front() {
                Some(number) => number,
                None if is_ready => match self.queue.pop_front() {
                    Some(number) => number,
                    None => return,
                },
                None => return,
            };
            self.waiting -= 1;
            if self.now - self.requests[number].arrived > self.input.traffic.patience_s {
                self.lose(number);
            } else {
                self.place(number, at);
            }
        }
    }

    /// Takes from the queue who has waited for too long.
    fn give_up(&mut self) {
        while let Some(number) = self.queue.front().copied() {
            if self.now - self.requests[number].arrived <= self.input.traffic.patience_s {
                return;
            }
            self.queue.pop_front();
            self.waiting -= 1;
            self.lose(number);
        }
    }

    fn lose(&mut self, number: u32) {
        self.interval.given_up += 1;
        self.free_requests.push(number);
    }

    /// A worker takes requests from now on.
    fn open(&mut self, at: u32) {
        let worker = &mut self.workers[at];
        worker.state = State::Ready;
        worker.advance(self.now, &self.speeds);
        self.ready += 1;
        self.router.set_load(at, Some(worker.held));
    }

    fn turn_off_if_drained(&mut self, at: u32) {
        let worker = &mut self.workers[at];
        if worker.state == State::Draining && worker.held == 0 && worker.waiting.is_empty() {
            worker.turn_off();
            self.in_use -= 1;
        }
    }

    fn schedule(&mut self, at: u32) {
        let worker = &self.workers[at];
        let next = worker.batch.next(worker.adapters_in_use, &self.speeds);
        self.calendar.set(at, next.map_or(f64::INFINITY, |(time, _)| time));
    }

    /// The autoscaler looks.
    fn look(&mut self) {
        self.give_up();
        let Some(scaler) = &mut self.scaler else {
            return;
        };
        let reading = Reading {
            work: std::mem::take(&mut self.work),
            held: self.held,
            waiting: self.waiting as usize,
        };
        let starting = self.workers.iter().filter(|worker| worker.state == State::Starting);
        let now = self.ready + starting.count() as u32;
        let wanted = scaler.decide(&reading, now);
        if wanted > now {
            let off = self.workers.numbered().filter(|(_, worker)| worker.state == State::Off);
            let off: Vec<u32> = off.map(|(number, _)| number).take((wanted - now) as usize).collect();
            for number in off {
                self.workers[number].state = State::Starting;
                self.in_use += 1;
                self.interval.starts += 1;
                self.calendar.set(number, self.now + self.input.scaling.start_s);
            }
        }
        for _ in wanted..now {
            // Those that start are not given back; they are wanted no longer only if the traffic falls within minutes.
            let Some(number) = self.router.idlest() else {
                return;
            };
            self.workers[number].close(number, &mut self.router);
            self.workers[number].state = State::Draining;
            self.ready -= 1;
            self.turn_off_if_drained(number);
        }
    }
}
