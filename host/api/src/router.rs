//! The table of contents: every route, its limit on bodies, and what lies around all of them.
//! Not here: what a route does.

use crate::{
    adapters, body, chat, documents, embeddings,
    error::{self, ErrorBody},
    health, keys, linger, logs, models, pipeline, plugins, request_id, search, settings,
    state::{AppState, Readiness},
    tenants,
};
use axum::{Json, Router, extract::DefaultBodyLimit, middleware, routing::get};
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
pub fn router(services: Services, readiness: Readiness) -> Router {
    let (router, document) = table(services.limits()).split_for_parts();
    let document = Arc::new(document);
    router
        .route(
            "/openapi.json",
            get(move || async move { Json(document.as_ref().clone()) }),
        )
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn(linger::read_on))
        .layer(middleware::from_fn(request_id::name_and_log))
        .with_state(AppState { services, readiness })
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
        // The operator's
        .routes(routes!(tenants::create_tenant, tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::delete_tenant))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::delete_key))
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
        (name = "operator", description = "Tenants and their keys, for whoever runs the server"),
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
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}
