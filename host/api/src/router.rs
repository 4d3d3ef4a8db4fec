//! The table of contents: every route, its limit on bodies, and what lies around all of them.
//! Not here: what a route does.

use crate::{
    adapters, audit, body, chat, documents, embeddings, error, health, keys, ledger, linger, logs, metered, metrics,
    models, pipeline, plans, plugins, receipts,
    request_id::{self, Follow},
    rollups, scale, search, settings,
    state::{AppState, MetricsAccess},
    tasks::Tasks,
    tenants,
    uploads::Uploads,
    usage,
};
use axum::{Json, Router, extract::DefaultBodyLimit, middleware, routing::get};
use riad_api_types::error::ErrorBody;
use riad_core::Limits;
use riad_services::Services;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

/// The whole HTTP surface over one set of services.
pub fn router(services: Services, metrics: MetricsAccess, follow: Follow, tasks: Tasks) -> Router {
    let state = AppState {
        uploads: Uploads::new(services.limits().uploads, 1),
        documents: Uploads::new(services.limits().uploads.saturating_mul(8), 4),
        tasks,
        services,
        metrics,
    };
    let (router, document) = table(state.services.limits()).split_for_parts();
    let document = Arc::new(document);
    router
        .route(
            "/openapi.json",
            get(move || async move { Json(document.as_ref().clone()) }),
        )
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(state.clone(), metered::metered))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(linger::read_on))
        .layer(middleware::from_fn_with_state(follow, request_id::name_and_log))
        .with_state(state)
}

/// The OpenAPI document of [`router`].
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    table(&Limits::default()).into_openapi()
}

fn table(limits: &Limits) -> OpenApiRouter<AppState> {
    let at_most = |bytes: u64| DefaultBodyLimit::max(usize::try_from(bytes).unwrap_or(usize::MAX));
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        // OpenAI's
        .routes(routes!(models::list_models))
        .routes(routes!(models::get_model))
        .routes(routes!(chat::create_chat_completion))
        .routes(routes!(embeddings::create_embeddings))
        // A tenant's own
        .routes(
            routes!(documents::create_document, documents::list_documents).layer(at_most(body::document_body(limits))),
        )
        .routes(routes!(documents::get_document, documents::delete_document))
        .routes(routes!(search::search))
        .routes(routes!(plugins::put_plugin).layer(at_most(limits.plugin_bytes)))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(pipeline::get_pipeline, pipeline::put_pipeline))
        .routes(routes!(settings::get_settings, settings::put_settings))
        .routes(routes!(adapters::put_adapter, adapters::delete_adapter).layer(at_most(body::adapter_body(limits))))
        .routes(routes!(adapters::list_adapters))
        .routes(routes!(logs::list_logs))
        // A tenant's money and keys
        .routes(routes!(usage::get_usage))
        .routes(routes!(usage::get_costs))
        .routes(routes!(receipts::list_receipts))
        .routes(routes!(receipts::list_receipt_keys))
        .routes(routes!(keys::create_own_key, keys::list_own_keys))
        .routes(routes!(keys::patch_own_key, keys::delete_own_key))
        .routes(routes!(keys::rotate_own_key))
        .routes(routes!(audit::list_audit))
        // The operator's
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(
            tenants::get_tenant,
            tenants::patch_tenant,
            tenants::delete_tenant
        ))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::patch_key, keys::delete_key))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(plans::list_plans))
        .routes(routes!(plans::put_plan))
        .routes(routes!(usage::get_all_usage))
        .routes(routes!(usage::get_all_costs))
        .routes(routes!(rollups::list_rollups))
        .routes(routes!(ledger::list_entries))
        .routes(routes!(ledger::verify_ledger))
        .routes(routes!(audit::list_all_audit))
        .routes(routes!(scale::get_scale))
        // A route's own limit lies inside and wins.
        .layer(at_most(limits.request_bytes))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Riad",
        description = "One model, many tenants, a private room for each. OpenAI's wire format wherever it has one."
    ),
    components(schemas(ErrorBody)),
    modifiers(&Keys),
    tags(
        (name = "openai", description = "OpenAI's endpoints; existing clients work by changing `base_url` and the key"),
        (name = "room", description = "What a tenant keeps in its room"),
        (name = "usage", description = "What a tenant used and paid, and its keys"),
        (name = "operator", description = "Tenants, their keys, prices and bills, for whoever runs the server"),
        (name = "health", description = "For load balancers; without a key")
    )
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        for (name, description) in [
            ("tenant_key", "A tenant's key, `riad_sk_…`"),
            ("operator_key", "The operator's key, `riad_op_…`"),
            (
                "metrics_key",
                "`RIAD_METRICS_KEY` of the server, which opens `/metrics` and nothing else",
            ),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}
