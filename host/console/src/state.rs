//! What every handler can reach.

use crate::{sessions::Sessions, streams::Streams};
use riad_api::pages::Pages;
use riad_services::Services;

#[derive(Clone)]
pub(crate) struct ConsoleState {
    pub services: Services,
    pub sessions: Sessions,
    pub streams: Streams,
    pub pages: Pages,
    /// Whether cookies may travel by TLS only.
    pub secure: bool,
}
