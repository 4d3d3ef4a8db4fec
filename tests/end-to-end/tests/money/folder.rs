//! What a killed process leaves on the disk: a copy of the data folder, taken while it is written to.
//! Not here: opening it again (`server`).

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Length of the header of SQLite's write-ahead log: its salts change when the log begins anew
/// (<https://www.sqlite.org/fileformat2.html#walformat>).
const WAL_HEADER: usize = 32;

/// Copies the folder as a kill at this moment would leave it. SQLite reads a database and its write-ahead log together, so that they
/// are copied in an order, and again if the log began anew in between.
pub fn copy_as_killed(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = match entry {
            Ok(entry) => (entry.path(), entry.file_name().into_string().unwrap()),
            Err(_) => continue,
        };
        let target = to.join(&name);
        if path.is_dir() {
            copy_as_killed(&path, &target);
        } else if name.ends_with(".db") {
            copy_database(&path, &target);
        } else if !name.ends_with("-wal") && !name.ends_with("-shm") && name != "lock" {
            // A file that is gone in between was temporary.
            let _ = fs::copy(&path, &target);
        }
    }
}

fn copy_database(from: &Path, to: &Path) {
    for _ in 0..1000 {
        let before = header(from);
        fs::copy(from, to).unwrap();
        let log = fs::read(log(from)).unwrap_or_default();
        if before == log.get(..WAL_HEADER).map(<[u8]>::to_vec) && before == header(from) {
            fs::write(self::log(to), log).unwrap();
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("{} is never still", from.display());
}

fn header(database: &Path) -> Option<Vec<u8>> {
    match fs::read(log(database)) {
        Ok(log) => log.get(..WAL_HEADER).map(<[u8]>::to_vec),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

fn log(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
