//! B tries the operator's endpoints with a tenant's key: it is no key there, whatever is asked.

use super::Target;
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
};
use reqwest::Method;
use serde_json::json;

pub fn attempts(target: &Target<'_>) -> Vec<Attempt> {
    let (a, b) = (&target.a.tenant, &target.own.tenant);
    let tenant = |id: &str| format!("/operator/v1/tenants/{id}");
    let keys = |id: &str| format!("/operator/v1/tenants/{id}/keys");
    let new_key = json!({"name": "stolen"});
    let patch = |path: String, body| Request::new(Method::PATCH, path).json(&body);
    let (everything, everybody) = ("start_time=1&end_time=2", json!({"budget": {"total_tokens": 0}}));
    [
        (
            "GET /operator/v1/tenants",
            "list the tenants",
            Request::get("/operator/v1/tenants"),
        ),
        (
            "POST /operator/v1/tenants",
            "make a tenant",
            Request::post("/operator/v1/tenants", &json!({"id": "intruder", "name": "Intruder"})),
        ),
        ("GET /operator/v1/tenants/{id}", "A", Request::get(tenant(a))),
        ("GET /operator/v1/tenants/{id}", "itself", Request::get(tenant(b))),
        (
            "GET /operator/v1/tenants/{id}",
            "nobody",
            Request::get(tenant("nobody-at-all")),
        ),
        ("DELETE /operator/v1/tenants/{id}", "A", Request::delete(tenant(a))),
        (
            "DELETE /operator/v1/tenants/{id}",
            "nobody",
            Request::delete(tenant("nobody-at-all")),
        ),
        ("GET /operator/v1/tenants/{id}/keys", "A's keys", Request::get(keys(a))),
        (
            "GET /operator/v1/tenants/{id}/keys",
            "its own keys",
            Request::get(keys(b)),
        ),
        (
            "POST /operator/v1/tenants/{id}/keys",
            "a key for A",
            Request::post(keys(a), &new_key),
        ),
        (
            "DELETE /operator/v1/tenants/{id}/keys/{key_id}",
            "a key of A's",
            Request::delete(format!("{}/key_1", keys(a))),
        ),
        (
            "PATCH /operator/v1/tenants/{id}",
            "A's budget",
            patch(tenant(a), everybody.clone()),
        ),
        (
            "PATCH /operator/v1/tenants/{id}",
            "its own budget",
            patch(tenant(b), everybody),
        ),
        (
            "PATCH /operator/v1/tenants/{id}/keys/{key_id}",
            "a key of A's",
            patch(format!("{}/{}", keys(a), target.a.key_id), new_key.clone()),
        ),
        (
            "POST /operator/v1/tenants/{id}/keys/{key_id}/rotate",
            "a key of A's",
            Request::post(format!("{}/{}/rotate", keys(a), target.a.key_id), &json!({})),
        ),
        (
            "POST /operator/v1/tenants/{id}/move",
            "A to a cell of its own",
            Request::post(format!("{}/move", tenant(a)), &json!({"to": "b"})),
        ),
        (
            "PUT /operator/v1/tenants/{id}/move",
            "a tenant with keys that it knows",
            Request::put(format!("{}/move", tenant("arriving")), &json!({"from": "b"})),
        ),
        (
            "DELETE /operator/v1/tenants/{id}/move",
            "A",
            Request::delete(format!("{}/move", tenant(a))),
        ),
        (
            "POST /operator/v1/tenants/{id}/move/prefetch",
            "A's room",
            Request::post(format!("{}/move/prefetch", tenant(a)), &json!({"from": "b"})),
        ),
        (
            "POST /operator/v1/tenants/{id}/move/finish",
            "A",
            Request::post(format!("{}/move/finish", tenant(a)), &json!({})),
        ),
        (
            "POST /operator/v1/tenants/{id}/snapshot",
            "A's room",
            Request::post(format!("{}/snapshot", tenant(a)), &json!({})),
        ),
        ("GET /operator/v1/cell", "the cells", Request::get("/operator/v1/cell")),
        (
            "GET /operator/v1/plans",
            "the prices",
            Request::get("/operator/v1/plans"),
        ),
        (
            "PUT /operator/v1/plans/{name}",
            "free prices",
            Request::put("/operator/v1/plans/standard", &json!({})),
        ),
        (
            "GET /operator/v1/usage",
            "everybody's usage",
            Request::get(format!("/operator/v1/usage?{everything}")),
        ),
        (
            "GET /operator/v1/costs",
            "everybody's costs",
            Request::get(format!("/operator/v1/costs?{everything}")),
        ),
        (
            "GET /operator/v1/rollups",
            "everybody's days",
            Request::get(format!("/operator/v1/rollups?{everything}")),
        ),
        (
            "GET /operator/v1/ledger/entries",
            "A's entries",
            Request::get(format!("/operator/v1/ledger/entries?tenant={a}")),
        ),
        (
            "GET /operator/v1/ledger/verify",
            "the ledger",
            Request::get("/operator/v1/ledger/verify"),
        ),
        (
            "GET /operator/v1/audit",
            "what A did",
            Request::get(format!("/operator/v1/audit?tenant={a}")),
        ),
        (
            "GET /operator/v1/scale",
            "the queue",
            Request::get("/operator/v1/scale"),
        ),
        ("GET /metrics", "the metrics", Request::get("/metrics")),
    ]
    .map(|(endpoint, what, request)| Attempt::new(endpoint, what, request, Expected::Unauthorized))
    .into()
}
