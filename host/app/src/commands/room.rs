//! `riad room`, without a server.

mod snapshot;

use crate::{
    cli::{RoomCommand, RoomPlace},
    output::{Output, clean},
};
use riad_core::{Error, ErrorKind, Limits, Result};
use riad_store::{OfflineRoom, Remedy, RoomFault, RoomReport};
use serde_json::{Value, json};

pub async fn run(command: RoomCommand) -> Result<()> {
    match command {
        RoomCommand::Check(place) => blocking(move || check(&place)).await,
        RoomCommand::Repair(place) => blocking(move || repair(&place)).await,
        RoomCommand::Export { place, archive } => {
            let export = move || {
                let report = open(&place)?.export(&archive)?;
                show(&place, &report, &[], "The archive has");
                Ok(())
            };
            blocking(export).await
        }
        RoomCommand::Import { place, archive, most } => {
            let import = move || {
                let most = most.unwrap_or(Limits::default().room_bytes);
                let report = open(&place)?.import(&archive, most)?;
                show(&place, &report, &[], "The room has");
                Ok(())
            };
            blocking(import).await
        }
        RoomCommand::Snapshot {
            place, tenant, whole, ..
        } => snapshot::save(&place, tenant, whole).await,
        RoomCommand::Snapshots { place, tenant } => snapshot::list(&place, tenant).await,
        RoomCommand::Restore {
            place,
            tenant,
            snapshot,
            room,
            most,
        } => {
            let report = snapshot::restore(&place, &tenant, snapshot.as_ref(), room, most).await?;
            show_report(place.json, &report, &[], "The room has");
            Ok(())
        }
    }
}

/// It reads whole rooms.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn check(place: &RoomPlace) -> Result<()> {
    let report = open(place)?.check()?;
    show(place, &report, &[], "The room has");
    sound(
        &report,
        "the room has faults, listed above; `riad room repair` mends what can be made again",
    )
}

fn repair(place: &RoomPlace) -> Result<()> {
    let (before, after) = open(place)?.repair()?;
    let mended: Vec<&RoomFault> = before
        .faults
        .iter()
        .filter(|fault| !after.faults.contains(fault))
        .collect();
    show(place, &after, &mended, "The room has");
    sound(
        &after,
        "what is listed as wrong is lost; import an exported room, or restore a snapshot, to get it back",
    )
}

fn open(place: &RoomPlace) -> Result<OfflineRoom> {
    OfflineRoom::open(&place.data, &place.tenant)
}

fn sound(report: &RoomReport, otherwise: &str) -> Result<()> {
    match report.faults.is_empty() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Conflict, otherwise)),
    }
}

fn show(place: &RoomPlace, report: &RoomReport, mended: &[&RoomFault], has: &str) {
    show_report(place.json, report, mended, has);
}

fn show_report(is_json: bool, report: &RoomReport, mended: &[&RoomFault], has: &str) {
    Output::new(is_json).show_json(&to_json(report, mended), || {
        let mut text = format!(
            "{has} {} documents of {} chunks, and {} files.",
            report.documents, report.chunks, report.files
        );
        for fault in mended {
            text += &format!("\nMENDED: {}", clean(&fault.what));
        }
        for fault in &report.faults {
            text += &format!("\nWRONG: {} ({})", clean(&fault.what), remedy(fault.remedy));
        }
        if report.faults.is_empty() {
            text += "\nNo fault found.";
        }
        text
    });
}

fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::MakeAgain => "can be made again",
        Remedy::Remove => "can be removed",
        Remedy::Nothing => "is lost",
    }
}

fn to_json(report: &RoomReport, mended: &[&RoomFault]) -> Value {
    let fault = |fault: &RoomFault| json!({"what": fault.what, "remedy": remedy(fault.remedy)});
    json!({
        "object": "room.report",
        "documents": report.documents,
        "chunks": report.chunks,
        "files": report.files,
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        "mended": mended.iter().map(|mended| fault(mended)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::ports::EmbeddingSpace;
    use riad_store::Store;
    use std::fs;

    fn place(data: &std::path::Path, tenant: &str) -> RoomPlace {
        RoomPlace {
            tenant: tenant.parse().unwrap(),
            data: data.to_owned(),
            json: true,
        }
    }

    #[tokio::test]
    async fn a_room_of_no_tenant_or_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let space = EmbeddingSpace {
            model: "test".into(),
            dimensions: 4,
        };
        let check = || run(RoomCommand::Check(place(folder.path(), "acme")));
        assert_eq!(check().await.unwrap_err().kind(), ErrorKind::NotFound);
        let store = Store::open(folder.path(), space, &Limits::default()).unwrap();
        assert_eq!(check().await.unwrap_err().kind(), ErrorKind::Conflict);
        store.close().await.unwrap();
        assert_eq!(check().await.unwrap_err().kind(), ErrorKind::NotFound);
        let archive = folder.path().join("room.tar");
        fs::write(&archive, "no archive").unwrap();
        let import = RoomCommand::Import {
            place: place(folder.path(), "acme"),
            archive,
            most: None,
        };
        assert_eq!(run(import).await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_report_says_what_can_be_done() {
        let fault = |what: &str, remedy| RoomFault::new(what, remedy);
        let report = RoomReport {
            documents: 2,
            faults: vec![fault("files/x is lost", Remedy::Nothing)],
            ..RoomReport::default()
        };
        let mended = fault("the words are wrong", Remedy::MakeAgain);
        let json = to_json(&report, &[&mended]);
        assert_eq!(json["faults"][0]["remedy"], "is lost");
        assert_eq!(json["mended"][0]["what"], "the words are wrong");
        assert!(sound(&report, "lost").is_err());
    }
}
