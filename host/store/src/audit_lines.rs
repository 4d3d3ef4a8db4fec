//! Lines of the audit log about what the server changed in a room by itself. The room and the log are two databases: a line is kept in the
//! room, in the transaction of the change, until it is in the log. Not here: changes that somebody waits for, whose lines are written
//! before they are answered.

use crate::{
    audit,
    control::Control,
    error::StoreResult,
    sqlite::Database,
    state::{delete_state, get_state, set_state},
};
use riad_core::audit::AuditEntry;
use rusqlite::Connection;

/// In `state`: a JSON array of entries, the oldest first.
const LINES: &str = "audit_lines";

/// In the transaction of the change.
pub(crate) fn keep(room: &Connection, line: AuditEntry) -> StoreResult<()> {
    let mut lines: Vec<AuditEntry> = match get_state(room, LINES)? {
        Some(kept) => serde_json::from_str(&kept)?,
        None => Vec::new(),
    };
    lines.push(line);
    set_state(room, LINES, &serde_json::to_string(&lines)?)
}

/// Moves what the room keeps to the log. What was moved by an attempt that did not end is not written again.
pub(crate) fn move_to_log(room: &Database, control: &Control) -> StoreResult<()> {
    let Some(kept) = room.read(|connection| get_state(connection, LINES))? else {
        return Ok(());
    };
    let lines: Vec<AuditEntry> = serde_json::from_str(&kept)?;
    control.database.write_reserved(|connection| {
        lines.iter().try_for_each(|line| match audit::has(connection, line)? {
            true => Ok(()),
            false => audit::append(connection, line),
        })
    })?;
    room.write_reserved(|connection| match get_state(connection, LINES)? {
        Some(now) if now == kept => delete_state(connection, LINES),
        // Another was kept meanwhile; it is moved by whoever kept it, together with these.
        Some(_) | None => Ok(()),
    })
}
