//! The console without a browser: who sees which page, what its forms change, and that what people wrote stays text. Not here: how pages look and
//! what scripts do.

mod access;
mod downloads;
mod forms;
mod pages;
mod playground;
mod reader;
mod untrusted;
