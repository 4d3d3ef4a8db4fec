//! Notices to the operator's and tenants' systems.

use crate::TenantId;
use serde::Serialize;

/// A budget's spending passed a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetNotice {
    pub tenant: TenantId,
    /// The key's id, if the budget is a key's.
    pub key: Option<String>,
    /// Name of the budget's member, such as `monthly_tokens`.
    pub budget: &'static str,
    pub limit: u64,
    pub spent: u64,
    /// Percent.
    pub threshold: u32,
    /// Start of the day or month, in seconds since 1970-01-01 UTC; 0 for a total.
    pub window: u64,
}

pub trait Webhooks: Send + Sync {
    /// Queues a notice and returns at once. Delivery is retried; when all tries fail, the notice is dropped and logged.
    fn notify(&self, url: &str, notice: BudgetNotice);
}
