//! The `UploadStore` port of a room: files that come in parts. A part lies in the folder of the files, under its digest; joining them makes a
//! file and takes the parts away in one transaction. Not here: what becomes of those that expire (`expired`).

use crate::{
    error::{Failure, StoreResult, run_with_permit},
    expired::delete_expired,
    file_rows,
    files::Written,
    generations::FILES,
    names,
    room::RoomState,
    unfinished::{PieceWriter, UnfinishedFile},
};
use async_trait::async_trait;
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, PartId, Result, Timestamp, UploadId,
    file::{FilePurpose, NewFile},
    ports::{PartWriter, UploadStore},
    upload::{Md5, NewUpload, Upload, UploadPart, UploadStatus},
};
use rusqlite::{Connection, OptionalExtension, Row};
use sha2::Digest as _;
use std::{collections::HashSet, fs::File, io::Read, sync::Arc};

/// Seconds for which parts may come: OpenAI's.
const LIFETIME: u64 = 3_600;
/// Uploads of a room that are pending at the same time.
const PENDING_MAX: i64 = 100;
/// Parts of one upload. It bounds what a sweep reads.
const PARTS_MAX: i64 = 1_000;
/// Bytes in memory while parts are joined.
const COPIED_AT_ONCE: usize = 256 << 10;
pub(crate) const COLUMNS: &str = "number, id, name, purpose, bytes, file_expires_after, created, expires, status, file";

/// A room, and the bytes that it may store.
pub(crate) struct RoomUploads(pub(crate) Arc<RoomState>, pub(crate) u64);

#[async_trait]
impl UploadStore for RoomUploads {
    async fn create(&self, upload: NewUpload) -> Result<Upload> {
        let (room, most) = (self.0.clone(), self.1);
        run_with_permit(&self.0.file_permits, move || create(&room, most, upload)).await
    }

    async fn begin_part(&self, id: &UploadId) -> Result<Box<dyn PartWriter>> {
        let wanted = id.clone();
        // Found before anything of the part is written.
        let found = self
            .0
            .query(move |connection| find_pending(connection, &wanted))
            .await?;
        Ok(Box::new(Writer {
            pieces: PieceWriter::begin(&self.0, self.1, delete_expired).await?,
            upload: id.clone(),
            most: found.bytes,
            bytes: 0,
        }))
    }

    async fn complete(&self, id: &UploadId, parts: &[PartId], md5: Option<Md5>) -> Result<Upload> {
        let (room, most, id, parts) = (self.0.clone(), self.1, id.clone(), parts.to_vec());
        run_with_permit(&self.0.file_permits, move || {
            let joined = join(&room, most, &id, &parts, md5);
            if joined.is_err()
                && let Ok(lock) = room.lock_folder()
            {
                // Whoever ended the upload meanwhile could not delete the parts.
                room.sweep_later(&lock);
            }
            joined
        })
        .await
    }

    async fn cancel(&self, id: &UploadId) -> Result<Upload> {
        let (room, id) = (self.0.clone(), id.clone());
        run_with_permit(&self.0.file_permits, move || {
            let lock = room.lock_folder()?;
            let upload = room.write_reserved(|connection| {
                let upload = find_pending(connection, &id)?;
                end(connection, &upload, UploadStatus::Cancelled, None)
            })?;
            room.sweep_later(&lock);
            Ok(upload)
        })
        .await
    }
}

/// A part while it comes.
struct Writer {
    pieces: PieceWriter,
    upload: UploadId,
    /// Of the whole upload.
    most: u64,
    bytes: u64,
}

#[async_trait]
impl PartWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > self.most {
            return Err(too_many_bytes(&self.upload, self.most));
        }
        self.pieces.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<UploadPart> {
        let id = self.upload;
        self.pieces
            .finish(move |connection, written| insert_part(connection, &id, &written))
            .await
    }
}

fn create(room: &RoomState, most: u64, upload: NewUpload) -> StoreResult<Upload> {
    delete_expired(room)?;
    room.storage(most).check(upload.bytes)?;
    let created = Timestamp::now().as_seconds();
    let stored = Upload {
        id: names::new_upload().parse()?,
        status: UploadStatus::Pending,
        name: upload.name,
        purpose: upload.purpose,
        bytes: upload.bytes,
        created,
        expires: created + LIFETIME,
        file: None,
    };
    room.write(|connection| {
        let pending: i64 = connection
            .prepare_cached("SELECT count(*) FROM uploads WHERE status = 'pending' AND expires > ?1")?
            .query_row([created.cast_signed()], |row| row.get(0))?;
        if pending >= PENDING_MAX {
            let text = format!(
                "{pending} uploads of this tenant are pending, as many as may be; complete or cancel some, or wait until they expire"
            );
            return Err(Error::new(ErrorKind::StorageFull, text).into());
        }
        connection.execute(
            "INSERT INTO uploads (id, name, purpose, bytes, file_expires_after, created, expires, status)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                stored.id.as_str(),
                &stored.name,
                stored.purpose.as_str(),
                stored.bytes.cast_signed(),
                upload.file_expires_after.map(u64::cast_signed),
                stored.created.cast_signed(),
                stored.expires.cast_signed(),
                stored.status.as_str(),
            ),
        )?;
        room.check_quota(connection, most)
    })?;
    Ok(stored)
}

fn insert_part(connection: &Connection, id: &UploadId, written: &Written) -> StoreResult<UploadPart> {
    let upload = find_pending(connection, id)?;
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM upload_parts WHERE upload = ?1")?
        .query_row([upload.number], |row| row.get(0))?;
    if count >= PARTS_MAX {
        let text = format!("the upload {id} has {count} parts, as many as it may have; send larger ones");
        return Err(Error::invalid(text).into());
    }
    // A client that has not seen the answer sends the same part again: it is counted once, as it is stored.
    let others: i64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(bytes), 0) FROM (SELECT max(bytes) AS bytes FROM upload_parts
                WHERE upload = ?1 AND digest <> ?2 GROUP BY digest)",
        )?
        .query_row((upload.number, written.digest.to_string()), |row| row.get(0))?;
    if others.cast_unsigned().saturating_add(written.bytes) > upload.bytes {
        return Err(too_many_bytes(id, upload.bytes).into());
    }
    let part = UploadPart {
        id: names::new_part().parse()?,
        upload: id.clone(),
        created: Timestamp::now().as_seconds(),
    };
    connection.execute(
        "INSERT INTO upload_parts (id, upload, bytes, digest) VALUES (?1, ?2, ?3, ?4)",
        (
            part.id.as_str(),
            upload.number,
            written.bytes.cast_signed(),
            written.digest.to_string(),
        ),
    )?;
    Ok(part)
}

fn too_many_bytes(id: &UploadId, most: u64) -> Error {
    Error::invalid(format!(
        "the upload {id} was announced with {most} bytes, and its parts have more"
    ))
    .with_param("data")
}

/// Copies the parts behind each other. Meanwhile the upload may end, and its parts stay; what has come of it is decided in the transaction.
///
/// What is written is not checked against what the room may store before the parts are gone: the room has room for them, and the disk needs
/// it twice for a moment.
fn join(room: &Arc<RoomState>, most: u64, id: &UploadId, parts: &[PartId], md5: Option<Md5>) -> StoreResult<Upload> {
    let (upload, parts, pins) = find_parts(room, id, parts)?;
    let mut file = UnfinishedFile::create(room)?;
    let mut hash = md5.map(|_| md5::Md5::new());
    let mut buffer = vec![0; COPIED_AT_ONCE];
    for digest in parts {
        let mut part = File::open(room.folder.join(FILES).join(digest.hex()))?;
        loop {
            let read = part.read(&mut buffer)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            file.write(piece)?;
            if let Some(hash) = &mut hash {
                hash.update(piece);
            }
        }
    }
    if file.bytes() != upload.bytes {
        return Err(Failure::Data(format!("parts of {id} have changed their lengths")));
    }
    check_md5(md5, hash)?;
    file.finish(|room, connection, written| {
        // Before the sweep that deletes the parts.
        drop(pins);
        let upload = find_pending(connection, id)?;
        let file = NewFile {
            name: upload.name.clone(),
            purpose: upload.purpose,
            expires: upload
                .file_expires_after
                .map(|seconds| Timestamp::now().as_seconds().saturating_add(seconds)),
        };
        let file = file_rows::insert(connection, file, &written)?;
        let ended = end(connection, &upload, UploadStatus::Completed, Some(file.id.as_str()))?;
        room.check_quota(connection, most)?;
        Ok(Upload {
            file: Some(file),
            ..ended
        })
    })
}

/// A pending upload and its parts, which no sweep deletes while the pins live.
fn find_parts(
    room: &RoomState,
    id: &UploadId,
    parts: &[PartId],
) -> StoreResult<(UploadRow, Vec<Digest>, Vec<Arc<()>>)> {
    let in_parts = |error: Error| error.with_param("part_ids");
    let mut seen = HashSet::new();
    if let Some(twice) = parts.iter().find(|part| !seen.insert(*part)) {
        return Err(in_parts(Error::invalid(format!(
            "part_ids has {twice} twice; name each part once"
        )))
        .into());
    }
    // No part goes between being found and being pinned.
    let _lock = room.lock_folder()?;
    let (upload, digests) = room.database.read(|connection| {
        let upload = find_pending(connection, id)?;
        let mut statement =
            connection.prepare_cached("SELECT digest, bytes FROM upload_parts WHERE upload = ?1 AND id = ?2")?;
        let (mut digests, mut bytes) = (Vec::new(), 0_i64);
        for part in parts {
            let (digest, more) = statement
                .query_row((upload.number, part.as_str()), |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
                })
                .optional()?
                .ok_or_else(|| in_parts(Error::not_found(format!("the upload {id} has no part {part}"))))?;
            digests.push(digest.parse::<Digest>()?);
            bytes = bytes.saturating_add(more);
        }
        if bytes.cast_unsigned() != upload.bytes {
            let text = format!(
                "the parts have {bytes} bytes together, and the upload {id} was announced with {}",
                upload.bytes
            );
            return Err(in_parts(Error::invalid(text)).into());
        }
        Ok((upload, digests))
    })?;
    let pins = digests.iter().map(|digest| room.pins.pin(&digest.hex())).collect();
    Ok((upload, digests, pins))
}

fn check_md5(expected: Option<Md5>, hash: Option<md5::Md5>) -> StoreResult<()> {
    let (Some(expected), Some(hash)) = (expected, hash) else {
        return Ok(());
    };
    let found = Md5::new(hash.finalize().into());
    if found == expected {
        return Ok(());
    }
    let text = format!(
        "the parts' bytes have the MD5 {found}, not {expected}; cancel the upload, and send its bytes as another one"
    );
    Err(Error::invalid(text).with_param("md5").into())
}

/// Its parts are gone with the commit.
fn end(connection: &Connection, upload: &UploadRow, status: UploadStatus, file: Option<&str>) -> StoreResult<Upload> {
    connection
        .prepare_cached("DELETE FROM upload_parts WHERE upload = ?1")?
        .execute([upload.number])?;
    connection
        .prepare_cached("UPDATE uploads SET status = ?2, file = ?3 WHERE number = ?1")?
        .execute((upload.number, status.as_str(), file))?;
    Ok(Upload {
        id: upload.id.clone(),
        status,
        name: upload.name.clone(),
        purpose: upload.purpose,
        bytes: upload.bytes,
        created: upload.created,
        expires: upload.expires,
        file: None,
    })
}

/// `InvalidRequest` for one that has ended.
fn find_pending(connection: &Connection, id: &UploadId) -> StoreResult<UploadRow> {
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1"))?
        .query_row([id.as_str()], |row| Ok(read_row(row)))
        .optional()?;
    let upload = found.ok_or_else(|| Error::not_found(format!("this room has no upload {id}")))??;
    let end = match (upload.status, upload.file) {
        (UploadStatus::Pending, _) if upload.expires > Timestamp::now().as_seconds() => {
            return Ok(UploadRow { file: None, ..upload });
        }
        (UploadStatus::Pending | UploadStatus::Expired, _) => {
            "expired: an upload is completed within an hour; begin another one".to_owned()
        }
        (UploadStatus::Completed, Some(file)) => format!("completed: its file is {file}"),
        (UploadStatus::Completed, None) => "completed".to_owned(),
        (UploadStatus::Cancelled, _) => "cancelled; begin another one".to_owned(),
    };
    Err(Error::invalid(format!("the upload {id} is {end}")).into())
}

struct UploadRow {
    number: i64,
    id: UploadId,
    name: String,
    purpose: FilePurpose,
    bytes: u64,
    file_expires_after: Option<u64>,
    created: u64,
    expires: u64,
    status: UploadStatus,
    file: Option<String>,
}

/// Whether a row of [`COLUMNS`] is one of an upload.
pub(crate) fn check_row(row: &Row<'_>) -> StoreResult<()> {
    read_row(row).map(drop)
}

fn read_row(row: &Row<'_>) -> StoreResult<UploadRow> {
    let status: String = row.get(8)?;
    Ok(UploadRow {
        number: row.get(0)?,
        id: row.get::<_, String>(1)?.parse()?,
        name: row.get(2)?,
        purpose: row.get::<_, String>(3)?.parse()?,
        bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        file_expires_after: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        created: row.get::<_, i64>(6)?.cast_unsigned(),
        expires: row.get::<_, i64>(7)?.cast_unsigned(),
        status: UploadStatus::ALL
            .into_iter()
            .find(|known| known.as_str() == status)
            .ok_or_else(|| Failure::Data(format!("the status of an upload is {status:?}")))?,
        file: row.get(9)?,
    })
}
