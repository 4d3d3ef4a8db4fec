//! Which connections are open (`resources::CONNECTIONS`): so many at the same time, and so many of them from one address. Where there is no room, one that is
//! idle is closed: of those without an authenticated request first, then of the address that has the most, the longest idle. It is chosen among
//! some, in turns, because a flood of connections must not cost more for each of them the more there are.
//! Not here: how long a connection may be idle while there is room (`connection`).

use super::request::Activity;
use parking_lot::Mutex;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// How soon connections are looked at again when none was idle.
const RECHECK: Duration = Duration::from_millis(100);
/// Connections among which the one that is closed is chosen, if one of them is idle.
const SAMPLE: usize = 64;
/// Without an authenticated request, for so long a connection does not make room for others of its address. It bounds how many
/// connections a second are served to one address, which refuses the rest for next to nothing: a flood of them would else keep
/// the listener from everybody's.
const ANONYMOUS_STAY: Duration = Duration::from_secs(1);
/// How often the log says that an address has too many.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Connections {
    most: usize,
    most_of_network: usize,
    open: Mutex<Open>,
    ended: Notify,
}

/// Connections that have been told to close are not among them.
#[derive(Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    all: Candidates,
    of_network: HashMap<Network, Candidates>,
    warned: Option<Instant>,
}

/// Connections of which one may be closed.
#[derive(Default)]
struct Candidates {
    numbers: BTreeSet<u64>,
    /// Where the next search begins.
    next: u64,
    /// When all were looked at and none was idle.
    all_busy: Option<Instant>,
}

struct Connection {
    network: Network,
    activity: Arc<Activity>,
}

/// What counts as one address: of IPv6 the part that a provider gives to one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

/// A connection that counts as open until this is dropped.
pub(crate) struct OpenConnection {
    connections: Arc<Connections>,
    number: u64,
}

enum Attempt {
    Opened(u64),
    /// Another may end or become idle.
    Full,
    NetworkFull,
}

impl Connections {
    pub fn new(most: usize, most_of_network: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_network,
            open: Mutex::default(),
            ended: Notify::new(),
        })
    }

    /// Waits for room. `None` if the address has too many connections, and none of them is idle.
    pub async fn open(self: &Arc<Self>, peer: IpAddr, activity: &Arc<Activity>) -> Option<OpenConnection> {
        let network = Network::of(peer);
        loop {
            match self.try_open(network, activity) {
                Attempt::Opened(number) => {
                    return Some(OpenConnection {
                        connections: Arc::clone(self),
                        number,
                    });
                }
                Attempt::NetworkFull => return None,
                Attempt::Full => {}
            }
            // A connection that became idle tells nobody.
            let _ = timeout(RECHECK, self.ended.notified()).await;
        }
    }

    fn try_open(&self, network: Network, activity: &Arc<Activity>) -> Attempt {
        let mut open = self.open.lock();
        if open.count_of(network) >= self.most_of_network && !open.close_idle(Some(network)) {
            open.warn(network, self.most_of_network);
            return Attempt::NetworkFull;
        }
        if open.connections.len() >= self.most && !open.close_idle(None) {
            return Attempt::Full;
        }
        let number = open.next;
        open.next += 1;
        open.all.numbers.insert(number);
        open.of_network.entry(network).or_default().numbers.insert(number);
        let activity = Arc::clone(activity);
        open.connections.insert(number, Connection { network, activity });
        Attempt::Opened(number)
    }
}

impl Candidates {
    /// The first in this order, of some of those that have one.
    fn choose<O: Ord>(&mut self, order: impl Fn(u64) -> Option<O>) -> Option<u64> {
        let mut first = None;
        // Else each connection that is refused would cost a look at all that are open.
        if self.all_busy.is_some_and(|at| at.elapsed() < RECHECK) {
            return None;
        }
        let (before, after) = (self.numbers.range(..self.next), self.numbers.range(self.next..));
        for (looked_at, number) in after.chain(before).enumerate() {
            if looked_at >= SAMPLE && first.is_some() {
                self.next = *number;
                break;
            }
            let found = order(*number).map(|order| (order, *number));
            first = match (first, found) {
                (Some(first), Some(found)) => Some(std::cmp::min(first, found)),
                (first, found) => first.or(found),
            };
        }
        self.all_busy = first.is_none().then(Instant::now);
        first.map(|(_, number)| number)
    }
}

impl Open {
    fn count_of(&self, network: Network) -> usize {
        self.of_network
            .get(&network)
            .map_or(0, |candidates| candidates.numbers.len())
    }

    /// Closes an idle connection, of this network or of any.
    fn close_idle(&mut self, network: Option<Network>) -> bool {
        let mut candidates = match network {
            Some(network) => std::mem::take(self.of_network.entry(network).or_default()),
            None => std::mem::take(&mut self.all),
        };
        let number = candidates.choose(|number| {
            let connection = self.connections.get(&number)?;
            let idle = connection.activity.idle()?;
            let is_recent = !idle.authenticated && idle.since.elapsed() < ANONYMOUS_STAY;
            if network.is_some() && is_recent {
                return None;
            }
            let of_network = self.count_of(connection.network);
            Some((idle.authenticated, Reverse(of_network), idle.since))
        });
        match network {
            Some(network) => drop(self.of_network.insert(network, candidates)),
            None => self.all = candidates,
        }
        let Some(number) = number else {
            return false;
        };
        // It may have got a request in between.
        let closed = self
            .connections
            .get(&number)
            .is_some_and(|connection| connection.activity.close_if_idle());
        if closed {
            self.remove(number);
        }
        closed
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        self.all.numbers.remove(&number);
        if let Some(candidates) = self.of_network.get_mut(&connection.network) {
            candidates.numbers.remove(&number);
            if candidates.numbers.is_empty() {
                self.of_network.remove(&connection.network);
            }
        }
    }

    fn warn(&mut self, network: Network, most: usize) {
        if self.warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                ?network,
                most,
                "connections of an address are refused, because it has limits.connections_per_address of them, all busy; if it is a \
                 proxy of yours, raise that limit"
            );
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.open.lock().remove(self.number);
        self.connections.ended.notify_one();
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::cell::Cell;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A connection that waits for its next request.
    fn idle(authenticated: bool) -> Arc<Activity> {
        let activity = Arc::new(Activity::new());
        if authenticated {
            activity.record_authenticated();
        }
        activity
    }

    async fn open(connections: &Arc<Connections>, peer: &str, activity: &Arc<Activity>) -> Option<OpenConnection> {
        connections.open(address(peer), activity).await
    }

    /// Of connections from these peers, authenticated or not, in the order of their age: which one goes.
    async fn closed_first(peers: &[(&str, bool)]) -> usize {
        let connections = Connections::new(peers.len(), 100);
        let mut activities = Vec::new();
        let mut kept = Vec::new();
        for (peer, authenticated) in peers {
            let activity = idle(*authenticated);
            kept.push(open(&connections, peer, &activity).await.unwrap());
            activities.push(activity);
        }
        for activity in &activities {
            activity.end_grace_for_test();
        }
        kept.push(open(&connections, "10.9.9.9", &idle(false)).await.unwrap());
        assert_eq!(connections.open.lock().connections.len(), peers.len());
        let closed: Vec<_> = activities.iter().map(|activity| activity.is_closed()).collect();
        assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
        closed.iter().position(|closed| *closed).unwrap()
    }

    #[tokio::test]
    async fn the_connection_that_goes_is_the_least_needed() {
        let (one, two) = ("10.0.0.1", "10.0.0.2");
        assert_eq!(closed_first(&[(one, true), (two, true)]).await, 0, "the longest idle");
        assert_eq!(
            closed_first(&[(one, true), (two, false), (two, true)]).await,
            1,
            "one without a key"
        );
        assert_eq!(
            closed_first(&[(one, true), (two, true), (two, true)]).await,
            1,
            "of the address that has the most"
        );
    }

    #[tokio::test]
    async fn newcomers_do_not_close_each_other() {
        let connections = Connections::new(10, 1);
        let (first, second, third) = (idle(false), idle(false), idle(false));
        let _first = open(&connections, "10.0.0.1", &first).await.unwrap();
        assert!(open(&connections, "10.0.0.1", &second).await.is_none());
        assert!(!first.is_closed());
        first.end_grace_for_test();
        tokio::time::sleep(RECHECK).await;
        assert!(open(&connections, "10.0.0.1", &third).await.is_some());
        assert!(first.is_closed());
    }

    #[tokio::test]
    async fn an_address_gives_up_its_own_connections_only() {
        let connections = Connections::new(10, 1);
        let (first, second, other) = (idle(true), idle(true), idle(false));
        let _other = open(&connections, "10.0.0.2", &other).await.unwrap();
        let first_open = open(&connections, "10.0.0.1", &first).await.unwrap();
        let _second = open(&connections, "10.0.0.1", &second).await.unwrap();
        assert!(first.is_closed() && !second.is_closed() && !other.is_closed());
        // The one that was told to close counts no more, also when it has ended.
        drop(first_open);
        assert_eq!(connections.open.lock().of_network.len(), 2);
        assert_eq!(connections.open.lock().connections.len(), 2);
    }

    #[tokio::test]
    async fn busy_connections_are_never_closed() {
        let connections = Connections::new(2, 1);
        let (busy, other) = (idle(true), idle(true));
        let busy_request = busy.request_for_test();
        let busy_open = open(&connections, "10.0.0.1", &busy).await.unwrap();
        assert!(
            open(&connections, "10.0.0.1", &idle(true)).await.is_none(),
            "its address is full"
        );
        let other_request = other.request_for_test();
        let _other_open = open(&connections, "10.0.0.2", &other).await.unwrap();
        let newcomer = idle(false);
        let mut waiting = Box::pin(open(&connections, "10.0.0.3", &newcomer));
        assert!((&mut waiting).now_or_never().is_none(), "all are busy");
        drop(busy_request);
        assert!(waiting.await.is_some(), "one became idle");
        assert!(busy.is_closed() && !other.is_closed());
        drop((busy_open, other_request));
    }

    #[test]
    fn a_choice_looks_at_a_sample_and_at_all_only_if_all_are_busy() {
        let mut candidates = Candidates {
            numbers: (0..1000).collect(),
            ..Candidates::default()
        };
        let looked_at = Cell::new(0);
        let count = |order: Option<u64>| {
            looked_at.set(looked_at.get() + 1);
            order
        };
        assert_eq!(candidates.choose(|number| count(Some(1000 - number))), Some(63));
        assert_eq!(
            candidates.choose(|number| count(Some(1000 - number))),
            Some(127),
            "others"
        );
        assert_eq!(looked_at.replace(0), 2 * SAMPLE);
        assert_eq!(
            candidates.choose(|number| count((number == 5).then_some(1))),
            Some(5),
            "the only one"
        );
        looked_at.set(0);
        assert_eq!(candidates.choose(|_| count(None)), None);
        assert_eq!(looked_at.get(), 1000);
    }

    #[test]
    fn an_ipv6_address_is_its_network() {
        let network = |text: &str| Network::of(address(text));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
    }
}
