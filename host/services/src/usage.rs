//! Reading the ledger: usage, rollups, receipts, entries and its verification. Not here: writing it (`metering`).

use crate::{control_admission::operator, shared::Shared};
use riad_core::{
    Account, Error, OperatorPass, Result, TenantPass, Timestamp,
    grants::{Access, Scope},
    ledger::{Entry, Spent, Verification},
    usage::{BucketWidth, EntryQuery, LedgerScope, Rollup, UsageBucket, UsageQuery},
};
use std::sync::Arc;

/// Entries or receipts of one page.
const PAGE_MAX: u32 = 1000;
const ROLLUP_DAYS: u64 = 366;

pub struct UsageService(pub(crate) Arc<Shared>);

/// A page of items, and where the next one starts.
pub struct Page<T> {
    pub items: Vec<T>,
    /// Position of the last item; the next page begins after it. Absent: there are no more.
    pub next: Option<u64>,
}

impl UsageService {
    /// Usage of the caller's tenant, whatever scope the query names.
    ///
    /// # Errors
    /// `Forbidden` without the scope; `InvalidRequest` for a span that has too many buckets or ends before it begins.
    pub async fn usage(&self, pass: &TenantPass, query: UsageQuery) -> Result<Vec<UsageBucket>> {
        pass.require(Scope::Usage, Access::Read)?;
        let query = UsageQuery {
            scope: LedgerScope::Account(pass.account()),
            ..query
        };
        check(&query)?;
        self.0.control.ask(pass.account(), self.0.ledger.usage(query)).await
    }

    /// Usage in the scope of the query.
    ///
    /// # Errors
    /// `InvalidRequest` for a span that has too many buckets or ends before it begins.
    pub async fn usage_all(&self, _operator: &OperatorPass, query: UsageQuery) -> Result<Vec<UsageBucket>> {
        check(&query)?;
        self.0.control.ask(operator(), self.0.ledger.usage(query)).await
    }

    /// The caller's entries, each with its signed receipt, oldest first, after the position `after`.
    ///
    /// # Errors
    /// `Forbidden` without the scope; `InvalidRequest` for a bad limit.
    pub async fn receipts(&self, pass: &TenantPass, after: u64, limit: u32) -> Result<Page<Entry>> {
        pass.require(Scope::Usage, Access::Read)?;
        let query = EntryQuery {
            scope: LedgerScope::Account(pass.account()),
            after,
            limit,
        };
        let page = self.page(pass.account(), query).await?;
        Ok(Page {
            items: page.items.into_iter().map(|(_, entry)| entry).collect(),
            next: page.next,
        })
    }

    /// The caller's newest entries before the one with this number, oldest first; without a number the newest of all. `next` is the number to
    /// ask for the ones before them.
    ///
    /// # Errors
    /// As [`Self::receipts`].
    pub async fn newest_receipts(&self, pass: &TenantPass, before: Option<u64>, limit: u32) -> Result<Page<Entry>> {
        pass.require(Scope::Usage, Access::Read)?;
        let before = match before {
            Some(before) => before,
            None => {
                let head = self.0.ledger.head(pass.account());
                let head = self.0.control.ask(pass.account(), head).await?;
                head.number.saturating_add(1)
            }
        };
        let after = before.saturating_sub(1).saturating_sub(u64::from(limit));
        let mut page = self.receipts(pass, after, limit).await?;
        page.items.retain(|entry| entry.number < before);
        let next = page.items.first().map(|entry| entry.number);
        page.next = next.filter(|number| *number > 1);
        Ok(page)
    }

    /// What the caller's tenant has spent, without what requests that run hold: what its budget is compared with.
    ///
    /// # Errors
    /// `Forbidden` without the scope.
    pub async fn spent(&self, pass: &TenantPass) -> Result<Spent> {
        pass.require(Scope::Usage, Access::Read)?;
        let spent = self.0.ledger.spent(pass.account(), None, Timestamp::now().as_seconds());
        self.0.control.ask(pass.account(), spent).await
    }

    /// Entries with their positions, oldest first: for billing systems.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad limit.
    pub async fn entries(&self, _operator: &OperatorPass, query: EntryQuery) -> Result<Page<(u64, Entry)>> {
        self.page(operator(), query).await
    }

    /// Sums per day, account and price version. They outlive the tenant.
    ///
    /// # Errors
    /// `InvalidRequest` for a span of more than a year or that ends before it begins.
    pub async fn rollups(
        &self,
        _operator: &OperatorPass,
        scope: LedgerScope,
        start: u64,
        end: u64,
    ) -> Result<Vec<Rollup>> {
        check_span(start, end, ROLLUP_DAYS * 86_400)?;
        let rollups = self.0.ledger.rollups(scope, start, end);
        self.0.control.ask(operator(), rollups).await
    }

    /// Verifies the whole ledger, including every signature.
    ///
    /// # Errors
    /// When the ledger cannot be read. Faults in it are part of the result.
    pub async fn verify(&self, _operator: &OperatorPass) -> Result<Verification> {
        let check = self.0.metering.signature_check();
        self.0.ledger.verify(check).await
    }

    /// The keys that receipts are signed with, as a JWK set.
    #[must_use]
    pub fn receipt_keys(&self) -> serde_json::Value {
        self.0.metering.public_jwks()
    }

    async fn page(&self, asker: Account, query: EntryQuery) -> Result<Page<(u64, Entry)>> {
        let limit = query.limit;
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit"));
        }
        // One more than the limit tells whether there are more.
        let query = EntryQuery {
            limit: limit + 1,
            ..query
        };
        let mut items = self.0.control.ask(asker, self.0.ledger.entries(query)).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().map(|(position, _)| *position).filter(|_| more);
        Ok(Page { items, next })
    }
}

fn check(query: &UsageQuery) -> Result<()> {
    let buckets = match query.width {
        BucketWidth::Minute => 1440,
        BucketWidth::Hour => 744,
        BucketWidth::Day => 366,
    };
    // One more than a client counts: without an end the current bucket is counted whole.
    check_span(query.start, query.end, (buckets + 1) * query.width.seconds())
}

fn check_span(start: u64, end: u64, longest: u64) -> Result<()> {
    if start >= end {
        return Err(Error::invalid("end_time must be after start_time").with_param("end_time"));
    }
    if end - start > longest {
        return Err(Error::invalid(format!(
            "the span from start_time to end_time may have {longest} seconds with these buckets; ask for less at a time, or \
             for wider buckets"
        ))
        .with_param("start_time"));
    }
    Ok(())
}
