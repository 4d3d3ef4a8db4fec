//! What follows a deletion, so that no byte of it stays in the room's folder. SQLite overwrites what it frees in `room.db` (`sqlite`), but the
//! pages as they were before stay in the write-ahead log, and vectors in the file of the index.
//!
//! The log is emptied before the deletion is answered. If a reader is in the way, a task tries again every second until the reader is gone.
//! The index is built again and written without the removed vectors some time later, once for all deletions until then: after 15 seconds, and a
//! second more for each 100 vectors, so that it takes about a hundredth of a core. A room that is closed before that writes it if it is small, and
//! else removes the file. What a crash leaves is erased after the room's next opening.

use crate::{error::run_with_permit, room::RoomState};
use riad_core::ErrorKind;
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::{runtime::Handle, time};

const STEP: Duration = Duration::from_secs(1);
/// After so many steps the index is written, and one more for so many vectors.
const INDEX_STEPS: usize = 15;
const VECTORS_PER_STEP: usize = 100;

/// Called after a deletion has been committed. Blocks.
pub(crate) fn erase(room: &Arc<RoomState>) {
    room.erasing.log.store(true, Ordering::SeqCst);
    empty_log(room);
    erase_later(room);
}

/// As [`erase`], for what is deleted often: its bytes stay in the log for a second or two.
pub(crate) fn erase_soon(room: &Arc<RoomState>) {
    room.erasing.log.store(true, Ordering::SeqCst);
    erase_later(room);
}

/// Leaves what is still to be erased to a task, if there is any. Outside a runtime, the next deletion or the next opening does it.
pub(crate) fn erase_later(room: &Arc<RoomState>) {
    if !is_pending(room) || room.erasing.task.swap(true, Ordering::SeqCst) {
        return;
    }
    match Handle::try_current() {
        // It ends when everything is erased or the room is closed.
        Ok(runtime) => drop(runtime.spawn(run(Arc::downgrade(room)))),
        Err(_) => room.erasing.task.store(false, Ordering::SeqCst),
    }
}

fn is_pending(room: &RoomState) -> bool {
    room.erasing.log.load(Ordering::SeqCst) || room.indexes.has_deleted()
}

async fn run(room: Weak<RoomState>) {
    let mut steps = 0_usize;
    loop {
        steps += 1;
        time::sleep(STEP).await;
        let Some(room) = room.upgrade() else { return };
        let again = Arc::clone(&room);
        let worked = run_with_permit(&again.database.write_permits, move || {
            empty_log(&room);
            let cost = room.indexes.cost_of_saving();
            if steps >= INDEX_STEPS + cost / VECTORS_PER_STEP && room.indexes.has_deleted() {
                room.save_indexes()?;
            }
            if !is_pending(&room) {
                room.erasing.task.store(false, Ordering::SeqCst);
                // A deletion that came in between has seen the task.
                erase_later(&room);
                return Ok(false);
            }
            Ok(true)
        });
        match worked.await {
            Ok(true) => {}
            Ok(false) => return,
            // The room is closed, which has erased it.
            Err(error) if error.kind() == ErrorKind::Unavailable => return,
            Err(error) => {
                again.erasing.task.store(false, Ordering::SeqCst);
                tracing::warn!(%error, "what was deleted from a room was not erased; the next deletion or opening tries again");
                return;
            }
        }
    }
}

fn empty_log(room: &RoomState) {
    if !room.erasing.log.swap(false, Ordering::SeqCst) {
        return;
    }
    match room.database.empty_log() {
        Ok(true) => {}
        Ok(false) => room.erasing.log.store(true, Ordering::SeqCst),
        Err(error) => {
            room.erasing.log.store(true, Ordering::SeqCst);
            tracing::warn!(%error, "the log of a room was not emptied after a deletion; it is tried again");
        }
    }
}
