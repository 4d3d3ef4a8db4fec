//! Paths that could lead out of B's room: dots, encoded slashes, doubled slashes, other forms of the request line. Sent byte
//! for byte, because clients tidy paths.

use super::{Target, objects::refused};
use crate::{attempt::Attempt, client::Request};
use reqwest::Method;

pub fn attempts(target: &Target<'_>) -> Vec<Attempt> {
    let (a, document) = (&target.a.tenant, &target.a.document);
    let gets = [
        format!("/v1/documents/../documents/{document}"),
        format!("/v1/documents/./{document}"),
        format!("/v1/documents/..%2f{document}"),
        format!("/v1/documents/..%2f..%2f{a}%2froom.db"),
        format!("/v1/documents/%2e%2e/%2e%2e/{a}/documents/{document}"),
        format!("/v1/documents/..%5c..%5c{a}%5croom.db"),
        format!("/v1/documents/{document}/"),
        format!("/v1/documents/{document}%2f"),
        format!("/v1/documents/{document};tenant={a}"),
        format!("/v1/documents/%c0%ae%c0%ae%c0%af{document}"),
        format!("/v1/documents/%ff%fe{document}"),
        format!("//v1/documents/{document}"),
        format!("/v1//documents/{document}"),
        format!("/{a}/v1/documents/{document}"),
        format!("/v1/tenants/{a}/documents/{document}"),
        format!("/v1/rooms/{a}/room.db"),
        format!("/rooms/{a}/room.db"),
        "/../control.db".into(),
        "/..%2f..%2fcontrol.db".into(),
        "/v1/../operator/v1/tenants".into(),
        "/v1/..%2foperator/v1/tenants".into(),
        "//operator/v1/tenants".into(),
        "/operator/v1/tenants/".into(),
        "/operator//v1/tenants".into(),
        "/OPERATOR/v1/tenants".into(),
        format!("/operator/v1/tenants/..%2f{a}"),
        "http://127.0.0.1/operator/v1/tenants".into(),
        format!("/v1/models/..%2f{a}%2f{}", target.alias),
        format!("/v1/models/{}%00", target.a.model),
        format!("/v1/plugins/{}", target.plugin),
        format!("/v1/plugins/{}/{}", target.plugin, target.a.version),
        format!("/v1/adapters/{}", target.alias),
        "/metrics/..%2foperator/v1/tenants".into(),
    ];
    let mut attempts: Vec<_> = gets
        .into_iter()
        .map(|path| refused("", &format!("GET {path}"), Request::get(path.clone()).raw()))
        .collect();
    for (method, path) in [
        (Method::DELETE, format!("/v1/documents/..%2f{document}")),
        (Method::DELETE, format!("/v1/documents/../documents/{document}")),
        (Method::DELETE, format!("/v1/adapters/..%2f{a}%2f{}", target.alias)),
        (Method::PUT, format!("/v1/adapters/..%2f..%2f{a}%2fadapters%2fx")),
        (Method::PUT, format!("/v1/plugins/..%2f..%2f{a}%2fplugins%2fx")),
        (Method::PUT, format!("/v1/plugins/{a}%2fx")),
        (Method::POST, format!("/v1/documents/{document}")),
        (Method::PATCH, format!("/v1/documents/{document}")),
        (Method::OPTIONS, format!("/v1/documents/{document}")),
        (Method::TRACE, format!("/v1/documents/{document}")),
    ] {
        let request = Request::new(method.clone(), path.clone())
            .bytes("application/octet-stream", "x")
            .raw();
        attempts.push(refused("", &format!("{method} {path}"), request));
    }
    let host = Request::get("/operator/v1/tenants").header("Host", "localhost").raw();
    attempts.push(refused("", "the operator's path with another host", host));
    attempts
}
