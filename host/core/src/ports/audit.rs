//! The audit log.

use crate::{
    Result,
    audit::{AuditEntry, AuditQuery, AuditRecord},
};
use async_trait::async_trait;

/// Implemented by the control database. Append-only.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// For changes outside the control database, called before they are acknowledged. Durable when it returns.
    async fn append(&self, entry: AuditEntry) -> Result<()>;

    /// Newest first.
    async fn list(&self, query: AuditQuery) -> Result<Vec<AuditRecord>>;
}
