//! Price plans and their versions.

use crate::{
    PlanName, Result,
    audit::AuditEntry,
    price::{Plan, PriceList},
};
use async_trait::async_trait;

/// Implemented by the control database. `standard` is there from the first start, with all prices 0.
#[async_trait]
pub trait Plans: Send + Sync {
    /// Adds the next version of a plan, or its first if the plan is new. It applies to requests admitted from now on.
    async fn add(&self, name: &PlanName, prices: &PriceList, created: u64, audit: AuditEntry) -> Result<Plan>;

    /// All versions of all plans, by name, newest first.
    async fn list(&self) -> Result<Vec<Plan>>;

    /// The newest version. `NotFound` if there is no such plan.
    async fn current(&self, name: &PlanName) -> Result<Plan>;
}
