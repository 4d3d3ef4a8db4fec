//! What is asked about usage, as it is written in a query. Not here: rules (`services`).

use crate::export::Format;
use riad_core::{
    Error, Result, TenantId,
    usage::{BucketWidth, GroupBy, LedgerScope, UsageQuery},
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};
use utoipa::IntoParams;

/// The same questions at both doors; only the operator may name a tenant.
macro_rules! usage_params {
    ($name:ident, $read:expr, { $($(#[doc = $doc:literal])+ $extra:ident: $type:ty,)* }) => {
        /// Lists are separated by commas.
        #[derive(Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Seconds since 1970-01-01 UTC.
            start_time: u64,
            /// Exclusive; now if it is not given.
            end_time: Option<u64>,
            /// `1m`, `1h` or `1d`; `1d` if it is not given.
            bucket_width: Option<String>,
            /// Any of `tenant`, `key`, `model`, `adapter`, `plugin`, `kind`.
            group_by: Option<String>,
            /// Ids of keys.
            api_key_ids: Option<String>,
            models: Option<String>,
            /// Any of `chat`, `embedding`, `document`, `search`, `storage`, `residency`.
            kinds: Option<String>,
            /// Buckets of a page, 1 to 1440; 7 days, 24 hours or 60 minutes if it is not given, as OpenAI has it.
            limit: Option<u32>,
            /// `next_page` of the page before.
            page: Option<String>,
            /// `json` or `csv`.
            format: Option<String>,
            $($(#[doc = $doc])+ $extra: $type,)*
        }

        impl $name {
            pub fn read(self) -> Result<Asked> {
                let scope: fn(&Self) -> Result<LedgerScope> = $read;
                let scope = scope(&self)?;
                Question {
                    start: self.start_time,
                    end: self.end_time,
                    width: self.bucket_width,
                    group_by: self.group_by,
                    keys: self.api_key_ids,
                    models: self.models,
                    kinds: self.kinds,
                    limit: self.limit,
                    page: self.page,
                    format: self.format,
                }
                .read(scope)
            }
        }
    };
}

// The service puts the caller's own account in place of "all".
usage_params!(UsageParams, |_| Ok(LedgerScope::All), {});
usage_params!(AllUsageParams, |params| scope(params.tenant.as_deref()), {
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
});

/// What was asked, as it was written.
struct Question {
    start: u64,
    end: Option<u64>,
    width: Option<String>,
    group_by: Option<String>,
    keys: Option<String>,
    models: Option<String>,
    kinds: Option<String>,
    limit: Option<u32>,
    page: Option<String>,
    format: Option<String>,
}

/// A question, and the part of the answer that was asked for.
pub(crate) struct Asked {
    pub query: UsageQuery,
    pub format: Format,
    /// Where the next page begins.
    pub next: Option<u64>,
}

impl Question {
    fn read(self, scope: LedgerScope) -> Result<Asked> {
        let (width, buckets) = match self.width.as_deref() {
            Some("1m") => (BucketWidth::Minute, 60),
            Some("1h") => (BucketWidth::Hour, 24),
            Some("1d") | None => (BucketWidth::Day, 7),
            Some(_) => return Err(Error::invalid("bucket_width is 1m, 1h or 1d").with_param("bucket_width")),
        };
        let limit = u64::from(self.limit.unwrap_or(buckets));
        if !(1..=1440).contains(&limit) {
            return Err(Error::invalid("limit must be 1 to 1440").with_param("limit"));
        }
        let end = self.end.unwrap_or_else(now);
        let start = match &self.page {
            Some(page) => page
                .parse::<u64>()
                .ok()
                .filter(|page| *page >= self.start && *page < end)
                .ok_or_else(|| Error::invalid("page is what next_page of the page before said").with_param("page"))?,
            None => self.start,
        };
        if start >= end {
            return Err(Error::invalid("end_time must be after start_time").with_param("end_time"));
        }
        // Buckets begin at multiples of their width.
        let first = start - start % width.seconds();
        let page_end = first.saturating_add(limit.saturating_mul(width.seconds()));
        let (query_end, next) = if page_end < end {
            (page_end, Some(page_end))
        } else {
            (end, None)
        };
        let query = UsageQuery {
            scope,
            start,
            end: query_end,
            width,
            group_by: list(self.group_by.as_deref(), "group_by")?
                .into_iter()
                .collect::<BTreeSet<GroupBy>>(),
            keys: list(self.keys.as_deref(), "api_key_ids")?,
            models: words(self.models.as_deref()).map(str::to_owned).collect(),
            kinds: list(self.kinds.as_deref(), "kinds")?,
        };
        Ok(Asked {
            query,
            format: Format::read(self.format.as_deref(), &[Format::Json, Format::Csv])?,
            next,
        })
    }
}

pub(crate) fn scope(tenant: Option<&str>) -> Result<LedgerScope> {
    match tenant {
        Some(id) => {
            let tenant: TenantId = id.parse().map_err(|error: Error| error.with_param("tenant"))?;
            Ok(LedgerScope::Tenant(tenant))
        }
        None => Ok(LedgerScope::All),
    }
}

fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

fn list<T: FromStr<Err = Error>>(text: Option<&str>, name: &str) -> Result<Vec<T>> {
    words(text)
        .map(|word| word.parse().map_err(|error: Error| error.with_param(name)))
        .collect()
}

/// Seconds since 1970-01-01 UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
