//! The parts of a request, and a stopwatch on which the ports of `probes` record their calls.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Authorize,
    Prices,
    OpenRoom,
    Pipeline,
    Watermark,
    Start,
    Retrieve,
    Settings,
    HoldQuery,
    Embed,
    Search,
    BuildPrompt,
    OpenFilter,
    Hold,
    Queue,
    Push,
    Finish,
    Entry,
    EndGuests,
}

impl Part {
    /// In the order in which a request comes to them.
    pub const ALL: [Self; 19] = [
        Self::Authorize,
        Self::Prices,
        Self::OpenRoom,
        Self::Pipeline,
        Self::Watermark,
        Self::Start,
        Self::Retrieve,
        Self::Settings,
        Self::HoldQuery,
        Self::Embed,
        Self::Search,
        Self::BuildPrompt,
        Self::OpenFilter,
        Self::Hold,
        Self::Queue,
        Self::Push,
        Self::Finish,
        Self::Entry,
        Self::EndGuests,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize: find the key",
            Self::Prices => "admit: find the prices",
            Self::OpenRoom => "open the room",
            Self::Pipeline => "read its pipeline",
            Self::Watermark => "read its watermark",
            Self::Start => "start the guests",
            Self::Retrieve => "guest: retrieve, of that:",
            Self::Settings => "- read the settings",
            Self::HoldQuery => "- hold the query's tokens",
            Self::Embed => "- embed the query",
            Self::Search => "- search the room",
            Self::BuildPrompt => "guest: build the prompt",
            Self::OpenFilter => "guest: open the filter, while:",
            Self::Hold => "hold the request's tokens",
            Self::Queue => "queue",
            Self::Push => "guest: filter the pieces",
            Self::Finish => "guest: end the filter",
            Self::Entry => "settle: the entry to the disk",
            Self::EndGuests => "end the guests",
        }
    }
}

/// A call: when it began and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    pub part: Part,
    pub begun: Instant,
    pub time: Duration,
}

/// The calls since it was last read. Clones are one.
#[derive(Clone, Default)]
pub struct Stopwatch(Arc<Mutex<Vec<Lap>>>);

impl Stopwatch {
    pub fn time_now<T>(&self, part: Part, call: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = call();
        self.write(part, begun);
        result
    }

    pub async fn time<T>(&self, part: Part, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = call.await;
        self.write(part, begun);
        result
    }

    pub fn write(&self, part: Part, begun: Instant) {
        let time = begun.elapsed();
        self.0.lock().unwrap().push(Lap { part, begun, time });
    }

    pub fn read(&self) -> Vec<Lap> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}
