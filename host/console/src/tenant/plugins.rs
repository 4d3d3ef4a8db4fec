pub(crate) mod logs;
