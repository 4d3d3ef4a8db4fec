//! Requests for responses and their events, without a server.

mod events;
mod members;
mod pages;
