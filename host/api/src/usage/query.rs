//! Reads the parameters of a usage or cost request. Not here: who may ask what (`services`).

use crate::export::Format;
use riad_api_types::usage::OperatorUsageParams;
use riad_core::{
    Error, Result, TenantId, Timestamp,
    usage::{BucketWidth, GroupBy, LedgerScope, UsageQuery},
};
use std::{collections::BTreeSet, str::FromStr};

/// One page of what a request selects, and how to write it.
pub(crate) struct PagedUsageQuery {
    pub query: UsageQuery,
    pub format: Format,
    /// Start of the next page, in seconds since 1970-01-01 UTC.
    pub next_page: Option<u64>,
}

impl PagedUsageQuery {
    /// # Errors
    /// `InvalidRequest` names the parameter that cannot be read.
    pub fn read(params: &OperatorUsageParams, now: Timestamp) -> Result<Self> {
        let (width, buckets) = match params.bucket_width.as_deref() {
            Some("1m") => (BucketWidth::Minute, 60),
            Some("1h") => (BucketWidth::Hour, 24),
            Some("1d") | None => (BucketWidth::Day, 7),
            Some(_) => return Err(Error::invalid("bucket_width must be 1m, 1h or 1d").with_param("bucket_width")),
        };
        let limit = u64::from(params.limit.unwrap_or(buckets));
        if !(1..=1440).contains(&limit) {
            return Err(Error::invalid("limit must be 1 to 1440").with_param("limit"));
        }
        let end = params.end_time.unwrap_or_else(|| end_of_bucket(now, width));
        let start = match &params.page {
            Some(page) => page
                .parse::<u64>()
                .ok()
                .filter(|page| *page >= params.start_time && *page < end)
                .ok_or_else(|| Error::invalid("page must be the next_page of the page before").with_param("page"))?,
            None => params.start_time,
        };
        if start >= end {
            return Err(Error::invalid("end_time must be after start_time").with_param("end_time"));
        }
        // Buckets begin at multiples of their width.
        let first = start - start % width.seconds();
        let page_end = first.saturating_add(limit.saturating_mul(width.seconds()));
        let (query_end, next_page) = if page_end < end {
            (page_end, Some(page_end))
        } else {
            (end, None)
        };
        let query = UsageQuery {
            scope: scope(params.tenant.as_deref())?,
            start,
            end: query_end,
            width,
            group_by: parse_list(params.group_by.as_deref(), "group_by")?
                .into_iter()
                .collect::<BTreeSet<GroupBy>>(),
            keys: parse_list(params.api_key_ids.as_deref(), "api_key_ids")?,
            models: comma_separated(params.models.as_deref()).map(str::to_owned).collect(),
            kinds: parse_list(params.kinds.as_deref(), "kinds")?,
        };
        Ok(Self {
            query,
            format: Format::read(params.format.as_deref(), &[Format::Json, Format::Csv])?,
            next_page,
        })
    }
}

/// The end of the bucket that holds `now`, so that what was settled a moment ago is counted.
fn end_of_bucket(now: Timestamp, width: BucketWidth) -> u64 {
    let (now, width) = (now.as_seconds(), width.seconds());
    (now - now % width).saturating_add(width)
}

/// One tenant's entries, or everybody's. For a tenant's own request `services` puts the caller's account in its place.
pub(crate) fn scope(tenant: Option<&str>) -> Result<LedgerScope> {
    match tenant {
        Some(id) => {
            let tenant: TenantId = id.parse().map_err(|error: Error| error.with_param("tenant"))?;
            Ok(LedgerScope::Tenant(tenant))
        }
        None => Ok(LedgerScope::All),
    }
}

fn comma_separated(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn parse_list<T: FromStr<Err = Error>>(text: Option<&str>, name: &str) -> Result<Vec<T>> {
    comma_separated(text)
        .map(|item| item.parse().map_err(|error: Error| error.with_param(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14 22:13:20 UTC.
    const NOW: u64 = 1_700_000_000;

    fn read(change: impl FnOnce(&mut OperatorUsageParams)) -> Result<PagedUsageQuery> {
        let mut params = OperatorUsageParams {
            start_time: NOW - 600,
            ..OperatorUsageParams::default()
        };
        change(&mut params);
        PagedUsageQuery::read(&params, Timestamp::from_seconds(NOW))
    }

    #[test]
    fn without_an_end_the_current_bucket_is_counted_whole() {
        for (width, end) in [
            (Some("1m"), NOW - NOW % 60 + 60),
            (Some("1h"), NOW - NOW % 3600 + 3600),
            (None, NOW - NOW % 86_400 + 86_400),
        ] {
            let page = read(|params| params.bucket_width = width.map(str::to_owned)).unwrap();
            assert_eq!(page.query.end, end, "{width:?}");
            assert!(page.query.end > NOW, "the current second is before the end");
            assert_eq!(page.next_page, None);
        }
    }

    #[test]
    fn the_current_second_may_be_the_whole_span() {
        let page = read(|params| params.start_time = NOW).unwrap();
        assert!(page.query.start <= NOW && NOW < page.query.end);
    }

    #[test]
    fn pages_follow_each_other_up_to_the_current_bucket() {
        let minutes = |page: Option<u64>| {
            read(|params| {
                params.bucket_width = Some("1m".into());
                params.limit = Some(4);
                params.page = page.map(|page| page.to_string());
            })
            .unwrap()
        };
        let (mut next, mut ends) = (None, Vec::new());
        loop {
            let page = minutes(next);
            ends.push(page.query.end);
            next = page.next_page;
            if next.is_none() {
                break;
            }
            assert_eq!(next, Some(page.query.end));
        }
        let first = NOW - 600 - (NOW - 600) % 60;
        assert_eq!(ends, [first + 240, first + 480, first + 660]);
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_refused() {
        let refused = read(|params| params.end_time = Some(NOW - 600)).err().unwrap();
        assert_eq!(refused.param(), Some("end_time"));
    }
}
