//! A disk for SQLite that loses what was not synced when the process is killed, or is full for a while: a layer over SQLite's own files, to be
//! put in before the first database is opened. Not here: files that are written without SQLite.
//!
//! What is written stays in the memory of the process until it is synced, in blocks of 512 bytes. Some blocks go to the disk at once, as an
//! operating system may choose: then writes are lost out of order.
#![expect(unsafe_code, reason = "SQLite takes its files as C functions")]

use crate::random::Random;
use rusqlite::ffi;
use std::{
    collections::{BTreeMap, HashMap},
    ffi::{CStr, CString, c_char, c_int, c_void},
    mem,
    path::PathBuf,
    ptr, slice,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

const BLOCK: u64 = 512;

static FULL: AtomicBool = AtomicBool::new(false);
static UNSYNCED: AtomicBool = AtomicBool::new(false);
static NEVER: AtomicBool = AtomicBool::new(false);
static RESERVE: OnceLock<(PathBuf, u64)> = OnceLock::new();
static LAYER: OnceLock<Layer> = OnceLock::new();

struct Layer {
    base: usize,
    methods: ffi::sqlite3_io_methods,
    /// By path: all connections of the process see the same.
    files: Mutex<HashMap<CString, Arc<Mutex<Unsynced>>>>,
    random: Mutex<Random>,
}

/// What a file has that is not on the disk.
struct Unsynced {
    blocks: BTreeMap<u64, [u8; BLOCK as usize]>,
    length: i64,
    /// The least length that it had since it was synced.
    cut: i64,
}

/// SQLite allocates it, with the file of the layer below behind it.
#[repr(C)]
struct FileOfLayer {
    base: ffi::sqlite3_file,
    /// `Arc::into_raw`; null of temporary files, which go straight through.
    unsynced: *const Mutex<Unsynced>,
}

pub fn set_full(full: bool) {
    FULL.store(full, Ordering::SeqCst);
}

pub fn is_full() -> bool {
    FULL.load(Ordering::SeqCst)
}

/// `good`; `unsynced`, which loses what was not synced; `never`, which does not sync either; or `full`, which is full when it is told so
/// and the store has not given up anything of what it keeps for that: the file `reserve` of so many bytes.
pub fn install(kind: &str, seed: u64, reserve: (PathBuf, u64)) {
    assert!(RESERVE.set(reserve).is_ok());
    if kind == "good" {
        return;
    }
    UNSYNCED.store(kind == "unsynced" || kind == "never", Ordering::SeqCst);
    NEVER.store(kind == "never", Ordering::SeqCst);
    // SAFETY: the store has opened no database yet. What is registered lives as long as the process.
    unsafe {
        let base = ffi::sqlite3_vfs_find(ptr::null());
        assert!(!base.is_null());
        let methods = ffi::sqlite3_io_methods {
            iVersion: 2,
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            xLock: Some(lock),
            xUnlock: Some(unlock),
            xCheckReservedLock: Some(check_reserved_lock),
            xFileControl: Some(file_control),
            xSectorSize: Some(sector_size),
            xDeviceCharacteristics: Some(device_characteristics),
            xShmMap: Some(shm_map),
            xShmLock: Some(shm_lock),
            xShmBarrier: Some(shm_barrier),
            xShmUnmap: Some(shm_unmap),
            xFetch: None,
            xUnfetch: None,
        };
        let layer = Layer {
            base: base as usize,
            methods,
            files: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
        };
        assert!(LAYER.set(layer).is_ok());
        let mut vfs = *base;
        vfs.szOsFile += c_int::try_from(mem::size_of::<FileOfLayer>()).unwrap();
        vfs.zName = c"riad-test".as_ptr();
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        assert_eq!(
            ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1),
            ffi::SQLITE_OK
        );
    }
}

fn layer() -> &'static Layer {
    LAYER.get().unwrap()
}

fn base_vfs() -> *mut ffi::sqlite3_vfs {
    layer().base as *mut ffi::sqlite3_vfs
}

/// The file of the layer below.
///
/// # Safety
/// `file` must be one that `open` has opened.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite allocated both in one piece, by `szOsFile`.
    unsafe { file.cast::<FileOfLayer>().add(1).cast() }
}

/// Calls a method of the file below.
macro_rules! forward {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite passes a file that `open` has opened, and what the method takes.
        unsafe {
            let file = below($file);
            ((*(*file).pMethods).$method.unwrap())(file $(, $argument)*)
        }
    }};
}

/// What is unsynced of a file; `None` if it goes straight through.
///
/// # Safety
/// `file` must be one that `open` has opened.
unsafe fn unsynced<'f>(file: *mut ffi::sqlite3_file) -> Option<&'f Mutex<Unsynced>> {
    // SAFETY: it lives until the file is closed.
    unsafe { (*file.cast::<FileOfLayer>()).unsynced.as_ref() }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes memory of `szOsFile` bytes, and names that end with a zero.
    unsafe {
        (*file).pMethods = ptr::null();
        let below = below(file);
        let code = ((*base_vfs()).xOpen.unwrap())(base_vfs(), name, below, flags, out);
        if code != ffi::SQLITE_OK {
            return code;
        }
        let is_temporary = name.is_null() || flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        (*file.cast::<FileOfLayer>()).unsynced = match is_temporary || !UNSYNCED.load(Ordering::SeqCst) {
            true => ptr::null(),
            false => {
                let mut length = 0;
                ((*(*below).pMethods).xFileSize.unwrap())(below, &raw mut length);
                let mut files = layer().files.lock().unwrap();
                let shared = files.entry(CStr::from_ptr(name).to_owned()).or_insert_with(|| {
                    Arc::new(Mutex::new(Unsynced {
                        blocks: BTreeMap::new(),
                        length,
                        cut: length,
                    }))
                });
                Arc::into_raw(Arc::clone(shared))
            }
        };
        (*file).pMethods = &raw const layer().methods;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite passes a name that ends with a zero.
    unsafe {
        layer().files.lock().unwrap().remove(CStr::from_ptr(name));
        ((*base_vfs()).xDelete.unwrap())(base_vfs(), name, sync)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made it, and SQLite closes a file once. What others have open keeps its own reference, and the map one.
    unsafe {
        let unsynced = (*file.cast::<FileOfLayer>()).unsynced;
        if !unsynced.is_null() {
            drop(Arc::from_raw(unsynced));
        }
    }
    forward!(file, xClose)
}

/// Reads from the file below, and zeros after its end.
fn read_below(file: *mut ffi::sqlite3_file, bytes: &mut [u8], at: u64) -> c_int {
    let code = forward!(
        file,
        xRead,
        bytes.as_mut_ptr().cast(),
        c_int::try_from(bytes.len()).unwrap(),
        at.cast_signed()
    );
    if code == ffi::SQLITE_IOERR_SHORT_READ {
        ffi::SQLITE_OK
    } else {
        code
    }
}

fn write_below(file: *mut ffi::sqlite3_file, bytes: &[u8], at: u64) -> c_int {
    forward!(
        file,
        xWrite,
        bytes.as_ptr().cast(),
        c_int::try_from(bytes.len()).unwrap(),
        at.cast_signed()
    )
}

/// A block as the process sees it.
fn block(file: *mut ffi::sqlite3_file, unsynced: &Unsynced, number: u64) -> Result<[u8; BLOCK as usize], c_int> {
    if let Some(block) = unsynced.blocks.get(&number) {
        return Ok(*block);
    }
    let mut bytes = [0; BLOCK as usize];
    let start = number * BLOCK;
    // What was cut off is on the disk until the next sync.
    let visible = unsynced.cut.cast_unsigned().saturating_sub(start).min(BLOCK);
    let visible = usize::try_from(visible).unwrap();
    match read_below(file, &mut bytes[..visible], start) {
        ffi::SQLITE_OK => Ok(bytes),
        code => Err(code),
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: `open` has opened it.
    let Some(unsynced) = (unsafe { unsynced(file) }) else {
        return forward!(file, xRead, to, bytes, at);
    };
    // SAFETY: SQLite passes as many bytes as it says.
    let to = unsafe { slice::from_raw_parts_mut(to.cast::<u8>(), usize::try_from(bytes).unwrap()) };
    let unsynced = unsynced.lock().unwrap();
    for (offset, byte_at) in (0..to.len()).map(|offset| (offset, at.cast_unsigned() + offset as u64)) {
        // Block by block: the others are copied with their first byte.
        if offset != 0 && byte_at % BLOCK != 0 {
            continue;
        }
        let block = match block(file, &unsynced, byte_at / BLOCK) {
            Ok(block) => block,
            Err(code) => return code,
        };
        let from = usize::try_from(byte_at % BLOCK).unwrap();
        let count = (block.len() - from).min(to.len() - offset);
        to[offset..offset + count].copy_from_slice(&block[from..from + count]);
    }
    let there = usize::try_from((unsynced.length - at).max(0)).unwrap();
    if there < to.len() {
        to[there..].fill(0);
        return ffi::SQLITE_IOERR_SHORT_READ;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, bytes: c_int, at: i64) -> c_int {
    let (reserve, whole) = RESERVE.get().unwrap();
    if is_full() && reserve.metadata().is_ok_and(|found| found.len() == *whole) {
        return ffi::SQLITE_FULL;
    }
    // SAFETY: `open` has opened it.
    let Some(unsynced) = (unsafe { unsynced(file) }) else {
        return forward!(file, xWrite, from, bytes, at);
    };
    // SAFETY: SQLite passes as many bytes as it says.
    let from = unsafe { slice::from_raw_parts(from.cast::<u8>(), usize::try_from(bytes).unwrap()) };
    let mut unsynced = unsynced.lock().unwrap();
    let (start, end) = (at.cast_unsigned(), at.cast_unsigned() + from.len() as u64);
    for number in start / BLOCK..end.div_ceil(BLOCK) {
        let mut block = match block(file, &unsynced, number) {
            Ok(block) => block,
            Err(code) => return code,
        };
        let (first, last) = ((number * BLOCK).max(start), ((number + 1) * BLOCK).min(end));
        let part = |at: u64, of: u64| usize::try_from(at - of).unwrap();
        block[part(first, number * BLOCK)..part(last, number * BLOCK)]
            .copy_from_slice(&from[part(first, start)..part(last, start)]);
        unsynced.blocks.insert(number, block);
        if layer().random.lock().unwrap().below(8) == 0 {
            let length = usize::try_from(BLOCK.min(end.max(unsynced.length.cast_unsigned()) - number * BLOCK)).unwrap();
            write_below(file, &block[..length], number * BLOCK);
        }
    }
    unsynced.length = unsynced.length.max(end.cast_signed());
    ffi::SQLITE_OK
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: `open` has opened it.
    let Some(unsynced) = (unsafe { unsynced(file) }) else {
        return forward!(file, xTruncate, length);
    };
    let mut unsynced = unsynced.lock().unwrap();
    let blocks = length.cast_unsigned().div_ceil(BLOCK);
    drop(unsynced.blocks.split_off(&blocks));
    unsynced.length = length;
    unsynced.cut = unsynced.cut.min(length);
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    if NEVER.load(Ordering::SeqCst) {
        return ffi::SQLITE_OK;
    }
    // SAFETY: `open` has opened it.
    if let Some(unsynced) = unsafe { unsynced(file) } {
        let mut unsynced = unsynced.lock().unwrap();
        if unsynced.cut < unsynced.length || unsynced.length == 0 || !unsynced.blocks.is_empty() {
            let code = forward!(file, xTruncate, unsynced.cut);
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        for (number, block) in mem::take(&mut unsynced.blocks) {
            let start = number * BLOCK;
            let length = BLOCK.min(unsynced.length.cast_unsigned().saturating_sub(start));
            let code = write_below(file, &block[..usize::try_from(length).unwrap()], start);
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        let code = forward!(file, xTruncate, unsynced.length);
        if code != ffi::SQLITE_OK {
            return code;
        }
        unsynced.cut = unsynced.length;
    }
    forward!(file, xSync, flags)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, bytes: *mut i64) -> c_int {
    // SAFETY: `open` has opened it.
    let Some(unsynced) = (unsafe { unsynced(file) }) else {
        return forward!(file, xFileSize, bytes);
    };
    // SAFETY: SQLite passes where the answer goes.
    unsafe { *bytes = unsynced.lock().unwrap().length };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // Hints of sizes would change the file below.
    match operation {
        ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE => ffi::SQLITE_OK,
        _ => forward!(file, xFileControl, operation, argument),
    }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // It promises nothing.
    0
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file, xShmMap, page, bytes, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    forward!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    forward!(file, xShmBarrier)
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    forward!(file, xShmUnmap, delete)
}
