//! The queue and an engine whose time is made up: what holds for every mix of arrivals, weights, tiers, lengths and
//! cancellations. Not here: its futures (`tests.rs`).

use super::{
    counters::Ask,
    queue::{Decision, Queue, Verdict},
    service::charge,
};
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
/// The engine reads a thousand prompt tokens a second in a lane, and writes five hundred.
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
    Ends(u64),
    Leaves(u64),
}

struct Job {
    request: Request,
    since: Option<Instant>,
    progress: Arc<Progress>,
    /// Leaves as soon as it is told that it has a lane.
    shy: bool,
}

struct World {
    queue: Queue,
    start: Instant,
    now: Instant,
    weights: Vec<u32>,
    lanes: usize,
    events: BTreeMap<(Instant, usize), Event>,
    jobs: HashMap<u64, Job>,
    /// Weighted service of each account, divided by weight and tier: counted here, not taken from the queue.
    served: Vec<f64>,
    ran: usize,
    verdicts: Vec<Decision>,
    scheduled: usize,
}

impl World {
    fn new(lanes: usize, room: usize, target: Duration, weights: &[u32]) -> Self {
        let start = Instant::now();
        Self {
            queue: Queue::new(lanes, room, target),
            start,
            now: start,
            weights: weights.to_vec(),
            lanes,
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
                Event::Ends(number) => self.end(number),
                Event::Leaves(number) => match self.jobs.get(&number).map(|job| job.since) {
                    Some(Some(_)) => self.end(number),
                    Some(None) => {
                        self.jobs.remove(&number);
                        let decisions = self.queue.leave(self.now, number);
                        self.follow(decisions);
                    }
                    None => {}
                },
            }
            self.check();
            look(self);
        }
    }

    fn arrive(&mut self, request: Request, shy: bool) -> u64 {
        let progress = Arc::new(Progress::default());
        let ask = Ask {
            account: Account::new(request.account),
            weight: self.weights[request.account as usize],
            tier: request.tier,
            prompt_tokens: request.prompt,
            max_tokens: COMPLETION_MOST,
            adapter: None,
            deadline: self.now + NEVER,
            until: self.now + NEVER,
            begun: false,
            progress: Arc::clone(&progress),
        };
        let (number, decisions) = self.queue.arrive(self.now, ask);
        if let Some(leaves_ms) = request.leaves_ms {
            self.schedule(self.now + Duration::from_millis(leaves_ms), Event::Leaves(number));
        }
        let job = Job {
            request,
            since: None,
            progress,
            shy,
        };
        self.jobs.insert(number, job);
        self.follow(decisions);
        number
    }

    fn end(&mut self, number: u64) {
        if self.jobs.get(&number).is_some_and(|job| job.since.is_some()) {
            self.jobs.remove(&number);
            let decisions = self.queue.give_back(self.now, number);
            self.follow(decisions);
        }
    }

    fn follow(&mut self, decisions: Vec<Decision>) {
        for (number, verdict) in decisions {
            self.verdicts.push((number, verdict));
            let job = self.jobs.get_mut(&number).expect("only who is here is told something");
            if verdict != Verdict::Run {
                assert!(job.since.is_none(), "who has a lane keeps it");
                self.jobs.remove(&number);
                continue;
            }
            if job.shy {
                self.jobs.remove(&number);
                let decisions = self.queue.leave(self.now, number);
                self.follow(decisions);
                continue;
            }
            assert!(job.since.replace(self.now).is_none(), "told twice");
            let request = job.request.clone();
            let end = self.now + READ * request.prompt + WRITE * request.completion;
            self.served[request.account as usize] += self.share(&request, request.prompt);
            self.ran += 1;
            self.schedule(end, Event::Ends(number));
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
        let state = self.queue.state(self.now);
        assert_eq!((state.running, state.waiting), (running as u64, waiting as u64));
        assert!(running <= self.lanes);
        assert!(
            waiting == 0 || running == self.lanes,
            "a lane is idle while {waiting} wait"
        );
        let tokens = |job: &Job| u64::from(job.request.prompt + COMPLETION_MOST);
        let waiting = self.jobs.values().filter(|job| job.since.is_none()).map(tokens);
        assert_eq!(state.waiting_tokens, waiting.sum::<u64>());
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

/// Lanes, weights, and requests that come while there is more to do than can be done.
fn crowds() -> impl Strategy<Value = (usize, Vec<u32>, Vec<Request>)> {
    (1..=4_usize, 2..=5_u64).prop_flat_map(|(lanes, accounts)| {
        let weights = prop::collection::vec(1..=4_u32, accounts as usize);
        let requests = prop::collection::vec(request(accounts, 4000), 50..400);
        (Just(lanes), weights, requests)
    })
}

/// Greatest lead that an account can have over another one while both have requests waiting, in service divided by weight.
///
/// Theorem 4.4 of the paper: two that always have something waiting differ by at most `2 · max(wp · Linput, wq · M)`, with `M` the
/// tokens of a running batch. Here the batch is `lanes` generations of at most `Lcompletion`, and an account gets a lane only
/// while it has had no more than the other. After that it may still be charged its prompt and what all the lanes write:
/// `wp · Linput + wq · lanes · Lcompletion`, divided by its least weight. Before that, the other may have come with a credit.
/// Each of the two can lead by that much at one end of an interval.
fn lead(lanes: usize, least_weight: f64, credit: f64) -> f64 {
    let ahead = f64::from(PROMPT_MOST) + 2.0 * lanes as f64 * f64::from(COMPLETION_MOST);
    ahead / least_weight + credit
}

/// Plays requests without end of room and time, and compares every two accounts for as long as both have something waiting.
fn compare(lanes: usize, weights: &[u32], requests: &[Request], least_factor: f64) -> World {
    let accounts = weights.len();
    let mut world = World::new(lanes, usize::MAX, NEVER, weights);
    // Least and greatest lead of one over the other since both have something waiting.
    let mut leads: HashMap<(usize, usize), (f64, f64)> = HashMap::new();
    let mut credit: f64 = 0.0;
    world.play(requests, |world| {
        credit = credit.max(world.queue.counters.credit as f64 / charge(1, 1, Tier::Default) as f64);
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
                let of = |account: usize| lead(lanes, f64::from(world.weights[account]) * least_factor, credit);
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
    fn accounts_that_always_have_something_waiting_are_served_alike((lanes, weights, requests) in crowds()) {
        let world = compare(lanes, &weights, &requests, tier_factor(Tier::Flex));
        prop_assert!(world.jobs.is_empty(), "somebody was never served");
        prop_assert!(world.queue.running.is_empty());
    }

    #[test]
    fn a_noisy_account_gets_no_more_than_the_others_and_all_are_served(
        lanes in 1..=4_usize,
        mut requests in prop::collection::vec(request(4, 3000), 200..500),
    ) {
        for (index, request) in requests.iter_mut().enumerate() {
            (request.tier, request.leaves_ms) = (Tier::Default, None);
            if index % 3 > 0 {
                (request.account, request.at_ms) = (0, request.at_ms / 10);
            }
        }
        let world = compare(lanes, &[1; 4], &requests, 1.0);
        prop_assert_eq!(world.ran, requests.len());
    }

    #[test]
    fn cancellations_at_any_moment_lose_no_lane(
        lanes in 1..=4_usize,
        requests in prop::collection::vec((request(4, 3000), any::<bool>()), 1..200),
    ) {
        let mut world = World::new(lanes, usize::MAX, NEVER, &[1, 2, 3, 4]);
        let mut shy = requests.iter().filter(|(_, shy)| *shy).map(|(request, _)| request.clone());
        let bold: Vec<Request> = requests.iter().filter(|(_, shy)| !*shy).map(|(request, _)| request.clone()).collect();
        // Among the others, some leave with the lane in their hand.
        let halfway = bold.len() / 2;
        world.play(&bold[..halfway], |_| ());
        for request in shy.by_ref() {
            world.arrive(request, true);
        }
        world.check();
        world.start = world.now;
        world.play(&bold[halfway..], |_| ());
        prop_assert!(world.jobs.is_empty() && world.queue.running.is_empty());
        for _ in 0..lanes {
            let request = Request { account: 0, at_ms: 0, tier: Tier::Flex, prompt: 1, completion: 1, leaves_ms: None };
            let number = world.arrive(request, false);
            prop_assert_eq!(*world.verdicts.last().unwrap(), (number, Verdict::Run), "a lane is lost");
        }
    }

    #[test]
    fn whoever_is_refused_asks_for_the_most(
        lanes in 1..=3_usize,
        room in 2..=12_usize,
        target_ms in 50..3000_u64,
        weights in prop::collection::vec(1..=4_u32, 4),
        requests in prop::collection::vec(request(4, 3000), 50..300),
    ) {
        let mut world = World::new(lanes, room, Duration::from_millis(target_ms), &weights);
        for request in &requests {
            world.now += Duration::from_millis(request.at_ms % 40);
            while let Some(entry) = world.events.first_entry() && entry.key().0 <= world.now {
                let (key, event) = entry.remove_entry();
                let (now, _) = key;
                let later = std::mem::replace(&mut world.now, now);
                world.produce();
                if let Event::Ends(number) | Event::Leaves(number) = event {
                    world.end(number);
                }
                world.now = later;
            }
            world.produce();
            let before: Vec<Vec<Request>> =
                (0..4).map(|account| world.waiting(account).into_iter().cloned().collect()).collect();
            let owners: HashMap<u64, Request> =
                world.jobs.iter().map(|(number, job)| (*number, job.request.clone())).collect();
            world.verdicts.clear();
            let number = world.arrive(Request { leaves_ms: None, ..request.clone() }, false);
            world.check();
            let (own, weight) = (&before[request.account as usize], u64::from(weights[request.account as usize]));
            let tokens = |of: &[Request]| of.iter().map(|one| u64::from(one.prompt + COMPLETION_MOST)).sum::<u64>();
            let mut mine = tokens(own) + u64::from(request.prompt + COMPLETION_MOST);
            let mut own_most = own.len() as u64 + 1;
            for (refused, verdict) in &world.verdicts {
                if let Some(owner) = owners.get(refused).filter(|owner| owner.account == request.account) {
                    mine -= u64::from(owner.prompt + COMPLETION_MOST);
                    own_most -= 1;
                }
                let Some(owner) = owners.get(refused).filter(|owner| *refused != number && owner.account != request.account) else {
                    continue;
                };
                let (theirs, their_weight) = (&before[owner.account as usize], u64::from(weights[owner.account as usize]));
                prop_assert!(theirs.len() >= 2, "the only one was pushed out");
                match verdict {
                    // Its only request pushes out what is below its own share too.
                    Verdict::Full { .. } if own_most > 1 => {
                        prop_assert!(theirs.len() as u64 * weight > own_most * their_weight);
                    }
                    Verdict::Shed { .. } if own_most > 1 => {
                        prop_assert!(tokens(theirs) * weight > mine * their_weight);
                    }
                    Verdict::Full { .. } | Verdict::Shed { .. } => {}
                    Verdict::Run | Verdict::Late { .. } | Verdict::Expired => prop_assert!(false, "{verdict:?}"),
                }
            }
            let waiting = (0..4).map(|account| world.waiting(account).len()).sum::<usize>();
            prop_assert!(waiting <= room);
            // An account with nothing in a queue that others fill gets in.
            if own.is_empty() && before.iter().any(|theirs| theirs.len() >= 2) {
                let refused = world.verdicts.iter().any(|told| told.0 == number && matches!(told.1, Verdict::Full { .. }));
                prop_assert!(!refused, "a noisy account kept another out");
            }
        }
    }
}
