//! SQLite's allocator, which bounds what a plugin's statement may have: the statement that asks for more fails with `SQLITE_NOMEM`, and
//! nobody else's. SQLite's own heap limits hold for the whole process, where one statement would take the memory of all others.
//!
//! A statement runs on one thread from its beginning to its end, so that it is the thread that is counted.
#![expect(
    unsafe_code,
    reason = "SQLite takes its allocator as C functions, which give out memory"
)]

use rusqlite::{Connection, ffi};
use std::{
    alloc::{Layout, alloc, dealloc, realloc},
    cell::Cell,
    ffi::{c_int, c_void},
    ptr,
    sync::Once,
};

/// SQLite wants memory that is aligned to 8 bytes; the size of each piece stands before it.
const ALIGN: usize = 16;
const HEADER: usize = ALIGN;

thread_local! {
    /// Bytes that the statement on this thread may still take; `None` if there is no such statement.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Bytes that a connection takes for pages, its schema and its statements, as SQLite counts them.
pub(crate) fn of_connection(connection: &Connection) -> u64 {
    let kinds = [
        ffi::SQLITE_DBSTATUS_CACHE_USED,
        ffi::SQLITE_DBSTATUS_SCHEMA_USED,
        ffi::SQLITE_DBSTATUS_STMT_USED,
    ];
    let used = |kind| {
        let (mut now, mut most) = (0, 0);
        // SAFETY: the handle lives as long as the connection, which nobody else uses: it is not `Sync`. SQLite writes the two numbers.
        let failed = unsafe { ffi::sqlite3_db_status(connection.handle(), kind, &raw mut now, &raw mut most, 0) };
        match failed {
            ffi::SQLITE_OK => u64::try_from(now).unwrap_or(0),
            _ => 0,
        }
    };
    kinds.into_iter().map(used).sum()
}

/// Bounds what SQLite takes on this thread until it is dropped.
pub(crate) struct Bound(());

impl Bound {
    pub(crate) fn begin(bytes: u64) -> Self {
        LEFT.set(Some(usize::try_from(bytes).unwrap_or(usize::MAX)));
        Self(())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// To be called before the first connection is opened. Later, and if another part of the process has opened one by itself, SQLite keeps the
/// allocator that it has, which is logged: then statements have no bound.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let methods = ffi::sqlite3_mem_methods {
            xMalloc: Some(allocate),
            xFree: Some(free),
            xRealloc: Some(reallocate),
            xSize: Some(size),
            xRoundup: Some(round_up),
            xInit: Some(begin),
            xShutdown: Some(end),
            pAppData: ptr::null_mut(),
        };
        // SAFETY: SQLite copies the struct that the argument points to, and its functions live as long as the process. `Once` keeps other
        // calls of this function out; SQLite itself refuses the call once it is in use.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw const methods) };
        if code != ffi::SQLITE_OK {
            tracing::warn!(
                code,
                "SQLite was in use before its allocator could be set: the memory of plugins' statements has no bound"
            );
        }
    });
}

/// Takes bytes from the statement's bound, if it has so many left.
fn take(bytes: usize) -> bool {
    match LEFT.get() {
        None => true,
        Some(left) => match left.checked_sub(bytes) {
            Some(rest) => {
                LEFT.set(Some(rest));
                true
            }
            None => false,
        },
    }
}

fn give_back(bytes: usize) {
    if let Some(left) = LEFT.get() {
        LEFT.set(Some(left.saturating_add(bytes)));
    }
}

/// Of a piece for so many of SQLite's bytes.
fn layout(bytes: c_int) -> Option<Layout> {
    let bytes = usize::try_from(bytes).ok()?.checked_add(HEADER)?;
    Layout::from_size_align(bytes, ALIGN).ok()
}

unsafe extern "C" fn allocate(bytes: c_int) -> *mut c_void {
    let Some(layout) = layout(bytes).filter(|layout| take(layout.size())) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout has at least the header's bytes.
    let start = unsafe { alloc(layout) };
    if start.is_null() {
        give_back(layout.size());
        return ptr::null_mut();
    }
    // SAFETY: the piece is new, longer than its header, and aligned for it.
    unsafe { with_header(start, layout) }
}

/// Writes the header and returns what comes after it.
///
/// # Safety
/// `start` must begin a piece of this layout, which is longer than its header.
unsafe fn with_header(start: *mut u8, layout: Layout) -> *mut c_void {
    // SAFETY: by this function's contract.
    unsafe {
        start.cast::<usize>().write(layout.size());
        start.add(HEADER).cast()
    }
}

/// Where a piece begins, and its layout.
///
/// # Safety
/// `piece` must be one that `allocate` or `reallocate` returned and nobody has freed.
unsafe fn header(piece: *mut c_void) -> (*mut u8, Layout) {
    // SAFETY: by this function's contract, a header that `with_header` wrote comes before it.
    unsafe {
        let start = piece.cast::<u8>().sub(HEADER);
        let bytes = start.cast::<usize>().read();
        (start, Layout::from_size_align_unchecked(bytes, ALIGN))
    }
}

unsafe extern "C" fn free(piece: *mut c_void) {
    if piece.is_null() {
        return;
    }
    // SAFETY: SQLite frees each piece once.
    unsafe {
        let (start, layout) = header(piece);
        give_back(layout.size());
        dealloc(start, layout);
    }
}

unsafe extern "C" fn reallocate(piece: *mut c_void, bytes: c_int) -> *mut c_void {
    // SAFETY: SQLite passes a piece that it has not freed.
    let (start, old) = unsafe { header(piece) };
    let Some(new) = layout(bytes) else {
        return ptr::null_mut();
    };
    if new.size() > old.size() && !take(new.size() - old.size()) {
        return ptr::null_mut();
    }
    // SAFETY: `start` begins a piece with the layout `old`, and the new size is not 0.
    let moved = unsafe { realloc(start, old, new.size()) };
    if moved.is_null() {
        give_back(new.size().saturating_sub(old.size()));
        return ptr::null_mut();
    }
    give_back(old.size().saturating_sub(new.size()));
    // SAFETY: as for a new piece.
    unsafe { with_header(moved, new) }
}

unsafe extern "C" fn size(piece: *mut c_void) -> c_int {
    if piece.is_null() {
        return 0;
    }
    // SAFETY: SQLite passes a piece that it has not freed.
    let (_, layout) = unsafe { header(piece) };
    c_int::try_from(layout.size() - HEADER).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn round_up(bytes: c_int) -> c_int {
    bytes.saturating_add(7) & !7
}

unsafe extern "C" fn begin(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn end(_: *mut c_void) {}
