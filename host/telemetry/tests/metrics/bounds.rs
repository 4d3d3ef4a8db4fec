//! Names that come from outside make no more series than there may be.

use super::{chat, gauges, scrape, values};
use riad_core::{
    ledger::Outcome,
    ports::{RequestRecord, Telemetry as _},
};
use riad_telemetry::{Metrics, MetricsConfig};

#[test]
fn tenants_are_not_named_unless_the_operator_wants_it() {
    let metrics = Metrics::new(MetricsConfig {
        tenant_label: false,
        max_tenants: 100,
    });
    metrics.request(&chat("acme", None, Outcome::Completed));
    let text = metrics.render(&gauges());
    assert!(!text.contains("tenant=") && !text.contains("acme"), "{text}");
}

#[test]
fn tenants_beyond_the_bound_are_counted_together() {
    let metrics = Metrics::new(MetricsConfig {
        tenant_label: true,
        max_tenants: 3,
    });
    for round in 0..2 {
        for number in 0..50 {
            metrics.request(&chat(&format!("t{number}"), None, Outcome::Completed));
        }
        let exposition = scrape(&metrics);
        let named = ["other", "t0", "t1", "t2"].map(str::to_owned).into();
        assert_eq!(values(&exposition, "riad_requests_total", "tenant"), named);
        assert_eq!(
            values(&exposition, "gen_ai_server_request_duration_seconds_count", "tenant"),
            named
        );
        let rest = exposition.sum("riad_requests_total", &[("tenant", "other")]);
        assert_eq!(rest, Some(47.0 * f64::from(round + 1)));
    }
}

#[test]
fn a_tenant_that_names_many_adapters_leaves_room_for_others() {
    let metrics = Metrics::new(MetricsConfig::default());
    for number in 0..1000 {
        metrics.request(&chat("greedy", Some(&format!("a{number}")), Outcome::Completed));
    }
    metrics.request(&chat("acme", Some("support"), Outcome::Completed));
    let exposition = scrape(&metrics);
    assert_eq!(values(&exposition, "riad_requests_total", "adapter").len(), 16 + 1 + 1);
    assert_eq!(
        exposition.sum("riad_requests_total", &[("adapter", "other")]),
        Some(984.0)
    );
    assert_eq!(
        exposition.sum("riad_requests_total", &[("adapter", "support")]),
        Some(1.0)
    );
    let asked = values(
        &exposition,
        "gen_ai_server_request_duration_seconds_count",
        "gen_ai_request_model",
    );
    assert_eq!(asked.len(), 18);
    assert!(asked.contains("smol:other"), "{asked:?}");
}

#[test]
fn many_tenants_with_many_adapters_are_bounded_together() {
    for tenant_label in [false, true] {
        let metrics = Metrics::new(MetricsConfig {
            tenant_label,
            max_tenants: 40,
        });
        for tenant in 0..100 {
            for number in 0..20 {
                let alias = format!("a{tenant}-{number}");
                metrics.request(&chat(&format!("t{tenant}"), Some(&alias), Outcome::Completed));
            }
        }
        let exposition = scrape(&metrics);
        let adapters = values(&exposition, "riad_requests_total", "adapter");
        assert_eq!(adapters.len(), 256 + 1);
        let series = exposition.samples("riad_requests_total", &[]).count();
        assert!(series <= 256 + 41, "{series}");
        assert_eq!(
            exposition.sum("riad_requests_total", &[]),
            Some(2000.0),
            "all are counted"
        );
    }
}

#[test]
fn models_are_bounded_although_they_are_the_servers() {
    let metrics = Metrics::new(MetricsConfig::default());
    for number in 0..200 {
        let request = RequestRecord {
            model: format!("model {number}"),
            ..chat("acme", None, Outcome::Completed)
        };
        metrics.request(&request);
    }
    assert_eq!(values(&scrape(&metrics), "riad_requests_total", "model").len(), 65);
}

#[test]
fn a_name_with_odd_characters_is_escaped_and_read_back() {
    let odd = "a\"b\\c\nd}e,f=\"g\" ü";
    let metrics = Metrics::new(MetricsConfig::default());
    let request = RequestRecord {
        model: odd.to_owned(),
        ..chat("acme", None, Outcome::Completed)
    };
    metrics.request(&request);
    assert_eq!(
        values(&scrape(&metrics), "riad_requests_total", "model"),
        [odd.to_owned()].into()
    );
}
