//! Compiled components on disk, by digest and compiler. Each file has a SHA-256 of its content; a damaged file is ignored.
//!
//! Layout of a file: 8 bytes of magic, 32 bytes of checksum, wasmtime's serialized component.

use crate::kept_files::KeptFiles;
use parking_lot::Mutex;
use riad_core::{Account, Digest, Error, Result};
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wasmtime::{Engine, component::Component};

const MAGIC: &[u8; 8] = b"RIADCWA1";
const CHECKSUM_BYTES: usize = 32;
const EXTENSION: &str = "cwasm";

pub(crate) struct CompileCache {
    folder: PathBuf,
    /// A hash of the compiler's version and settings. Code from another compiler is never loaded.
    compatibility: String,
    next_temporary: AtomicU64,
    kept: Mutex<KeptFiles>,
}

impl CompileCache {
    /// Opens the folder and removes files of interrupted writes and of other compilers, and the oldest beyond `most` bytes.
    pub(crate) fn open(folder: &Path, engine: &Engine, most: u64) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self {
            folder: folder.to_owned(),
            compatibility: format!("{:016x}", hasher.finish()),
            next_temporary: AtomicU64::new(0),
            kept: Mutex::new(KeptFiles::new(most)),
        };
        fs::create_dir_all(folder).map_err(Error::internal)?;
        cache.clear_unusable().map_err(Error::internal)?;
        for (digest, bytes) in cache.by_age().map_err(Error::internal)? {
            cache.keep(digest, bytes, None);
        }
        Ok(cache)
    }

    /// The compiled component, if it is cached and undamaged, for this account.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest, account: Option<Account>) -> Option<Component> {
        let path = self.path(digest);
        let file = fs::read(&path).ok()?;
        let Some(code) = self.verify(digest, &file) else {
            tracing::warn!(path = %path.display(), "a compiled component is damaged and will be compiled again");
            return None;
        };
        self.record_use(digest, account);
        deserialize(engine, code)
            .inspect_err(|error| tracing::warn!(error = format!("{error:#}"), "a compiled component cannot be loaded"))
            .ok()
    }

    /// Stores compiled code, and removes what there is no room for. A failure costs another compilation later, not this request.
    pub(crate) fn store(&self, digest: &Digest, code: &[u8], account: Option<Account>) {
        match self.write(digest, code) {
            Ok(bytes) => self.keep(*digest, bytes, account),
            Err(error) => tracing::warn!(%error, "a compiled component could not be stored"),
        }
    }

    /// The component was used from memory.
    pub(crate) fn record_use(&self, digest: &Digest, account: Option<Account>) {
        self.kept.lock().used(digest, account);
    }

    /// The server's own component is never removed.
    pub(crate) fn pin(&self, digest: &Digest) {
        self.kept.lock().pin(digest);
    }

    fn keep(&self, digest: Digest, bytes: u64, account: Option<Account>) {
        let mut kept = self.kept.lock();
        for removed in kept.insert(digest, bytes, account) {
            // With the lock: nobody has written the same file again.
            if let Err(error) = fs::remove_file(self.path(&removed)) {
                tracing::warn!(%error, digest = %removed, "a compiled component could not be removed");
            }
        }
    }

    /// The files of this compiler, the oldest first.
    fn by_age(&self) -> std::io::Result<Vec<(Digest, u64)>> {
        let ending = format!("-{}.{EXTENSION}", self.compatibility);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if let Some(digest) = name
                .strip_suffix(&ending)
                .and_then(|hex| format!("sha256:{hex}").parse().ok())
            {
                let metadata = entry.metadata()?;
                files.push((metadata.modified()?, digest, metadata.len()));
            }
        }
        files.sort_unstable_by_key(|(modified, ..)| *modified);
        Ok(files.into_iter().map(|(_, digest, bytes)| (digest, bytes)).collect())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = format!("{}-{}.{EXTENSION}", digest.hex(), self.compatibility);
        self.folder.join(name)
    }

    fn verify<'a>(&self, digest: &Digest, file: &'a [u8]) -> Option<&'a [u8]> {
        let rest = file.strip_prefix(MAGIC)?;
        let (checksum, code) = rest.split_at_checked(CHECKSUM_BYTES)?;
        (checksum == self.checksum(digest, code)).then_some(code)
    }

    /// Includes the names, so that a renamed file is not accepted.
    fn checksum(&self, digest: &Digest, code: &[u8]) -> [u8; CHECKSUM_BYTES] {
        *Digest::of_parts(&[digest.as_bytes(), self.compatibility.as_bytes(), code]).as_bytes()
    }

    /// Returns the file's bytes.
    fn write(&self, digest: &Digest, code: &[u8]) -> std::io::Result<u64> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!("{}-{number}.tmp", digest.hex()));
        let written = (|| {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&self.checksum(digest, code))?;
            file.write_all(code)?;
            file.sync_all()?;
            fs::rename(&temporary, self.path(digest))?;
            Ok((MAGIC.len() + CHECKSUM_BYTES + code.len()) as u64)
        })();
        if written.is_err() {
            // If this fails, the next start removes it.
            drop(fs::remove_file(&temporary));
        }
        written
    }

    fn clear_unusable(&self) -> std::io::Result<()> {
        let ending = format!("-{}.{EXTENSION}", self.compatibility);
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.ends_with(".tmp") || name.ends_with(".cwasm");
            if is_ours && !name.ends_with(&ending) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Only for code that our own compiler has made: now, in this process or its child, or earlier and unchanged since.
pub(crate) fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "deserializing runs whatever code is in the bytes, and there is no safe way to do it"
    )]
    // SAFETY: the bytes come from `Engine::precompile_component`: either just now, from this process or from a child that runs
    // the same program, or from a file whose checksum over name, compiler and content has shown that it is unchanged. Nothing
    // but this process writes to the folder, which lies in the server's private data.
    unsafe {
        Component::deserialize(engine, code)
    }
}
