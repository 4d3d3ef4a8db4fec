#[derive(Clone, Copy)]
pub(crate) enum Page {
    Playground,
    Documents,
    Plugins,
    Adapters,
    Usage,
    Keys,
    Receipts,
}
