//! The map itself: every slot has one cell.

use crate::{CellUrl, SlotRange};
use riad_core::{
    CellName, Error, Result,
    slot::{SLOTS, Slot},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// nginx keeps names in buckets of 64 bytes.
const NAME_MAX: usize = 32;
const HEAD: &str = "# Which cell serves which slots. `riad cell` changes it, servers read it (cell.map), and proxies are configured from it.\n\
                    # What names no slot goes to the default cell.\n";

/// A server with the rooms of the tenants in its slots.
#[derive(Debug, PartialEq, Eq)]
pub struct Cell {
    pub name: CellName,
    pub url: CellUrl,
}

/// Which cell serves which slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellMap {
    default: Arc<Cell>,
    cells: BTreeMap<CellName, Arc<Cell>>,
    /// By slot, all of them.
    owners: Vec<Arc<Cell>>,
}

/// As the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MapText {
    default: CellName,
    cells: BTreeMap<CellName, CellText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellText {
    url: CellUrl,
    slots: Vec<SlotRange>,
}

impl CellMap {
    /// Each cell has as many slots as the others, the first one of them is the default.
    ///
    /// # Errors
    /// `InvalidRequest` for no cells, too many, or two of the same name.
    pub fn even(cells: Vec<(CellName, CellUrl)>) -> Result<Self> {
        let count = cells.len();
        let mut named = BTreeMap::new();
        let mut owners = Vec::new();
        for (number, (name, url)) in cells.into_iter().enumerate() {
            let cell = Arc::new(Cell { name, url });
            let end = (number + 1) * usize::from(SLOTS) / count;
            owners.resize(end, Arc::clone(&cell));
            if let Some(same) = named.insert(cell.name.clone(), cell) {
                return Err(Error::invalid(format!("the cell `{}` is named twice", same.name)));
            }
        }
        let default = owners
            .first()
            .cloned()
            .ok_or_else(|| Error::invalid("a map needs at least one cell, as in a=http://10.0.0.1:8080"))?;
        let map = Self {
            default,
            cells: named,
            owners,
        };
        map.check_names()?;
        Ok(map)
    }

    /// # Errors
    /// `InvalidRequest` says what is wrong with the text: among others a slot of two cells or of none.
    pub fn parse(text: &str) -> Result<Self> {
        let MapText { default, cells } = toml::from_str(text)
            .map_err(|error| Error::invalid(format!("it cannot be understood: {}", error.message().trim())))?;
        let mut owners: Vec<Option<Arc<Cell>>> = vec![None; usize::from(SLOTS)];
        let mut named = BTreeMap::new();
        for (name, CellText { url, slots }) in cells {
            let cell = Arc::new(Cell { name, url });
            for range in slots {
                for (slot, owner) in Slot::all().zip(&mut owners).filter(|(slot, _)| range.contains(*slot)) {
                    if let Some(other) = owner.replace(Arc::clone(&cell)) {
                        return Err(Error::invalid(format!(
                            "slot {slot} is served by `{}` and by `{}`; give it to one cell",
                            other.name, cell.name
                        )));
                    }
                }
            }
            named.insert(cell.name.clone(), cell);
        }
        let owned = |(slot, owner): (Slot, Option<Arc<Cell>>)| {
            owner.ok_or_else(|| Error::invalid(format!("slot {slot} is served by no cell; give it to one")))
        };
        let map = Self {
            default: Arc::clone(find(&named, &default)?),
            owners: Slot::all().zip(owners).map(owned).collect::<Result<_>>()?,
            cells: named,
        };
        map.check_names()?;
        Ok(map)
    }

    /// What [`CellMap::parse`] reads.
    ///
    /// # Errors
    /// `Internal` if it cannot be written, which would be a bug.
    pub fn to_text(&self) -> Result<String> {
        let cell = |cell: &Arc<Cell>| {
            let slots = self.slots(&cell.name);
            let url = cell.url.clone();
            (cell.name.clone(), CellText { url, slots })
        };
        let text = MapText {
            default: self.default.name.clone(),
            cells: self.cells.values().map(cell).collect(),
        };
        let text = toml::to_string(&text).map_err(Error::internal)?;
        Ok(format!("{HEAD}{text}"))
    }

    /// Gives slots to a cell. The data of their tenants stay where they are.
    ///
    /// # Errors
    /// `InvalidRequest` if the map has no such cell.
    pub fn assign(&mut self, slots: &[SlotRange], cell: &CellName) -> Result<()> {
        let cell = find(&self.cells, cell)?;
        for (slot, owner) in Slot::all().zip(&mut self.owners) {
            if slots.iter().any(|range| range.contains(slot)) {
                *owner = Arc::clone(cell);
            }
        }
        Ok(())
    }

    /// The cell that serves a slot.
    #[must_use]
    pub fn owner(&self, slot: Slot) -> &Cell {
        self.owners.get(usize::from(slot.number())).unwrap_or(&self.default)
    }

    /// Where requests go that say no slot.
    #[must_use]
    pub fn default_cell(&self) -> &Cell {
        &self.default
    }

    /// By name.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.values().map(AsRef::as_ref)
    }

    #[must_use]
    pub fn has(&self, cell: &CellName) -> bool {
        self.cells.contains_key(cell)
    }

    /// The slots of a cell, as few ranges as there can be.
    #[must_use]
    pub fn slots(&self, cell: &CellName) -> Vec<SlotRange> {
        let mut ranges: Vec<SlotRange> = Vec::new();
        for slot in Slot::all().filter(|slot| self.owner(*slot).name == *cell) {
            match ranges.last_mut() {
                Some(range) if range.last().number() + 1 == slot.number() => {
                    *range = SlotRange::new(range.first(), slot).unwrap_or(*range);
                }
                Some(_) | None => ranges.extend(SlotRange::new(slot, slot)),
            }
        }
        ranges
    }

    fn check_names(&self) -> Result<()> {
        match self.cells.keys().find(|name| name.as_str().len() > NAME_MAX) {
            Some(name) => Err(Error::invalid(format!(
                "the name of the cell `{name}` has more than {NAME_MAX} characters"
            ))),
            None => Ok(()),
        }
    }
}

fn find<'a>(cells: &'a BTreeMap<CellName, Arc<Cell>>, name: &CellName) -> Result<&'a Arc<Cell>> {
    cells.get(name).ok_or_else(|| {
        let names: Vec<_> = cells.keys().map(CellName::as_str).collect();
        Error::invalid(format!("the map has no cell `{name}`; it has {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> CellMap {
        let cell = |name: &str| (name.parse().unwrap(), format!("http://{name}.example").parse().unwrap());
        CellMap::even(["a", "b", "c"].map(cell).into()).unwrap()
    }

    fn slots(map: &CellMap, cell: &str) -> String {
        let ranges = map.slots(&cell.parse().unwrap());
        ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn an_even_map_has_each_slot_once() {
        let map = three();
        assert_eq!(
            ["a", "b", "c"].map(|cell| slots(&map, cell)),
            ["0-5460", "5461-10921", "10922-16383"]
        );
        assert_eq!(map.owner("5461".parse().unwrap()).name.as_str(), "b");
        assert_eq!(map.default_cell().name.as_str(), "a");
    }

    #[test]
    fn a_map_reads_what_it_writes() {
        let mut map = three();
        let ranges = ["0-9", "100", "16383"].map(|range| range.parse().unwrap());
        map.assign(&ranges, &"b".parse().unwrap()).unwrap();
        assert_eq!(slots(&map, "b"), "0-9,100,5461-10921,16383");
        let text = map.to_text().unwrap();
        assert_eq!(CellMap::parse(&text).unwrap(), map);
        insta::assert_snapshot!("map", text);
    }

    #[test]
    fn a_cell_may_have_no_slots() {
        let mut map = three();
        map.assign(&["0-16383".parse().unwrap()], &"c".parse().unwrap())
            .unwrap();
        let read = CellMap::parse(&map.to_text().unwrap()).unwrap();
        assert!(read.has(&"a".parse().unwrap()) && slots(&read, "a").is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_map_is_said() {
        let cell =
            |name: &str, slots: &str| format!("[cells.{name}]\nurl = \"http://{name}.example\"\nslots = {slots}\n");
        for (text, words) in [
            (String::new(), "missing field"),
            (
                format!("default = \"a\"\n{}", cell("a", "[\"0-16382\"]")),
                "slot 16383 is served by no cell",
            ),
            (
                format!(
                    "default = \"a\"\n{}{}",
                    cell("a", "[\"0-16383\"]"),
                    cell("b", "[\"7\"]")
                ),
                "slot 7 is served by `a` and by `b`",
            ),
            (
                format!("default = \"b\"\n{}", cell("a", "[\"0-16383\"]")),
                "no cell `b`; it has a",
            ),
            (
                format!("default = \"a\"\nx = 1\n{}", cell("a", "[\"0-16383\"]")),
                "unknown field",
            ),
            (
                format!("default = \"a\"\n{}", cell("a", "[\"0-99999\"]")),
                "`99999` is no slot",
            ),
            (
                format!("default = \"A\"\n{}", cell("a", "[\"0-16383\"]")),
                "a cell name must be",
            ),
            (
                format!("default = \"a\"\n{}", cell("a", "[\"0-16383\"]")).replace("example", "example/v1"),
                "is no base URL",
            ),
        ] {
            let error = CellMap::parse(&text).unwrap_err();
            assert!(error.message().contains(words), "{words}: {error}");
        }
    }

    #[test]
    fn cells_that_cannot_be_are_refused() {
        assert!(CellMap::even(Vec::new()).is_err());
        let cell = |name: &str| (name.parse().unwrap(), "http://a.example".parse().unwrap());
        assert!(CellMap::even(vec![cell("a"), cell("a")]).is_err());
        assert!(CellMap::even(vec![cell(&"a".repeat(33))]).is_err());
        assert!(three().assign(&[], &"d".parse().unwrap()).is_err());
    }
}
