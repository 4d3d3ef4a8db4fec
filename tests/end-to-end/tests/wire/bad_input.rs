//! Requests that cannot be served, in tables: status, type, code, the field at fault, and words that say what to change.
//! Each module is a part of the surface; `case` sends and compares. Not here: plugins that misbehave when they run
//! (`hostile_guests`).

mod access;
mod adapters;
mod case;
mod chat;
mod plugins;
mod rooms;
