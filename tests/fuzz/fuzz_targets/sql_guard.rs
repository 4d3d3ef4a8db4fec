//! A plugin's statements, one a line, on a fresh store. Whatever they say, the store answers as to a plugin's author, writes
//! no other file, and the next statement runs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use riad_core::{ErrorKind, Limits};
use riad_store::fuzzing::PluginSql;
use std::{fs, path::Path, sync::LazyLock};

const STATEMENTS_MAX: usize = 8;
const DATABASE: &str = "plugin.db";

/// The working folder too, so that a file with a relative name would be found in it.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    std::env::set_current_dir(folder.path()).expect("the folder can be entered");
    folder
});

fuzz_target!(|script: &str| {
    let folder = FOLDER.path();
    empty(folder);
    let limits = Limits {
        sql_ms: 50,
        sql_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let store = PluginSql::open(&folder.join(DATABASE), limits).expect("a new store can be opened");
    for sql in script.split('\n').take(STATEMENTS_MAX) {
        for error in [store.execute(sql).err(), store.query(sql).err()].into_iter().flatten() {
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::InvalidRequest | ErrorKind::PluginLimit),
                "{sql}: {kind:?}: {error}"
            );
        }
        let rows = store.query("SELECT 1").expect("the next statement runs").rows;
        assert_eq!(rows.len(), 1);
    }
    for file in fs::read_dir(folder).expect("the folder can be read") {
        let name = file.expect("the folder can be read").file_name();
        assert!(name.to_string_lossy().starts_with(DATABASE), "{name:?} was written");
    }
});

fn empty(folder: &Path) {
    for file in fs::read_dir(folder).expect("the folder can be read") {
        fs::remove_file(file.expect("the folder can be read").path()).expect("the file can be removed");
    }
}
