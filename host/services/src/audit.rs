//! The audit log: who changed what, when, from where. Each use case records its own changes.

use crate::{control_admission::operator, shared::Shared};
use riad_core::{
    Account, Error, OperatorPass, Result, TenantId, TenantPass, Timestamp,
    audit::{AuditEntry, AuditQuery, AuditRecord, Origin},
    grants::{Access, Scope},
};
use serde_json::Value;
use std::sync::Arc;
use tracing::Instrument;

const LIMIT_MAX: u32 = 1000;
/// The actor of the operator's changes.
const OPERATOR: &str = "operator";
/// The actor of what the server does by itself.
const SERVER: &str = "server";
/// Maximum bytes of a `detail`. Longer settings are left out; the resource has them.
const DETAIL_MAX: usize = 8 << 10;

/// A page of entries, and whether there are older ones.
pub struct AuditPage {
    /// Newest first.
    pub records: Vec<AuditRecord>,
    pub has_more: bool,
}

pub struct AuditService(pub(crate) Arc<Shared>);

impl AuditService {
    /// Changes of the caller's tenant, newest first. For admins.
    ///
    /// # Errors
    /// `Forbidden` for other roles; `InvalidRequest` for a bad limit; `Busy` and `Timeout` for too much at once.
    pub async fn list(&self, pass: &TenantPass, query: AuditQuery) -> Result<AuditPage> {
        // For admins only, because it shows what other people did.
        pass.require(Scope::Usage, Access::Write)?;
        let query = AuditQuery {
            account: Some(pass.account()),
            tenant: None,
            ..query
        };
        let mut page = self.page(pass.account(), query).await?;
        for record in &mut page.records {
            // Tenants do not see the operator's address.
            if record.entry.actor == OPERATOR {
                record.entry.origin = Origin::default();
            }
        }
        Ok(page)
    }

    /// Changes of all tenants and the operator, newest first.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad limit.
    pub async fn list_all(&self, _operator: &OperatorPass, query: AuditQuery) -> Result<AuditPage> {
        self.page(operator(), query).await
    }

    async fn page(&self, asker: Account, query: AuditQuery) -> Result<AuditPage> {
        let limit = query.limit;
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {LIMIT_MAX}")).with_param("limit"));
        }
        // One more than the limit tells whether there are more.
        let more = AuditQuery {
            limit: limit + 1,
            ..query
        };
        let mut records = self.0.control.ask(asker, self.0.audit.list(more)).await?;
        let has_more = records.len() > limit as usize;
        records.truncate(limit as usize);
        Ok(AuditPage { records, has_more })
    }
}

/// Records a change in a room. Called before the response, so that no acknowledged change is missing in the log.
pub(crate) async fn record(shared: &Shared, pass: &TenantPass, action: &str, object: &str) -> Result<()> {
    append(shared, pass, by_tenant(pass, action, object, None)).await
}

/// As `record`, with a line of [`by_tenant`].
pub(crate) async fn append(shared: &Shared, pass: &TenantPass, entry: AuditEntry) -> Result<()> {
    let audit = Arc::clone(&shared.audit);
    let written = async move { audit.append(entry).await };
    shared.control.write(pass.account(), written).await
}

/// Runs a change and its audit record to the end even if the caller disconnects, so that no change lacks its record.
pub(crate) async fn run_to_completion<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(change.in_current_span()).await.map_err(Error::internal)?
}

/// A change that a tenant made.
pub(crate) fn by_tenant(pass: &TenantPass, action: &str, object: &str, detail: Option<&Value>) -> AuditEntry {
    AuditEntry {
        at_ms: Timestamp::now().as_millis(),
        actor: pass.key().to_string(),
        account: Some(pass.account()),
        tenant: Some(pass.tenant().clone()),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.and_then(text),
        origin: pass.origin().clone(),
    }
}

/// A change that the server made in a tenant's room by itself.
pub(crate) fn by_server(pass: &TenantPass, action: &str, object: &str, detail: Option<&Value>) -> AuditEntry {
    AuditEntry {
        actor: SERVER.to_owned(),
        // The request during which it happened did not ask for it.
        origin: Origin::default(),
        ..by_tenant(pass, action, object, detail)
    }
}

/// A change that the operator made.
pub(crate) fn by_operator(
    operator: &OperatorPass,
    tenant: Option<&TenantId>,
    action: &str,
    object: &str,
    detail: Option<&Value>,
) -> AuditEntry {
    AuditEntry {
        at_ms: Timestamp::now().as_millis(),
        actor: OPERATOR.to_owned(),
        account: None,
        tenant: tenant.cloned(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.and_then(text),
        origin: operator.origin().clone(),
    }
}

fn text(detail: &Value) -> Option<String> {
    let mut detail = detail.clone();
    mask(&mut detail);
    Some(detail.to_string()).filter(|text| text.len() <= DETAIL_MAX)
}

/// Removes webhooks, whose addresses may contain a secret.
fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "webhook" && value.is_string() {
                    *value = "***".into();
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_does_not_contain_the_webhook() {
        let detail = json!({"weight": 2, "budget": {"webhook": "https://hooks.example/secret", "mode": "soft"}});
        let written = text(&detail).unwrap();
        assert!(!written.contains("secret") && written.contains("soft"), "{written}");
    }
}
