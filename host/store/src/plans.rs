//! The `Plans` port: price lists in the control database, in versions that are never changed. Not here: what something costs
//! (`riad_core::price`).

use crate::{
    audit,
    control::Control,
    error::{StoreResult, run_with_permit},
};
use async_trait::async_trait;
use riad_core::{
    Error, PlanName, Result,
    audit::AuditEntry,
    ports::Plans,
    price::{Plan, PriceList},
};
use rusqlite::{Connection, OptionalExtension, Row};
use std::sync::Arc;

pub(crate) struct ControlPlans {
    control: Arc<Control>,
}

impl ControlPlans {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }
}

#[async_trait]
impl Plans for ControlPlans {
    async fn add(&self, name: &PlanName, prices: &PriceList, created: u64, audit: AuditEntry) -> Result<Plan> {
        let (control, name, prices) = (self.control.clone(), name.clone(), *prices);
        run_with_permit(&self.control.database.write_permits, move || {
            control.database.write(|connection| {
                let newest = newest(connection, &name)?;
                let plan = Plan {
                    version: newest.map_or(0, |plan| plan.version) + 1,
                    name,
                    prices,
                    created,
                };
                connection.execute(
                    "INSERT INTO plans (name, version, prices, created) VALUES (?1, ?2, ?3, ?4)",
                    (
                        plan.name.as_str(),
                        plan.version,
                        serde_json::to_string(&plan.prices)?,
                        created.cast_signed(),
                    ),
                )?;
                audit::append(connection, &audit)?;
                Ok(plan)
            })
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Plan>> {
        let control = self.control.clone();
        run_with_permit(&self.control.database.read_permits, move || {
            control.database.read(|connection| {
                let mut statement = connection
                    .prepare("SELECT name, version, prices, created FROM plans ORDER BY name, version DESC")?;
                let rows = statement.query_map([], read_plan)?;
                rows.map(|row| row?.finish()).collect()
            })
        })
        .await
    }

    async fn current(&self, name: &PlanName) -> Result<Plan> {
        let (control, name) = (self.control.clone(), name.clone());
        run_with_permit(&self.control.database.read_permits, move || {
            let newest = control.database.read(|connection| newest(connection, &name))?;
            Ok(newest.ok_or_else(|| Error::not_found(format!("there is no plan \"{name}\"")))?)
        })
        .await
    }
}

fn newest(connection: &Connection, name: &PlanName) -> StoreResult<Option<Plan>> {
    connection
        .prepare_cached(
            "SELECT name, version, prices, created FROM plans WHERE name = ?1 ORDER BY version DESC LIMIT 1",
        )?
        .query_row([name.as_str()], read_plan)
        .optional()?
        .map(PlanRow::finish)
        .transpose()
}

struct PlanRow {
    name: String,
    version: u32,
    prices: String,
    created: i64,
}

fn read_plan(row: &Row<'_>) -> rusqlite::Result<PlanRow> {
    Ok(PlanRow {
        name: row.get(0)?,
        version: row.get(1)?,
        prices: row.get(2)?,
        created: row.get(3)?,
    })
}

impl PlanRow {
    fn finish(self) -> StoreResult<Plan> {
        Ok(Plan {
            name: self.name.parse()?,
            version: self.version,
            prices: serde_json::from_str(&self.prices)?,
            created: self.created.cast_unsigned(),
        })
    }
}
