//! How far a listener has shut down, as all of its connections see it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownStage {
    Serving,
    /// Nothing is in flight: idle connections close.
    Closing,
    /// Everything that is left is dropped.
    Aborting,
}
