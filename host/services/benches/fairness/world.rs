//! Simulated tenants, engine and time. Not here: what is measured and compared.

use futures::{
    executor::{LocalPool, LocalSpawner},
    future::BoxFuture,
    task::LocalSpawnExt,
};
use riad_admission::MonotonicClock;
use riad_core::{
    TenantPass,
    policy::Tier,
    ports::{Progress, QueueRequest, Scheduler},
};
use riad_fakes::weighted_pass;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Length of a run, with its warm-up.
const LASTS: Duration = Duration::from_secs(3720);
/// Left out of the numbers: the queue is filling.
const WARMS_UP: Duration = Duration::from_secs(120);
/// A small model on a small machine.
const READ: Duration = Duration::from_micros(500);
const WRITE: Duration = Duration::from_millis(10);
const PROMPT: (u32, u32) = (50, 450);
const COMPLETION: (u32, u32) = (20, 100);
const MAX_TOKENS: u32 = 128;
const DEADLINE: Duration = Duration::from_secs(600);

/// What the tenants send.
pub struct Load<'a> {
    pub requests_per_second: f64,
    /// One for each tenant: how many times as much it sends.
    pub factors: &'a [f64],
}

/// What the tenants got.
pub struct Run {
    tenants: Vec<Tenant>,
    busy: f64,
}

#[derive(Default)]
struct Tenant {
    asked: usize,
    refused: usize,
    tokens: u64,
    first_tokens: Vec<Duration>,
}

impl Run {
    pub fn asked(&self, tenant: usize) -> usize {
        self.tenants[tenant].asked
    }

    pub fn refused(&self, tenant: usize) -> usize {
        self.tenants[tenant].refused
    }

    /// Completion tokens.
    pub fn tokens(&self, tenant: usize) -> f64 {
        self.tenants[tenant].tokens as f64
    }

    /// Seconds to the first token, 99th percentile.
    pub fn first_token(&self, tenant: usize) -> f64 {
        let mut times = self.tenants[tenant].first_tokens.clone();
        times.sort_unstable();
        times[times.len() * 99 / 100].as_secs_f64()
    }

    /// Fraction of the places' time.
    pub fn busy(&self) -> f64 {
        self.busy
    }
}

/// Mean time of a request in the batch.
pub fn mean_seconds() -> f64 {
    let mean = |(least, most): (u32, u32)| f64::from(least + most) / 2.0;
    mean(PROMPT) * READ.as_secs_f64() + mean(COMPLETION) * WRITE.as_secs_f64()
}

/// Sends the load through the queue to the engine.
pub fn play(timer: &Timer, queue: Arc<dyn Scheduler>, places: usize, load: &Load<'_>) -> Run {
    let mut pool = LocalPool::new();
    let world = Rc::new(World {
        timer: timer.clone(),
        spawner: pool.spawner(),
        queue,
        places,
        running: Cell::new(0),
        busy: Cell::new(Duration::ZERO),
        tenants: RefCell::new(load.factors.iter().map(|_| Tenant::default()).collect()),
    });
    for (tenant, factor) in load.factors.iter().enumerate() {
        let sends = send(Rc::clone(&world), tenant, factor * load.requests_per_second);
        world.spawner.spawn_local(sends).unwrap();
    }
    let end = timer.start() + LASTS;
    pool.run_until_stalled();
    while timer.now() < end && timer.go_on() {
        pool.run_until_stalled();
    }
    let measured = (LASTS - WARMS_UP).as_secs_f64();
    Run {
        busy: world.busy.get().as_secs_f64() / measured / places as f64,
        tenants: world.tenants.take(),
    }
}

struct World {
    timer: Timer,
    spawner: LocalSpawner,
    queue: Arc<dyn Scheduler>,
    places: usize,
    running: Cell<usize>,
    busy: Cell<Duration>,
    tenants: RefCell<Vec<Tenant>>,
}

#[derive(Clone, Copy)]
struct Request {
    prompt: u32,
    completion: u32,
}

/// A tenant's users.
async fn send(world: Rc<World>, tenant: usize, per_second: f64) {
    let mut random = Random(tenant as u64 + 1);
    let pass = Rc::new(weighted_pass(tenant as u64, 1));
    loop {
        let pause = Duration::from_secs_f64(-(1.0 - random.unit()).ln() / per_second);
        world.timer.sleep(pause).await;
        let request = Request {
            prompt: random.within(PROMPT),
            completion: random.within(COMPLETION),
        };
        let asks = ask(Rc::clone(&world), Rc::clone(&pass), tenant, request);
        world.spawner.spawn_local(asks).unwrap();
    }
}

/// One request, until its answer ends.
async fn ask(world: Rc<World>, pass: Rc<TenantPass>, tenant: usize, request: Request) {
    let came = world.timer.now();
    world.note(came, tenant, |tenant| tenant.asked += 1);
    let progress = Arc::new(Progress::default());
    let entered = world.queue.enter(QueueRequest {
        pass: &pass,
        tier: Tier::Default,
        prompt_tokens: request.prompt,
        max_tokens: MAX_TOKENS,
        adapter: None,
        deadline: came + DEADLINE,
        continuation: false,
        progress: Arc::clone(&progress),
    });
    let Ok(permit) = entered.await else {
        world.note(came, tenant, |tenant| tenant.refused += 1);
        return;
    };
    world.running.update(|running| running + 1);
    assert!(world.running.get() <= world.places, "more permits than places");
    world.works(READ * request.prompt).await;
    for token in 1..=request.completion {
        world.works(WRITE).await;
        progress.set(request.prompt, token);
        let now = world.timer.now();
        world.note(now, tenant, |tenant| tenant.tokens += 1);
        if token == 1 {
            world.note(came, tenant, |tenant| tenant.first_tokens.push(now - came));
        }
    }
    world.running.update(|running| running - 1);
    drop(permit);
}

impl World {
    /// Uses a place for that long.
    async fn works(&self, time: Duration) {
        self.timer.sleep(time).await;
        if self.timer.now() >= self.timer.start() + WARMS_UP {
            self.busy.update(|busy| busy + time);
        }
    }

    /// Counts what happens after the warm-up.
    fn note(&self, when: Instant, tenant: usize, note: impl FnOnce(&mut Tenant)) {
        if when >= self.timer.start() + WARMS_UP {
            note(&mut self.tenants.borrow_mut()[tenant]);
        }
    }
}

/// Splitmix64, from its author's public domain code (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to less than 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn within(&mut self, (least, most): (u32, u32)) -> u32 {
        least + (self.unit() * f64::from(most - least + 1)) as u32
    }
}

/// Virtual time, which advances only when nothing is left to do.
#[derive(Clone)]
pub struct Timer(Arc<Sleepers>);

struct Sleepers {
    start: Instant,
    /// Nanoseconds since then.
    passed: AtomicU64,
    number: AtomicU64,
    waiting: Mutex<BTreeMap<(Instant, u64), Waker>>,
}

struct Sleep {
    sleepers: Arc<Sleepers>,
    key: (Instant, u64),
}

impl Timer {
    pub fn new() -> Self {
        Self(Arc::new(Sleepers {
            start: Instant::now(),
            passed: AtomicU64::new(0),
            number: AtomicU64::new(0),
            waiting: Mutex::default(),
        }))
    }

    fn start(&self) -> Instant {
        self.0.start
    }

    fn sleep(&self, time: Duration) -> Sleep {
        self.until(self.now() + time)
    }

    fn until(&self, time: Instant) -> Sleep {
        Sleep {
            key: (time, self.0.number.fetch_add(1, Ordering::Relaxed)),
            sleepers: Arc::clone(&self.0),
        }
    }

    /// Advances to the next time at which a sleeper wakes.
    fn go_on(&self) -> bool {
        let next = self.0.waiting.lock().unwrap().pop_first();
        let Some(((time, _), waker)) = next else {
            return false;
        };
        let passed = u64::try_from((time - self.0.start).as_nanos()).unwrap();
        self.0.passed.store(passed, Ordering::Relaxed);
        waker.wake();
        true
    }
}

impl MonotonicClock for Timer {
    fn now(&self) -> Instant {
        self.0.start + Duration::from_nanos(self.0.passed.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()> {
        Box::pin(self.until(time))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let timer = Timer(Arc::clone(&self.sleepers));
        if timer.now() >= self.key.0 {
            return Poll::Ready(());
        }
        self.sleepers
            .waiting
            .lock()
            .unwrap()
            .insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.sleepers.waiting.lock().unwrap().remove(&self.key);
    }
}
