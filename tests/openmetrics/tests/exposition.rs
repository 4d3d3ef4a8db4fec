//! The checker finds what it is for: a text that is right passes, and each text with one fault is refused with its name.

use riad_openmetrics::{MetricType, check};

const RIGHT: &str = "\
# HELP app_requests Requests, \\\"all\\\" of them.
# TYPE app_requests counter
app_requests_total{path=\"/a\\\\b\\\"c\\n\"} 3
app_requests_total 1.5e3
# HELP app_rooms_open Rooms.
# TYPE app_rooms_open gauge
app_rooms_open -2
# HELP app_wait_seconds Waiting.
# TYPE app_wait_seconds histogram
# UNIT app_wait_seconds seconds
app_wait_seconds_sum{kind=\"x\"} 1.5
app_wait_seconds_count{kind=\"x\"} 3
app_wait_seconds_bucket{kind=\"x\",le=\"0.1\"} 1
app_wait_seconds_bucket{kind=\"x\",le=\"1.0\"} 2
app_wait_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3
# EOF
";

#[test]
fn a_text_that_is_right_is_read() {
    let exposition = check(RIGHT).unwrap();
    let names: Vec<(&str, MetricType)> = exposition
        .families
        .iter()
        .map(|family| (family.name.as_str(), family.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("app_requests", MetricType::Counter),
            ("app_rooms_open", MetricType::Gauge),
            ("app_wait_seconds", MetricType::Histogram)
        ]
    );
    let requests = exposition.family("app_requests").unwrap();
    assert_eq!(requests.help, "Requests, \"all\" of them.");
    assert_eq!(requests.samples[0].label("path"), Some("/a\\b\"c\n"));
    assert_eq!(requests.samples[0].line, 3);
    assert_eq!(exposition.sum("app_requests_total", &[]), Some(1503.0));
    assert_eq!(exposition.sum("app_wait_seconds_bucket", &[("le", "1.0")]), Some(2.0));
    assert_eq!(exposition.sum("app_nothing", &[]), None);
}

#[test]
fn each_fault_is_found() {
    for (old, new, fault) in [
        // The format.
        ("# EOF\n", "", "last line"),
        ("# EOF\n", "# EOF", "last line"),
        ("# EOF\n", "# EOF\n# EOF\n", "beginning with #"),
        ("# EOF\n", "# EOF\napp_rooms_open 1\n", "last line"),
        ("app_rooms_open -2", "app_rooms_open -2\n", "a sample is"),
        ("app_rooms_open -2", "app_rooms_open -2\r", "no number"),
        ("app_rooms_open -2", "app_rooms_open  -2", "no number"),
        ("app_rooms_open -2", "app_rooms_open -2 1700000000", "no number"),
        ("app_rooms_open -2", "app_rooms_open inf", "no number"),
        ("app_rooms_open -2", "app_rooms_open nan", "no number"),
        ("app_rooms_open -2", "app_rooms_open", "a sample is"),
        ("app_rooms_open -2", "app_rooms_open{a=\"b\"}-2", "no space"),
        ("# HELP app_rooms_open", "# NOTE app_rooms_open", "none of HELP"),
        ("# HELP app_rooms_open", "#HELP app_rooms_open", "beginning with #"),
        ("open gauge", "open meter", "none of counter"),
        ("Rooms.", "Rooms \\x.", "escapes nothing"),
        // What stands together.
        ("# HELP app_rooms_open Rooms.\n", "", "no HELP"),
        ("# TYPE app_rooms_open gauge\n", "", "no TYPE"),
        (
            "# HELP app_rooms_open Rooms.\n# TYPE app_rooms_open gauge\n",
            "",
            "does not fit its type",
        ),
        (
            "# TYPE app_rooms_open gauge",
            "# TYPE app_rooms_open gauge\n# TYPE app_rooms_open gauge",
            "a second TYPE",
        ),
        (
            "app_rooms_open -2",
            "app_rooms_open -2\n# UNIT app_rooms_open open",
            "after its first sample",
        ),
        (
            "# EOF",
            "# HELP app_rooms_open Rooms.\n# TYPE app_rooms_open gauge\n# EOF",
            "do not stand together",
        ),
        (
            "app_rooms_open -2",
            "app_rooms_open -2\napp_requests_total{x=\"y\"} 1",
            "directly before",
        ),
        ("app_rooms_open -2", "app_rooms_open -2\napp_rooms_open -2", "twice"),
        (
            "app_requests_total 1.5e3",
            "app_requests_total{path=\"/a\\\\b\\\"c\\n\"} 3",
            "twice",
        ),
        ("Rooms.", " ", "HELP is empty"),
        // Names.
        ("app_rooms_open", "app:rooms", "no name of a metric"),
        ("app_rooms_open", "9rooms", "no name of a metric"),
        ("app_rooms_open", "app_roomsBusy", "lower-case"),
        ("app_rooms_open", "app_rooms_total", "for samples"),
        ("app_rooms_open", "app_rooms_count", "for samples"),
        ("app_rooms_open", "app_rooms_gauge", "type in it"),
        (
            "app_requests_total 1.5e3",
            "app_requests 1.5e3",
            "does not fit its type",
        ),
        (
            "app_requests_total 1.5e3",
            "app_requests_totals 1.5e3",
            "does not fit its type",
        ),
        // Units.
        ("app_rooms_open", "app_rooms_seconds", "no UNIT"),
        ("app_rooms_open", "app_rooms_bytes", "no UNIT"),
        ("app_rooms_open", "app_rooms_ms", "no base unit"),
        ("app_rooms_open", "app_rooms_percent", "no base unit"),
        ("app_rooms_open", "app_seconds_busy", "not the end"),
        ("# UNIT app_wait_seconds seconds\n", "", "no UNIT"),
        (
            "# UNIT app_wait_seconds seconds",
            "# UNIT app_wait_seconds minutes",
            "does not end with it",
        ),
        // Labels.
        (
            "app_rooms_open -2",
            "app_rooms_open{__a=\"b\"} -2",
            "no name of a label",
        ),
        (
            "app_rooms_open -2",
            "app_rooms_open{a-b=\"c\"} -2",
            "no name of a label",
        ),
        ("app_rooms_open -2", "app_rooms_open{a=\"b\",} -2", "no name of a label"),
        ("app_rooms_open -2", "app_rooms_open{aB=\"c\"} -2", "not lower-case"),
        (
            "app_rooms_open -2",
            "app_rooms_open{a=\"b\",a=\"c\"} -2",
            "stands there twice",
        ),
        ("app_rooms_open -2", "app_rooms_open{a=b} -2", "no =\""),
        (
            "app_rooms_open -2",
            "app_rooms_open{a=\"b\"c=\"d\"} -2",
            "separated by commas",
        ),
        ("app_rooms_open -2", "app_rooms_open{a=\"b -2", "does not end"),
        ("app_rooms_open -2", "app_rooms_open{a=\"\\t\"} -2", "escapes nothing"),
        ("app_rooms_open -2", "app_rooms_open{le=\"1\"} -2", "for buckets"),
        ("app_rooms_open -2", "app_rooms_open{quantile=\"1\"} -2", "for buckets"),
        // Values.
        ("app_requests_total 1.5e3", "app_requests_total -1", "from 0 up"),
        ("app_requests_total 1.5e3", "app_requests_total NaN", "from 0 up"),
        ("le=\"+Inf\"} 3", "le=\"+Inf\"} 4", "_count is"),
        ("le=\"1.0\"} 2", "le=\"1.0\"} 0", "fewer than"),
        ("le=\"1.0\"} 2", "le=\"1.0\"} 1.5", "whole number"),
        ("le=\"1.0\"", "le=\"0.1\"", "do not rise"),
        ("le=\"1.0\"", "le=\"x\"", "no number"),
        ("le=\"1.0\"", "lo=\"1.0\"", "a bucket without le"),
        ("app_wait_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n", "", "not +Inf"),
        ("app_wait_seconds_sum{kind=\"x\"} 1.5\n", "", "no _sum"),
        (
            "app_wait_seconds_sum{kind=\"x\"} 1.5",
            "app_wait_seconds_sum{kind=\"x\"} NaN",
            "no _sum",
        ),
        ("app_wait_seconds_count{kind=\"x\"} 3\n", "", "_count is None"),
        (
            "app_wait_seconds_bucket{kind=\"x\",le=\"1.0\"} 2",
            "app_wait_seconds_sum{kind=\"y\"} 0\napp_wait_seconds_bucket{kind=\"x\",le=\"1.0\"} 2",
            "do not stand together",
        ),
    ] {
        assert!(RIGHT.contains(old), "{old:?} is not in the text");
        let text = RIGHT.replace(old, new);
        match check(&text) {
            Ok(_) => panic!("{old:?} -> {new:?} was not found"),
            Err(faults) => assert!(
                faults.iter().any(|found| found.contains(fault)),
                "{old:?} -> {new:?}: {faults:#?} has no {fault:?}"
            ),
        }
    }
}

#[test]
fn every_fault_is_reported_not_only_the_first() {
    let text = RIGHT.replace("open -2", "open x").replace("1.5e3", "-1");
    assert_eq!(check(&text).unwrap_err().len(), 2);
}
