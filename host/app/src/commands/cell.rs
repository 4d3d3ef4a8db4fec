//! `riad cell`: the map and what follows from it. Not here: moving tenants (`moving`).

mod moving;

use crate::{
    cli::{CellCommand, PlannedCell},
    output::{Output, data_line, line, note, table},
};
use riad_cells::{CellMap, RouteOptions, SlotRange, create_map, read_map, routes, write_map};
use riad_core::{Result, TenantId, slot::Slot};
use serde_json::{Value, json};
use std::path::Path;

pub async fn run(command: CellCommand) -> Result<()> {
    match command {
        CellCommand::Move(options) => moving::move_slot(&options).await,
        CellCommand::Abort { map, tenant, key } => moving::abort(&map, &tenant, &key).await,
        CellCommand::Plan { map, cells } => plan(&map.file, cells),
        CellCommand::Assign { map, slots, cell } => {
            let mut changed = read_map(&map.file)?;
            changed.assign(&slots, &cell)?;
            write_map(&map.file, &changed)?;
            line(&format!("Gave {} slots to the cell {cell}.", count(&slots)));
            note(
                "Tenants that are in these slots already keep their data where they are, and are served again when those are in the new cell.",
            );
            next_steps(&map.file);
            Ok(())
        }
        CellCommand::Show { map, tenant, json } => {
            let map = read_map(&map.file)?;
            let out = Output::new(json);
            match tenant {
                Some(tenant) => show_tenant(&map, &tenant, &out),
                None => show(&map, &out),
            }
            Ok(())
        }
        CellCommand::Routes {
            map,
            proxy,
            listen,
            tenant_claim,
            hostname,
        } => {
            let options = RouteOptions {
                listen,
                tenant_claim,
                hostname,
            };
            data_line(routes(&read_map(&map.file)?, proxy, &options)?.trim_end());
            Ok(())
        }
    }
}

fn plan(file: &Path, cells: Vec<PlannedCell>) -> Result<()> {
    let map = CellMap::even(cells.into_iter().map(|cell| (cell.name, cell.url)).collect())?;
    create_map(file, &map)?;
    line(&format!("Wrote the map to {}.", file.display()));
    next_steps(file);
    Ok(())
}

fn next_steps(file: &Path) {
    note(&format!(
        "Servers read {} by themselves (cell.map). Write the configuration of proxies again: riad cell routes --for …",
        file.display()
    ));
}

fn show(map: &CellMap, out: &Output) {
    let cells = map.cells().map(|cell| {
        json!({
            "name": cell.name,
            "url": cell.url,
            "default": cell == map.default_cell(),
            "slots": map.slots(&cell.name),
        })
    });
    let json = json!({"object": "cell.map", "cells": cells.collect::<Vec<Value>>()});
    out.show_json(&json, || {
        let rows: Vec<_> = map
            .cells()
            .map(|cell| {
                let slots = map.slots(&cell.name);
                let ranges: Vec<_> = slots.iter().map(ToString::to_string).collect();
                let default = match cell == map.default_cell() {
                    true => "default",
                    false => "",
                };
                vec![
                    cell.name.to_string(),
                    cell.url.to_string(),
                    default.to_owned(),
                    count(&slots).to_string(),
                    ranges.join(","),
                ]
            })
            .collect();
        table::render(&["cell", "url", "", "slots", "ranges"], &rows)
    });
}

fn show_tenant(map: &CellMap, tenant: &TenantId, out: &Output) {
    let slot = Slot::of(tenant);
    let cell = map.owner(slot);
    let json =
        json!({"object": "cell.tenant", "tenant": tenant, "slot": slot.number(), "cell": cell.name, "url": cell.url});
    out.show_json(&json, || {
        format!(
            "The tenant {tenant} is in slot {slot}, of the cell {} at {}.",
            cell.name, cell.url
        )
    });
}

fn count(slots: &[SlotRange]) -> usize {
    Slot::all()
        .filter(|slot| slots.iter().any(|range| range.contains(*slot)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::MapPlace;
    use riad_core::ErrorKind;

    #[tokio::test]
    async fn a_map_is_planned_once_and_then_changed() {
        let folder = tempfile::tempdir().unwrap();
        let place = || MapPlace {
            file: folder.path().join("cells.toml"),
        };
        let plan = || {
            run(CellCommand::Plan {
                map: place(),
                cells: ["a=http://10.0.0.1:8080", "b=http://10.0.0.2:8080"]
                    .map(|cell| cell.parse().unwrap())
                    .into(),
            })
        };
        plan().await.unwrap();
        assert_eq!(plan().await.unwrap_err().kind(), ErrorKind::Conflict);
        let slots: Vec<SlotRange> = ["0-9", "5-12"].map(|range| range.parse().unwrap()).into();
        assert_eq!(count(&slots), 13);
        let assign = |cell: &str| {
            run(CellCommand::Assign {
                map: place(),
                slots: slots.clone(),
                cell: cell.parse().unwrap(),
            })
        };
        assign("b").await.unwrap();
        assert_eq!(assign("c").await.unwrap_err().kind(), ErrorKind::InvalidRequest);
        let map = read_map(&place().file).unwrap();
        assert_eq!(map.owner("12".parse().unwrap()).name.as_str(), "b");
        assert_eq!(map.owner("13".parse().unwrap()).name.as_str(), "a");
    }

    #[test]
    fn a_cell_has_a_name_and_a_url() {
        let cell: PlannedCell = "a=http://10.0.0.1:8080".parse().unwrap();
        assert_eq!((cell.name.as_str(), cell.url.port()), ("a", 8080));
        for text in ["", "a", "A=http://10.0.0.1", "a=10.0.0.1", "=http://10.0.0.1"] {
            assert!(text.parse::<PlannedCell>().is_err(), "{text}");
        }
    }
}
