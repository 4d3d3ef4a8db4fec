//! Lines for the plugin's author, read with `GET /v1/logs`. What is over the tenant's maximum is dropped.

use crate::bindings::capabilities::riad::logging::logging;

pub use logging::Level;

pub fn log(level: Level, message: &str) {
    logging::log(level, message);
}

pub fn debug(message: &str) {
    log(Level::Debug, message);
}

pub fn info(message: &str) {
    log(Level::Info, message);
}

pub fn warn(message: &str) {
    log(Level::Warn, message);
}

pub fn error(message: &str) {
    log(Level::Error, message);
}
