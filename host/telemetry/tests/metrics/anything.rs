//! Whatever is counted, the text stays right.

use super::{gauges, values};
use proptest::prelude::*;
use riad_core::{
    ledger::{Kind, Outcome},
    ports::{RequestRecord, Telemetry as _},
    price::Usage,
};
use riad_openmetrics::check;
use riad_telemetry::{Metrics, MetricsConfig};
use std::time::Duration;

fn time() -> impl Strategy<Value = Duration> {
    (0..200_000_000_u64).prop_map(Duration::from_micros)
}

prop_compose! {
    fn any_request()(
        tenant in "[a-z]{1,2}",
        kind in prop::sample::select(Kind::ALL),
        model in "\\PC{0,6}|[\"\\\\\n]{1,3}",
        adapter in prop::option::of("[a-z0-9][a-z0-9_-]{0,2}"),
        outcome in prop::sample::select(Outcome::ALL),
        (prompt_tokens, completion_tokens, embedded_tokens, fuel) in (0..9000_u64, 0..9000_u64, 0..9000_u64, 0..1u64 << 40),
        duration in time(),
        (queued, first_token, per_token) in (prop::option::of(time()), prop::option::of(time()), prop::option::of(time())),
        plugin in time(),
    ) -> RequestRecord {
        RequestRecord {
            tenant: tenant.parse().unwrap(),
            kind,
            model,
            adapter: adapter.map(|alias| alias.parse().unwrap()),
            outcome,
            used: Usage { requests: 1, prompt_tokens, completion_tokens, embedded_tokens, fuel, ..Usage::default() },
            duration,
            queued,
            first_token,
            per_token,
            plugin,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_requests_give_a_valid_scrape_that_counts_all(
        requests in prop::collection::vec(any_request(), 0..40),
        tenant_label in any::<bool>(),
        max_tenants in 0..5_usize,
    ) {
        let metrics = Metrics::new(MetricsConfig { tenant_label, max_tenants });
        for request in &requests {
            metrics.request(request);
        }
        let text = metrics.render(&gauges());
        let exposition = check(&text).map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{text}")))?;
        let counted = exposition.sum("riad_requests_total", &[]).unwrap_or(0.0);
        prop_assert_eq!(counted, requests.len() as f64);
        let fuel: u64 = requests.iter().map(|request| request.used.fuel).sum();
        prop_assert_eq!(exposition.sum("riad_fuel_total", &[]).unwrap_or(0.0), fuel as f64);
        prop_assert!(values(&exposition, "riad_requests_total", "tenant").len() <= max_tenants + 1);
    }
}
