//! Price lists, for the operator. Not here: which tenant has which plan (`tenants`), and what something costs (`metering`).

use crate::{audit, shared::Shared};
use riad_core::{
    Error, OperatorPass, PlanName, Result, Timestamp,
    price::{Plan, PriceList},
};
use std::sync::Arc;

pub struct PlanService(pub(crate) Arc<Shared>);

impl PlanService {
    /// Adds the next version of a plan. It holds for what is admitted from now on; what was billed keeps its prices.
    ///
    /// # Errors
    /// `InvalidRequest` names the price at fault; when the control database cannot be written.
    pub async fn put(&self, operator: &OperatorPass, name: &PlanName, prices: &PriceList) -> Result<Plan> {
        prices.check()?;
        let detail = serde_json::to_value(prices).map_err(Error::internal)?;
        let entry = audit::by_operator(operator, None, "plan.put", name.as_str(), Some(&detail));
        let plan = self
            .0
            .plans
            .add(name, prices, Timestamp::now().as_seconds(), entry)
            .await?;
        self.0.metering.set_plan(plan.clone());
        Ok(plan)
    }

    /// All versions, by name, newest first.
    ///
    /// # Errors
    /// When the control database cannot be read.
    pub async fn list(&self, _operator: &OperatorPass) -> Result<Vec<Plan>> {
        self.0.plans.list().await
    }
}
