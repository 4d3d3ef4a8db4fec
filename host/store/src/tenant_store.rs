//! The `TenantStore` port: tenants and their accounts in the control database. Not here: their keys (`key_store`) and rooms
//! (`rooms`).

use crate::{
    audit,
    control::{self, Control, NEW_ROOM_ID, TENANT, account_of, find_tenant, no_tenant, read_tenant},
    error::{StoreResult, run_blocking, run_with_permit},
    key_store,
    rooms::Registry,
    snapshot_records,
};
use async_trait::async_trait;
use riad_core::{
    Account, Error, ErrorKind, OperatorPass, Result, TenantId,
    audit::AuditEntry,
    policy::Policy,
    ports::{HashedKey, TenantStore},
    tenant::{Tenant, TenantQuery},
};
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

pub(crate) struct ControlTenantStore {
    control: Arc<Control>,
    registry: Arc<Registry>,
}

impl ControlTenantStore {
    pub(crate) fn new(control: Arc<Control>, registry: Arc<Registry>) -> Self {
        Self { control, registry }
    }
}

#[async_trait]
impl TenantStore for ControlTenantStore {
    async fn create(
        &self,
        _operator: &OperatorPass,
        tenant: &Tenant,
        first_key: &HashedKey,
        audit: [AuditEntry; 2],
    ) -> Result<Tenant> {
        let (control, registry) = (self.control.clone(), self.registry.clone());
        let (tenant, first_key) = (tenant.clone(), first_key.clone());
        run_with_permit(&self.control.database.write_permits, move || {
            control.database.write(|connection| {
                if account_of(connection, &tenant.id)?.is_some() {
                    return Err(taken(&tenant.id, "is taken; choose another id").into());
                }
                // A folder that is left over must never become the room of somebody else.
                if is_being_deleted(connection, &tenant.id)? || registry.has_folder(&tenant.id)? {
                    return Err(taken(
                        &tenant.id,
                        "belongs to a room that is still on the disk; delete the tenant again, or choose another id",
                    )
                    .into());
                }
                let tenant = insert(connection, tenant)?;
                key_store::insert(connection, &tenant.id, &first_key)?;
                for entry in audit {
                    audit::append_for(connection, tenant.account, entry)?;
                }
                Ok(tenant)
            })
        })
        .await
    }

    async fn get(&self, _operator: &OperatorPass, tenant: &TenantId) -> Result<Tenant> {
        let (control, tenant) = (self.control.clone(), tenant.clone());
        run_with_permit(&self.control.database.read_permits, move || {
            let found = control.database.read(|connection| find_tenant(connection, &tenant))?;
            Ok(found.ok_or_else(|| no_tenant(&tenant))?)
        })
        .await
    }

    async fn list(&self, _operator: &OperatorPass) -> Result<Vec<Tenant>> {
        let list = |connection: &Connection| {
            let mut statement = connection.prepare(&format!("{TENANT} ORDER BY id"))?;
            let rows = statement.query_map([], read_tenant)?;
            rows.map(|row| row?.finish()).collect()
        };
        self.control.queries.read(list).await
    }

    async fn page(&self, _operator: &OperatorPass, query: TenantQuery) -> Result<Vec<Tenant>> {
        self.control
            .queries
            .read(move |connection| page(connection, &query))
            .await
    }

    async fn change(
        &self,
        _operator: &OperatorPass,
        tenant: &TenantId,
        from: &Policy,
        (name, policy): (&str, &Policy),
        audit: AuditEntry,
    ) -> Result<Tenant> {
        let (control, tenant, from) = (self.control.clone(), tenant.clone(), from.clone());
        let (name, policy) = (name.to_owned(), policy.clone());
        run_with_permit(&self.control.database.write_permits, move || {
            control.change_identity(&tenant, |connection| {
                let found = find_tenant(connection, &tenant)?.ok_or_else(|| no_tenant(&tenant))?;
                if found.policy != from {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "the tenant \"{tenant}\" has been changed in between; read it and send the change again"
                        ),
                    )
                    .into());
                }
                let changed = Tenant { name, policy, ..found };
                connection.execute(
                    "UPDATE tenants SET name = ?2, policy = ?3 WHERE id = ?1",
                    (tenant.as_str(), &changed.name, serde_json::to_string(&changed.policy)?),
                )?;
                connection.execute(
                    "UPDATE accounts SET name = ?2 WHERE account = ?1",
                    (changed.account.number().cast_signed(), &changed.name),
                )?;
                audit::append_for(connection, changed.account, audit)?;
                Ok(changed)
            })
        })
        .await
    }

    async fn delete(&self, _operator: &OperatorPass, tenant: &TenantId, audit: AuditEntry) -> Result<Account> {
        let (control, registry, tenant) = (self.control.clone(), self.registry.clone(), tenant.clone());
        // Takes no permit: it also waits for the room, and no other caller should wait for that.
        run_blocking(move || {
            let account = delete_tenant(&control, &tenant, audit)?;
            // A pass that was made before must not find the room open.
            registry.close_deleted(&tenant, account);
            Ok(account)
        })
        .await
    }
}

/// A search that finds little reads the whole table; the connection for questions bounds its time.
fn page(connection: &Connection, query: &TenantQuery) -> StoreResult<Vec<Tenant>> {
    let search = query.search.trim();
    let condition = match search.is_empty() {
        true => "",
        false => "AND (instr(lower(id), lower(?3)) > 0 OR instr(lower(name), lower(?3)) > 0)",
    };
    let after = query.after.as_ref().map_or("", TenantId::as_str);
    let mut statement = connection.prepare(&format!("{TENANT} WHERE id > ?1 {condition} ORDER BY id LIMIT ?2"))?;
    let rows = match search.is_empty() {
        true => statement.query_map((after, query.limit), read_tenant)?,
        false => statement.query_map((after, query.limit, search), read_tenant)?,
    };
    rows.map(|row| row?.finish()).collect()
}

/// The tenant with the account that it is given.
pub(crate) fn insert(connection: &Connection, tenant: Tenant) -> StoreResult<Tenant> {
    let created = tenant.created.cast_signed();
    let succeeds = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM accounts WHERE tenant = ?1)",
        [tenant.id.as_str()],
        |row| row.get(0),
    )?;
    let account: i64 = connection.query_row(
        &format!(
            "INSERT INTO accounts (tenant, name, created, room) VALUES (?1, ?2, ?3, {NEW_ROOM_ID}) RETURNING account"
        ),
        (tenant.id.as_str(), &tenant.name, created),
        |row| row.get(0),
    )?;
    connection.execute(
        "INSERT INTO tenants (id, account, name, created, policy) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            tenant.id.as_str(),
            account,
            &tenant.name,
            created,
            serde_json::to_string(&tenant.policy)?,
        ),
    )?;
    Ok(Tenant {
        account: control::account(account),
        succeeds,
        ..tenant
    })
}

fn delete_tenant(control: &Control, tenant: &TenantId, audit: AuditEntry) -> StoreResult<Account> {
    control.restrict_identity(tenant, |connection| delete(connection, tenant, &audit))
}

fn delete(connection: &Connection, tenant: &TenantId, audit: &AuditEntry) -> StoreResult<Account> {
    let Some(account) = account_of(connection, tenant)? else {
        // Not recorded again: the tenant was deleted before, and only its room is still to be removed.
        let former = former_account(connection, tenant)?;
        return Ok(former.ok_or_else(|| no_tenant(tenant))?);
    };
    // The keys go with the row.
    connection.execute("DELETE FROM tenants WHERE id = ?1", [tenant.as_str()])?;
    connection.execute(
        "UPDATE accounts SET deleted = ?2 WHERE account = ?1",
        (account.number().cast_signed(), (audit.at_ms / 1000).cast_signed()),
    )?;
    connection.execute("INSERT INTO deletions (tenant) VALUES (?1)", [tenant.as_str()])?;
    snapshot_records::begin_deletion(connection, account)?;
    audit::append_for(connection, account, audit.clone())?;
    Ok(account)
}

/// The account of a tenant whose deletion is not finished.
fn former_account(connection: &Connection, tenant: &TenantId) -> StoreResult<Option<Account>> {
    if !is_being_deleted(connection, tenant)? {
        return Ok(None);
    }
    let newest: i64 = connection.query_row(
        "SELECT account FROM accounts WHERE tenant = ?1 ORDER BY account DESC LIMIT 1",
        [tenant.as_str()],
        |row| row.get(0),
    )?;
    Ok(Some(control::account(newest)))
}

pub(crate) fn is_being_deleted(connection: &Connection, tenant: &TenantId) -> StoreResult<bool> {
    Ok(connection
        .query_row("SELECT 1 FROM deletions WHERE tenant = ?1", [tenant.as_str()], |_| {
            Ok(())
        })
        .optional()?
        .is_some())
}

fn taken(tenant: &TenantId, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the id \"{tenant}\" {why}")).with_param("id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reserve::Reserve;
    use riad_core::{Limits, audit::Origin};
    use std::{sync::mpsc, thread, time::Duration};

    #[test]
    fn deleting_a_tenant_waits_for_the_writer_lock() {
        let folder = tempfile::tempdir().unwrap();
        let control =
            Arc::new(Control::open(&folder.path().join("control.db"), &Limits::default(), &Reserve::none()).unwrap());
        let tenant = Tenant {
            id: "acme".parse().unwrap(),
            account: Account::new(0),
            name: "Acme".into(),
            created: 1,
            policy: Policy::default(),
            succeeds: false,
        };
        let id = tenant.id.clone();
        control.database.write(|connection| insert(connection, tenant)).unwrap();
        // As the ledger holds it while it commits.
        let lock = control.database.writer_lock().clone();
        let guard = lock.lock();
        let (sender, deleted) = mpsc::channel();
        let store = {
            let (control, id) = (control.clone(), id.clone());
            thread::spawn(move || sender.send(delete_tenant(&control, &id, entry())))
        };
        assert!(deleted.recv_timeout(Duration::from_millis(300)).is_err());
        assert!(control.account(&id).unwrap().is_some());
        drop(guard);
        deleted.recv().unwrap().unwrap();
        store.join().unwrap().unwrap();
        assert!(control.account(&id).unwrap().is_none());
    }

    #[test]
    fn a_page_of_tenants_follows_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(&folder.path().join("control.db"), &Limits::default(), &Reserve::none()).unwrap();
        for number in 0..5 {
            let tenant = Tenant {
                id: format!("t{number}").parse().unwrap(),
                account: Account::new(0),
                name: format!("Customer 100% {number}"),
                created: 1,
                policy: Policy::default(),
                succeeds: false,
            };
            control.database.write(|connection| insert(connection, tenant)).unwrap();
        }
        let ids = |search: &str, after: Option<&str>, limit| {
            let query = TenantQuery {
                search: search.to_owned(),
                after: after.map(|after| after.parse().unwrap()),
                limit,
            };
            let found = control.database.read(|connection| page(connection, &query)).unwrap();
            found
                .into_iter()
                .map(|tenant| tenant.id.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids("", None, 2), ["t0", "t1"]);
        assert_eq!(ids("", Some("t1"), 9), ["t2", "t3", "t4"]);
        assert_eq!(ids("customer 100% 3", None, 9), ["t3"]);
        assert_eq!(ids("T4", None, 9), ["t4"]);
        assert!(ids("_", None, 9).is_empty(), "no sign stands for others");
    }

    fn entry() -> AuditEntry {
        AuditEntry {
            at_ms: 1,
            actor: "operator".into(),
            account: None,
            tenant: None,
            action: "tenant.delete".into(),
            object: "acme".into(),
            detail: None,
            origin: Origin::default(),
        }
    }
}
