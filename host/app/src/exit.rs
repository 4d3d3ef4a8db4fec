//! The exit code of each [`ErrorKind`].

use riad_core::ErrorKind;

/// A command line that cannot be parsed; clap uses the same number.
pub const USAGE: u8 = 2;

/// The exit code of a command that failed. 0 is success; every kind has a code of its own.
#[must_use]
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Internal => 1,
        ErrorKind::InvalidRequest => USAGE,
        ErrorKind::Unauthenticated => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::ModelNotFound => 5,
        ErrorKind::Conflict => 6,
        ErrorKind::TooLarge => 7,
        ErrorKind::ContextTooLong => 8,
        ErrorKind::Busy => 9,
        ErrorKind::QuotaExceeded => 10,
        ErrorKind::PluginFailed => 11,
        ErrorKind::PluginLimit => 12,
        ErrorKind::Timeout => 13,
        ErrorKind::Unavailable => 14,
        ErrorKind::Forbidden => 15,
        ErrorKind::StorageFull => 16,
        ErrorKind::AdapterFailed => 17,
        ErrorKind::UnsupportedFile => 18,
        ErrorKind::UnreadableFile => 19,
        ErrorKind::Misdirected => 20,
        // What a shell reports for a program that SIGINT ended.
        ErrorKind::Cancelled => 130,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_code_of_its_own_and_none_is_success() {
        let kinds = [
            ErrorKind::InvalidRequest,
            ErrorKind::ContextTooLong,
            ErrorKind::Unauthenticated,
            ErrorKind::Forbidden,
            ErrorKind::Misdirected,
            ErrorKind::NotFound,
            ErrorKind::ModelNotFound,
            ErrorKind::Conflict,
            ErrorKind::TooLarge,
            ErrorKind::Busy,
            ErrorKind::QuotaExceeded,
            ErrorKind::StorageFull,
            ErrorKind::UnsupportedFile,
            ErrorKind::UnreadableFile,
            ErrorKind::PluginFailed,
            ErrorKind::PluginLimit,
            ErrorKind::AdapterFailed,
            ErrorKind::Cancelled,
            ErrorKind::Timeout,
            ErrorKind::Unavailable,
            ErrorKind::Internal,
        ];
        let codes: BTreeSet<u8> = kinds.iter().map(|kind| code(*kind)).collect();
        assert_eq!(codes.len(), kinds.len());
        assert!(!codes.contains(&0));
    }
}
