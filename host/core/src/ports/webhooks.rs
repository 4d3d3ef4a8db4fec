//! Telling the operator's systems what happened.

use crate::TenantId;
use serde::Serialize;

/// A budget's threshold was passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetNotice {
    pub tenant: TenantId,
    /// A key's id if it is a key's budget.
    pub key: Option<String>,
    /// The budget's member: `monthly_tokens`.
    pub budget: &'static str,
    pub limit: u64,
    pub spent: u64,
    /// Percent.
    pub threshold: u32,
    /// Begin of the day or month, seconds UTC; 0 for a total.
    pub window: u64,
}

pub trait Webhooks: Send + Sync {
    /// Queues a notice and returns at once; it is sent with retries, and dropped with a line in the log when they fail.
    fn notify(&self, url: &str, notice: BudgetNotice);
}
