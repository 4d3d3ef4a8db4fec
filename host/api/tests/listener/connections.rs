//! How many connections are open, and whose are closed for others. Not here: which one it is (`serve/connections.rs`).

use crate::support::{A_WHILE, Wire, options, start};
use axum::{Router, routing::get};
use riad_api::ServeOptions;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

const SHORT: Duration = Duration::from_millis(200);
/// Longer than a connection without a key stays before it makes room for others of its address.
const STAY: Duration = Duration::from_millis(1200);

/// Requests for `/busy`.
#[derive(Clone)]
struct Busy {
    /// A permit for each that has arrived.
    begun: Arc<Semaphore>,
    /// Each takes a permit to end.
    ends: Arc<Semaphore>,
}

impl Busy {
    fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self {
            begun: none(),
            ends: none(),
        }
    }

    async fn begin(&self, wire: &mut Wire) {
        wire.get("/busy").await;
        self.begun.acquire().await.unwrap().forget();
    }
}

fn router(busy: &Busy) -> Router {
    let Busy { begun, ends } = busy.clone();
    let busy = async move || {
        begun.add_permits(1);
        ends.acquire().await.unwrap().forget();
        "done"
    };
    Router::new()
        .route("/", get(async || "hello"))
        .route("/busy", get(busy))
}

async fn hello(wire: &mut Wire) {
    wire.get("/").await;
    wire.until("hello").await;
}

#[tokio::test]
async fn a_full_server_closes_the_longest_idle_connection() {
    let two = ServeOptions {
        max_connections: 2,
        ..options()
    };
    let (_serving, _, address) = start(&router(&Busy::new()), two).await;
    let (mut silent, mut idle) = (Wire::open(address).await, Wire::open(address).await);
    hello(&mut silent).await;
    hello(&mut idle).await;
    hello(&mut silent).await;
    let mut newcomer = Wire::open(address).await;
    hello(&mut newcomer).await;
    assert_eq!(idle.rest().await, "", "closed");
    hello(&mut silent).await;
    hello(&mut newcomer).await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_while_all_are_busy() {
    let one = ServeOptions {
        max_connections: 1,
        ..options()
    };
    let busy = Busy::new();
    let (_serving, _, address) = start(&router(&busy), one).await;
    let mut first = Wire::open(address).await;
    busy.begin(&mut first).await;
    let mut second = Wire::open(address).await;
    second.get("/").await;
    assert!(timeout(A_WHILE, second.until("hello")).await.is_err());
    // The first one's request is not lost, and its end makes room.
    busy.ends.add_permits(1);
    first.until("done").await;
    second.until("hello").await;
    assert_eq!(first.rest().await, "", "closed");
}

#[tokio::test]
async fn an_address_whose_connections_are_busy_gets_no_more() {
    let bound = ServeOptions {
        max_connections_per_address: 2,
        ..options()
    };
    let busy = Busy::new();
    let (_serving, _, address) = start(&router(&busy), bound).await;
    let (mut first, mut second) = (Wire::open(address).await, Wire::open(address).await);
    busy.begin(&mut first).await;
    busy.begin(&mut second).await;
    assert_eq!(Wire::open(address).await.rest().await, "", "refused");
    busy.ends.add_permits(2);
    first.until("done").await;
    second.until("done").await;
    assert_eq!(
        Wire::open(address).await.rest().await,
        "",
        "they are not idle for long enough"
    );
    sleep(STAY).await;
    hello(&mut Wire::open(address).await).await;
}

#[tokio::test]
async fn a_client_without_a_key_may_be_silent_for_a_short_time() {
    let bound = ServeOptions {
        anonymous_idle_timeout: SHORT,
        ..options()
    };
    let (_serving, _, address) = start(&router(&Busy::new()), bound).await;
    let mut wire = Wire::open(address).await;
    hello(&mut wire).await;
    sleep(SHORT / 4).await;
    hello(&mut wire).await;
    assert_eq!(wire.rest().await, "", "closed");
}
