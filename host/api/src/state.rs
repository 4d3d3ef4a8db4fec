//! What every handler can reach. Anything that belongs to one request travels in that request's extensions.

use crate::memory::Memory;
use riad_services::Services;

#[derive(Clone)]
pub(crate) struct AppState {
    pub services: Services,
    pub memory: Memory,
}
