//! B tries the operator's endpoints with a tenant's key: it is no key there, whatever is asked.

use super::Target;
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
};
use serde_json::json;

pub fn attempts(target: &Target<'_>) -> Vec<Attempt> {
    let (a, b) = (&target.a.tenant, &target.own.tenant);
    let tenant = |id: &str| format!("/operator/v1/tenants/{id}");
    let keys = |id: &str| format!("/operator/v1/tenants/{id}/keys");
    let new_key = json!({"name": "stolen"});
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
    ]
    .map(|(endpoint, what, request)| Attempt::new(endpoint, what, request, Expected::Unauthorised))
    .into()
}
