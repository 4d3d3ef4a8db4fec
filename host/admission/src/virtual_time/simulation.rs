//! The queue and a simulated engine: what holds for every mix of arrivals, weights, tiers, lengths and
//! cancellations. Not here: decisions one by one (`decisions.rs`).

use super::{TokenRequest, VirtualTime, tokens::charge};
use crate::queue::{self, Bounds, Decision, Queue, Rejection, RequestId, Verdict};
use proptest::prelude::*;
use riad_core::{Account, policy::Tier, ports::Progress};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

const NEVER: Duration = Duration::from_secs(1 << 30);
const PROMPT_MOST: u32 = 200;
const COMPLETION_MOST: u32 = 100;
/// The engine reads a thousand prompt tokens a second in a permit, and writes five hundred.
const READ: Duration = Duration::from_millis(1);
const WRITE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
struct Request {
    account: u64,
    at_ms: u64,
    tier: Tier,
    prompt: u32,
    completion: u32,
    /// Goes away this long after it came.
    leaves_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Arrives(usize),
    Ends(RequestId),
    Leaves(RequestId),
}

struct Job {
    request: Request,
    since: Option<Instant>,
    progress: Arc<Progress>,
    /// Leaves as soon as it is admitted.
    leaves_at_once: bool,
}

struct World {
    queue: Queue<VirtualTime>,
    start: Instant,
    now: Instant,
    weights: Vec<u32>,
    permits: u32,
    events: BTreeMap<(Instant, usize), Event>,
    jobs: HashMap<RequestId, Job>,
    /// Weighted service of each account, divided by weight and tier: counted here, not taken from the queue.
    served: Vec<f64>,
    ran: usize,
    verdicts: Vec<Decision>,
    scheduled: usize,
}

impl World {
    fn new(permits: u32, waiting: usize, target: Duration, weights: &[u32]) -> Self {
        let start = Instant::now();
        let bounds = Bounds {
            waiting,
            ..Bounds::of(permits)
        };
        Self {
            queue: Queue::new(bounds, VirtualTime::new(target)),
            start,
            now: start,
            weights: weights.to_vec(),
            permits,
            events: BTreeMap::new(),
            jobs: HashMap::new(),
            served: vec![0.0; weights.len()],
            ran: 0,
            verdicts: Vec::new(),
            scheduled: 0,
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.scheduled), event);
        self.scheduled += 1;
    }

    /// Plays all the requests; `look` sees the world after every event.
    fn play(&mut self, requests: &[Request], mut look: impl FnMut(&World)) {
        for (index, request) in requests.iter().enumerate() {
            let at = self.start + Duration::from_millis(request.at_ms);
            self.schedule(at, Event::Arrives(index));
        }
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.produce();
            match event {
                Event::Arrives(index) => {
                    self.arrive(requests[index].clone(), false);
                }
                Event::Ends(id) => self.end(id),
                Event::Leaves(id) => match self.jobs.get(&id).map(|job| job.since) {
                    Some(Some(_)) => self.end(id),
                    Some(None) => {
                        self.jobs.remove(&id);
                        let decisions = self.queue.leave(self.now, id);
                        self.follow(decisions);
                    }
                    None => {}
                },
            }
            self.check();
            look(self);
        }
    }

    fn arrive(&mut self, request: Request, leaves_at_once: bool) -> RequestId {
        let progress = Arc::new(Progress::default());
        let detail = TokenRequest {
            tier: request.tier,
            prompt_tokens: request.prompt,
            max_tokens: COMPLETION_MOST,
            adapter: None,
            progress: Arc::clone(&progress),
        };
        let (id, decisions) = self.queue.arrive(
            self.now,
            queue::Request {
                weight: self.weights[request.account as usize],
                expires: Some(self.now + NEVER),
                deadline: Some(self.now + NEVER),
                ..queue::Request::new(Account::new(request.account), detail)
            },
        );
        if let Some(leaves_ms) = request.leaves_ms {
            self.schedule(self.now + Duration::from_millis(leaves_ms), Event::Leaves(id));
        }
        let job = Job {
            request,
            since: None,
            progress,
            leaves_at_once,
        };
        self.jobs.insert(id, job);
        self.follow(decisions);
        id
    }

    fn end(&mut self, id: RequestId) {
        if self.jobs.get(&id).is_some_and(|job| job.since.is_some()) {
            self.jobs.remove(&id);
            let decisions = self.queue.release(self.now, id);
            self.follow(decisions);
        }
    }

    fn follow(&mut self, decisions: Vec<Decision>) {
        for (id, verdict) in decisions {
            self.verdicts.push((id, verdict));
            let job = self
                .jobs
                .get_mut(&id)
                .expect("only requests that are here are decided about");
            if verdict != Verdict::Admitted {
                assert!(job.since.is_none(), "a request that has a permit keeps it");
                self.jobs.remove(&id);
                continue;
            }
            if job.leaves_at_once {
                self.jobs.remove(&id);
                let decisions = self.queue.leave(self.now, id);
                self.follow(decisions);
                continue;
            }
            assert!(job.since.replace(self.now).is_none(), "admitted twice");
            let request = job.request.clone();
            let end = self.now + READ * request.prompt + WRITE * request.completion;
            self.served[request.account as usize] += self.share(&request, request.prompt);
            self.ran += 1;
            self.schedule(end, Event::Ends(id));
        }
    }

    /// The engine up to now.
    fn produce(&mut self) {
        let mut grown = Vec::new();
        for job in self.jobs.values() {
            let Some(since) = job.since else { continue };
            let writing = (self.now - since).checked_sub(READ * job.request.prompt);
            let Some(writing) = writing else { continue };
            let written = (writing.as_millis() / WRITE.as_millis()) as u32;
            let written = written.min(job.request.completion);
            let new = written - job.progress.completion_tokens();
            job.progress.set(job.request.prompt, written);
            grown.push((job.request.clone(), new));
        }
        for (request, new) in grown {
            self.served[request.account as usize] += self.share(&request, 2 * new);
        }
    }

    fn share(&self, request: &Request, work: u32) -> f64 {
        f64::from(work) / (f64::from(self.weights[request.account as usize]) * tier_factor(request.tier))
    }

    fn waiting(&self, account: u64) -> Vec<&Request> {
        let waits = |job: &&Job| job.since.is_none() && job.request.account == account;
        self.jobs.values().filter(waits).map(|job| &job.request).collect()
    }

    /// What always holds.
    fn check(&mut self) {
        let running = self.jobs.values().filter(|job| job.since.is_some()).count();
        let waiting = self.jobs.len() - running;
        self.queue.observe(self.now);
        assert_eq!((self.queue.running(), self.queue.waiting()), (running, waiting));
        assert!(running <= self.permits as usize);
        assert!(
            waiting == 0 || running == self.permits as usize,
            "a permit is idle while {waiting} wait"
        );
        let tokens = |job: &Job| u64::from(job.request.prompt + COMPLETION_MOST);
        let waiting = self.jobs.values().filter(|job| job.since.is_none()).map(tokens);
        let (policy, state) = self.queue.policy();
        assert_eq!(policy.waiting_tokens(state), waiting.sum::<u64>());
    }
}

fn tier_factor(tier: Tier) -> f64 {
    match tier {
        Tier::Flex => 0.25,
        Tier::Default => 1.0,
        Tier::Priority => 4.0,
    }
}

fn tiers() -> impl Strategy<Value = Tier> {
    prop_oneof![
        Just(Tier::Flex),
        Just(Tier::Default),
        Just(Tier::Default),
        Just(Tier::Priority)
    ]
}

fn request(accounts: u64, within_ms: u64) -> impl Strategy<Value = Request> {
    let leaves = prop_oneof![4 => Just(None), 1 => (0..2000_u64).prop_map(Some)];
    let lengths = (1..=PROMPT_MOST, 0..=COMPLETION_MOST);
    (0..accounts, 0..within_ms, tiers(), lengths, leaves).prop_map(|(account, at_ms, tier, lengths, leaves_ms)| {
        Request {
            account,
            at_ms,
            tier,
            prompt: lengths.0,
            completion: lengths.1,
            leaves_ms,
        }
    })
}

/// Permits, weights, and requests that come while there is more to do than can be done.
fn crowds() -> impl Strategy<Value = (u32, Vec<u32>, Vec<Request>)> {
    (1..=4_u32, 2..=5_u64).prop_flat_map(|(permits, accounts)| {
        let weights = prop::collection::vec(1..=4_u32, accounts as usize);
        let requests = prop::collection::vec(request(accounts, 4000), 50..400);
        (Just(permits), weights, requests)
    })
}

/// Greatest lead that an account can have over another one while both have requests waiting, in service divided by weight.
///
/// Theorem 4.4 of the paper: two that always have something waiting differ by at most `2 · max(wp · Linput, wq · M)`, with `M` the
/// tokens of a running batch. Here the batch is `permits` generations of at most `Lcompletion`, and an account gets a permit only
/// while it has had no more than the other. After that it may still be charged its prompt and what all the permits write:
/// `wp · Linput + wq · permits · Lcompletion`, divided by its least weight. Before that, the other may have come with a credit.
/// Each of the two can lead by that much at one end of an interval.
fn lead(permits: u32, least_weight: f64, credit: f64) -> f64 {
    let ahead = f64::from(PROMPT_MOST) + 2.0 * f64::from(permits) * f64::from(COMPLETION_MOST);
    ahead / least_weight + credit
}

/// Plays requests without bounds of queue and time, and compares every two accounts while both have something waiting.
fn compare(permits: u32, weights: &[u32], requests: &[Request], least_factor: f64) -> World {
    let accounts = weights.len();
    let mut world = World::new(permits, usize::MAX, NEVER, weights);
    // Least and greatest lead of one over the other since both have something waiting.
    let mut leads: HashMap<(usize, usize), (f64, f64)> = HashMap::new();
    let mut credit: f64 = 0.0;
    world.play(requests, |world| {
        credit = credit.max(world.queue.policy().0.counters.credit as f64 / charge(1, 1, Tier::Default) as f64);
        let mut waits = vec![false; accounts];
        for job in world.jobs.values().filter(|job| job.since.is_none()) {
            waits[job.request.account as usize] = true;
        }
        for one in 0..accounts {
            for other in 0..one {
                if !(waits[one] && waits[other]) {
                    leads.remove(&(one, other));
                    continue;
                }
                let now = world.served[one] - world.served[other];
                let (least, most) = leads.entry((one, other)).or_insert((now, now));
                *least = least.min(now);
                *most = most.max(now);
                let of = |account: usize| lead(permits, f64::from(world.weights[account]) * least_factor, credit);
                let allowed = of(one) + of(other);
                assert!(
                    *most - *least <= allowed,
                    "{one} and {other}: {least} to {most}, allowed {allowed}"
                );
            }
        }
    });
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn accounts_that_always_have_something_waiting_are_served_alike((permits, weights, requests) in crowds()) {
        let world = compare(permits, &weights, &requests, tier_factor(Tier::Flex));
        prop_assert!(world.jobs.is_empty(), "a request was never served");
        prop_assert!(world.queue.running() == 0);
    }

    #[test]
    fn a_noisy_account_gets_no_more_and_all_are_served(
        permits in 1..=4_u32,
        mut requests in prop::collection::vec(request(4, 3000), 200..500),
    ) {
        for (index, request) in requests.iter_mut().enumerate() {
            (request.tier, request.leaves_ms) = (Tier::Default, None);
            if index % 3 > 0 {
                (request.account, request.at_ms) = (0, request.at_ms / 10);
            }
        }
        let world = compare(permits, &[1; 4], &requests, 1.0);
        prop_assert_eq!(world.ran, requests.len());
    }

    #[test]
    fn cancellations_at_any_moment_lose_no_permit(
        permits in 1..=4_u32,
        requests in prop::collection::vec((request(4, 3000), any::<bool>()), 1..200),
    ) {
        let mut world = World::new(permits, usize::MAX, NEVER, &[1, 2, 3, 4]);
        let (leave, stay): (Vec<_>, Vec<_>) = requests.into_iter().partition(|(_, leaves_at_once)| *leaves_at_once);
        let stay: Vec<Request> = stay.into_iter().map(|(request, _)| request).collect();
        let halfway = stay.len() / 2;
        world.play(&stay[..halfway], |_| ());
        // Between the others, some leave with a permit that they have not used.
        for (request, _) in leave {
            world.arrive(request, true);
        }
        world.check();
        world.start = world.now;
        world.play(&stay[halfway..], |_| ());
        prop_assert!(world.jobs.is_empty() && world.queue.running() == 0);
        for _ in 0..permits {
            let request = Request { account: 0, at_ms: 0, tier: Tier::Flex, prompt: 1, completion: 1, leaves_ms: None };
            let id = world.arrive(request, false);
            prop_assert_eq!(*world.verdicts.last().unwrap(), (id, Verdict::Admitted), "a permit is lost");
        }
    }

    #[test]
    fn rejected_requests_are_of_the_account_that_has_the_most(
        permits in 1..=3_u32,
        room in 2..=12_usize,
        target_ms in 50..3000_u64,
        weights in prop::collection::vec(1..=4_u32, 4),
        requests in prop::collection::vec(request(4, 3000), 50..300),
    ) {
        let mut world = World::new(permits, room, Duration::from_millis(target_ms), &weights);
        for request in &requests {
            world.now += Duration::from_millis(request.at_ms % 40);
            while let Some(entry) = world.events.first_entry() && entry.key().0 <= world.now {
                let (key, event) = entry.remove_entry();
                let (now, _) = key;
                let later = std::mem::replace(&mut world.now, now);
                world.produce();
                if let Event::Ends(id) | Event::Leaves(id) = event {
                    world.end(id);
                }
                world.now = later;
            }
            world.produce();
            let before: Vec<Vec<Request>> =
                (0..4).map(|account| world.waiting(account).into_iter().cloned().collect()).collect();
            let owners: HashMap<RequestId, Request> =
                world.jobs.iter().map(|(id, job)| (*id, job.request.clone())).collect();
            world.verdicts.clear();
            let id = world.arrive(Request { leaves_ms: None, ..request.clone() }, false);
            world.check();
            let (own, weight) = (&before[request.account as usize], u64::from(weights[request.account as usize]));
            let tokens = |of: &[Request]| of.iter().map(|one| u64::from(one.prompt + COMPLETION_MOST)).sum::<u64>();
            let mut mine = tokens(own) + u64::from(request.prompt + COMPLETION_MOST);
            let mut own_most = own.len() as u64 + 1;
            for (rejected, verdict) in &world.verdicts {
                if let Some(owner) = owners.get(rejected).filter(|owner| owner.account == request.account) {
                    mine -= u64::from(owner.prompt + COMPLETION_MOST);
                    own_most -= 1;
                }
                let Some(owner) = owners.get(rejected).filter(|owner| *rejected != id && owner.account != request.account) else {
                    continue;
                };
                let (theirs, their_weight) = (&before[owner.account as usize], u64::from(weights[owner.account as usize]));
                prop_assert!(theirs.len() >= 2, "an account lost its only waiting request");
                match verdict {
                    // An account's only request evicts others even if they are below their share.
                    Verdict::Rejected(Rejection::QueueFull { .. }) if own_most > 1 => {
                        prop_assert!(theirs.len() as u64 * weight > own_most * their_weight);
                    }
                    Verdict::Rejected(Rejection::Overloaded { .. }) if own_most > 1 => {
                        prop_assert!(tokens(theirs) * weight > mine * their_weight);
                    }
                    Verdict::Rejected(Rejection::QueueFull { .. } | Rejection::Overloaded { .. }) => {}
                    Verdict::Admitted | Verdict::Rejected(_) => prop_assert!(false, "{verdict:?}"),
                }
            }
            let waiting = (0..4).map(|account| world.waiting(account).len()).sum::<usize>();
            prop_assert!(waiting <= room);
            // An account with nothing in a queue that others fill gets in.
            if own.is_empty() && before.iter().any(|theirs| theirs.len() >= 2) {
                let full = |verdict| matches!(verdict, Verdict::Rejected(Rejection::QueueFull { .. }));
                let rejected = world.verdicts.iter().any(|(decided, verdict)| *decided == id && full(*verdict));
                prop_assert!(!rejected, "a noisy account kept another out");
            }
        }
    }
}
