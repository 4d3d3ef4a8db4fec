//! The price table in the tenant's own SQL store: `prices(item TEXT PRIMARY KEY, price TEXT NOT NULL)`. It is made when it is
//! missing, and follows the setting `prices`, a JSON object of item and price. Not here: what a question asks for (`prices`).

use crate::prices::Price;
use riad_sdk::{
    StageError, settings,
    store::{self, Value},
};
use std::collections::BTreeMap;

const SETTING: &str = "prices";
/// Rows read in one call, far below what one call may return.
const PAGE: usize = 500;
/// Items written in one call.
const BATCH: usize = 200;

type Table = BTreeMap<String, String>;

/// Makes the tables, and brings the prices up to date when the setting has changed since it was last read. What was written
/// is remembered last, so that a refresh that fails half-way is done again.
pub fn refresh() -> Result<(), StageError> {
    store::execute(
        "CREATE TABLE IF NOT EXISTS prices (item TEXT PRIMARY KEY, price TEXT NOT NULL)",
        &[],
    )?;
    store::execute(
        "CREATE TABLE IF NOT EXISTS price_desk (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
        &[],
    )?;
    let Some(wanted_json) = settings::get_json(SETTING) else {
        return Ok(());
    };
    let rows = store::query("SELECT value FROM price_desk WHERE key = ?1", &[SETTING.into()])?;
    let known_json = rows.iter().next().map(|row| row.get::<String>("value")).transpose()?;
    if known_json.as_ref() == Some(&wanted_json) {
        return Ok(());
    }
    let wanted: Table = settings::parse(SETTING, &wanted_json)?;
    let known: Table = known_json
        .map(|json| settings::parse(SETTING, &json))
        .transpose()?
        .unwrap_or_default();
    for item in gone(&known, &wanted) {
        store::execute("DELETE FROM prices WHERE item = ?1", &[item.into()])?;
    }
    let items: Vec<(&String, &String)> = wanted.iter().collect();
    for batch in items.chunks(BATCH) {
        let (sql, params) = upsert(batch);
        store::execute(&sql, &params)?;
    }
    store::execute(
        "INSERT INTO price_desk (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        &[SETTING.into(), wanted_json.into()],
    )?;
    Ok(())
}

/// All prices.
pub fn read() -> Result<Vec<Price>, StageError> {
    let mut prices: Vec<Price> = Vec::new();
    loop {
        let after = prices.last().map_or_else(String::new, |price| price.item.clone());
        let rows = store::query(
            "SELECT item, price FROM prices WHERE item > ?1 ORDER BY item LIMIT ?2",
            &[after.into(), Value::Integer(PAGE as i64)],
        )?;
        for row in rows.iter() {
            prices.push(Price {
                item: row.get("item")?,
                price: row.get("price")?,
            });
        }
        if rows.len() < PAGE {
            return Ok(prices);
        }
    }
}

/// Items that the setting had and has no more. Rows that came otherwise stay.
fn gone<'a>(known: &'a Table, wanted: &Table) -> Vec<&'a str> {
    known
        .keys()
        .filter(|item| !wanted.contains_key(*item))
        .map(String::as_str)
        .collect()
}

fn upsert(batch: &[(&String, &String)]) -> (String, Vec<Value>) {
    let rows: Vec<String> = (0..batch.len())
        .map(|index| format!("(?{}, ?{})", index * 2 + 1, index * 2 + 2))
        .collect();
    let sql = format!(
        "INSERT INTO prices (item, price) VALUES {} ON CONFLICT (item) DO UPDATE SET price = excluded.price",
        rows.join(", ")
    );
    let params = batch
        .iter()
        .flat_map(|(item, price)| [Value::from(item.as_str()), Value::from(price.as_str())])
        .collect();
    (sql, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(items: &[(&str, &str)]) -> Table {
        items
            .iter()
            .map(|(item, price)| (item.to_string(), price.to_string()))
            .collect()
    }

    #[test]
    fn only_what_the_setting_has_dropped_is_deleted() {
        let known = table(&[("drill", "89 euros"), ("saw", "120 euros")]);
        assert_eq!(
            gone(&known, &table(&[("drill", "95 euros"), ("sander", "70 euros")])),
            ["saw"]
        );
    }

    #[test]
    fn a_batch_is_one_statement_with_its_values_as_parameters() {
        let wanted = table(&[("drill'", "89 euros"), ("saw", "120 euros")]);
        let batch: Vec<_> = wanted.iter().collect();
        let (sql, params) = upsert(&batch);
        assert!(sql.contains("VALUES (?1, ?2), (?3, ?4) ON CONFLICT"), "{sql}");
        assert_eq!(params.first(), Some(&Value::from("drill'")));
        assert_eq!(params.len(), 4);
    }
}
