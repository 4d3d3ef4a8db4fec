//! The table of contents: every route with its layers, and what lies around all of them. Not here: what a layer does
//! (`middleware`), what a handler does (a file for each resource).

use crate::{
    adapters, anthropic, audit,
    auth::MetricsAccess,
    body, chat, completions, content_encoding,
    cors::{self, AllowedOrigins},
    documents, drain_body, embeddings, error, file_uploads, files, health, keys, ledger, logs,
    memory::Memory,
    messages, metrics,
    middleware::{Layer, LayerState, Upload},
    models, moves,
    pages::Pages,
    pipeline, plans, plugins, receipts,
    request_id::{self, SetSpanParent},
    responses, rollups, scale, search, settings,
    state::AppState,
    tasks::Tasks,
    tenants, tokens, tools,
    uploads::UploadLimiter,
    usage, vector_stores,
};
use axum::{
    Json, Router,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use riad_api_types::error::ErrorBody;
use riad_core::{Limits, grants::Scope};
use riad_services::Services;
use std::{collections::BTreeSet, sync::Arc};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt},
    routes,
};

/// The whole HTTP surface over one set of services.
pub fn router(
    services: Services,
    metrics: MetricsAccess,
    origins: AllowedOrigins,
    set_span_parent: SetSpanParent,
    tasks: Tasks,
) -> Router {
    router_with_pages(services, metrics, origins, set_span_parent, tasks, |_| Router::new())
}

/// As [`router`], with pages beside it, inside the same layers around all routes. Their routes are of other paths.
pub fn router_with_pages(
    services: Services,
    metrics: MetricsAccess,
    origins: AllowedOrigins,
    set_span_parent: SetSpanParent,
    tasks: Tasks,
    pages: impl FnOnce(Pages) -> Router,
) -> Router {
    let uploads = services.limits().uploads;
    let memory = Memory::new(services.limits());
    let layers = LayerState {
        services: services.clone(),
        metrics,
        tasks,
        memory: memory.clone(),
        documents: UploadLimiter::new(uploads.saturating_mul(8), 4),
        artifacts: UploadLimiter::new(uploads, 1),
    };
    let mut router = OpenApiRouter::with_openapi(Document::openapi());
    for route in routes(services.limits()) {
        router = router.routes(route.attach(&layers));
    }
    let (router, document) = router.split_for_parts();
    let document = Arc::new(document);
    let state = AppState {
        services,
        memory: memory.clone(),
    };
    let api: Router = router
        .route(
            "/openapi.json",
            get(move || async move { Json(document.as_ref().clone()) }),
        )
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(state);
    let pages = pages(Pages::new(api.clone(), memory));
    api.merge(pages)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(content_encoding::refuse_encoded))
        .layer(from_fn(drain_body::drain_body))
        .layer(from_fn_with_state(origins, cors::allow_origins))
        .layer(from_fn(anthropic::shape_errors))
        .layer(from_fn_with_state(set_span_parent, request_id::identify_and_log))
}

/// The OpenAPI document of [`router`].
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let router = OpenApiRouter::with_openapi(Document::openapi());
    let routes = routes(&Limits::default()).into_iter();
    routes
        .fold(router, |router, route| router.routes(route.handlers))
        .into_openapi()
}

/// Handlers on one path that have the same layers.
struct Route {
    handlers: UtoipaMethodRouter<AppState>,
    layers: BTreeSet<Layer>,
}

impl Route {
    fn attach(self, state: &LayerState) -> UtoipaMethodRouter<AppState> {
        self.handlers.map(|handlers| {
            let inside_out = self.layers.into_iter().rev();
            inside_out.fold(handlers, |handlers, layer| layer.attach(handlers, state))
        })
    }
}

/// Every route of the document. The order in which a request passes the layers is that of [`Layer`], not that of a line here.
fn routes(limits: &Limits) -> Vec<Route> {
    use Layer::{BodyLimit, CountBytes, Idempotency, Metrics, Operator, RateHeaders, Tenant, UploadPermit};
    let route = |handlers, layers: &[Layer]| {
        let mut layers: BTreeSet<_> = layers.iter().copied().collect();
        if !layers.iter().any(|layer| matches!(layer, BodyLimit(_))) {
            layers.insert(BodyLimit(limits.request_bytes));
            // An upload is counted by its permit.
            if layers.contains(&Tenant) {
                layers.insert(CountBytes(limits.request_bytes));
            }
        }
        Route { handlers, layers }
    };
    let document_body = BodyLimit(body::document_body_bytes(limits));
    let file_body = BodyLimit(body::file_body_bytes(limits));
    let part_body = BodyLimit(body::part_body_bytes(limits));
    let adapter_body = BodyLimit(body::adapter_body_bytes(limits));
    let plugin_body = BodyLimit(limits.plugin_bytes);
    let document_permit = UploadPermit(Upload::Document);
    let artifact_permit = UploadPermit(Upload::Artifact);
    vec![
        route(routes!(health::healthz), &[]),
        route(routes!(health::readyz), &[]),
        route(routes!(metrics::metrics), &[Metrics]),
        // OpenAI's
        route(routes!(models::list_models), &[Tenant]),
        route(routes!(models::get_model), &[Tenant]),
        route(routes!(models::get_model_of_owner), &[Tenant]),
        route(
            routes!(chat::create_chat_completion),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        route(
            routes!(completions::create_completion),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        // These change nothing and cost no money.
        route(routes!(tokens::tokenize), &[Tenant]),
        route(routes!(tokens::detokenize), &[Tenant]),
        route(
            routes!(responses::create_response),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        route(routes!(responses::get_response, responses::delete_response), &[Tenant]),
        route(routes!(responses::list_input_items), &[Tenant]),
        route(
            routes!(embeddings::create_embeddings),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        route(routes!(files::create_file), &[Tenant, file_body, document_permit]),
        route(routes!(files::list_files), &[Tenant]),
        route(routes!(files::get_file, files::delete_file), &[Tenant]),
        route(routes!(files::get_file_content), &[Tenant]),
        route(routes!(file_uploads::create_upload), &[Tenant]),
        route(
            routes!(file_uploads::add_upload_part),
            &[Tenant, part_body, document_permit],
        ),
        route(routes!(file_uploads::complete_upload), &[Tenant]),
        route(routes!(file_uploads::cancel_upload), &[Tenant]),
        route(
            routes!(vector_stores::create_vector_store, vector_stores::list_vector_stores),
            &[Tenant],
        ),
        route(
            routes!(
                vector_stores::get_vector_store,
                vector_stores::change_vector_store,
                vector_stores::delete_vector_store
            ),
            &[Tenant],
        ),
        // A search changes nothing: there is nothing to run once.
        route(routes!(vector_stores::search_vector_store), &[Tenant, RateHeaders]),
        route(
            routes!(
                vector_stores::files::add_vector_store_file,
                vector_stores::files::list_vector_store_files
            ),
            &[Tenant],
        ),
        route(
            routes!(
                vector_stores::files::get_vector_store_file,
                vector_stores::files::change_vector_store_file,
                vector_stores::files::remove_vector_store_file
            ),
            &[Tenant],
        ),
        route(routes!(vector_stores::files::get_vector_store_file_content), &[Tenant]),
        route(routes!(vector_stores::files::create_file_batch), &[Tenant]),
        route(routes!(vector_stores::files::get_file_batch), &[Tenant]),
        route(routes!(vector_stores::files::cancel_file_batch), &[Tenant]),
        route(routes!(vector_stores::files::list_file_batch_files), &[Tenant]),
        // Anthropic's
        route(
            routes!(messages::create_message),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        // It changes nothing: there is nothing to run once.
        route(routes!(messages::count_message_tokens), &[Tenant, RateHeaders]),
        // A tenant's own
        route(
            routes!(documents::create_document),
            &[
                Tenant,
                document_body,
                document_permit,
                RateHeaders,
                Idempotency(Scope::Documents),
            ],
        ),
        route(routes!(documents::list_documents), &[Tenant]),
        route(routes!(documents::get_document, documents::delete_document), &[Tenant]),
        route(routes!(documents::jobs::get_document_job), &[Tenant]),
        route(routes!(documents::jobs::follow_document_job), &[Tenant]),
        route(routes!(documents::jobs::cancel_document_job), &[Tenant]),
        // A search changes nothing: there is nothing to run once.
        route(routes!(search::search), &[Tenant, RateHeaders]),
        route(routes!(tools::list_tools), &[Tenant, RateHeaders]),
        route(
            routes!(tools::call_tool),
            &[Tenant, RateHeaders, Idempotency(Scope::Chat)],
        ),
        route(routes!(plugins::put_plugin), &[Tenant, plugin_body, artifact_permit]),
        route(routes!(plugins::list_plugins), &[Tenant]),
        route(routes!(plugins::get_plugin_stats), &[Tenant]),
        route(routes!(plugins::delete_plugin), &[Tenant]),
        route(routes!(pipeline::get_pipeline, pipeline::put_pipeline), &[Tenant]),
        route(routes!(settings::get_settings, settings::put_settings), &[Tenant]),
        route(routes!(adapters::put_adapter), &[Tenant, adapter_body, artifact_permit]),
        route(routes!(adapters::delete_adapter, adapters::patch_adapter), &[Tenant]),
        route(routes!(adapters::list_generations), &[Tenant]),
        route(routes!(adapters::roll_back_adapter), &[Tenant]),
        route(routes!(adapters::list_adapters), &[Tenant]),
        route(routes!(logs::list_logs), &[Tenant]),
        // A tenant's money and keys
        route(routes!(usage::get_usage), &[Tenant]),
        route(routes!(usage::get_costs), &[Tenant]),
        route(routes!(receipts::list_receipts), &[Tenant]),
        route(routes!(receipts::list_receipt_keys), &[]),
        route(routes!(keys::create_own_key, keys::list_own_keys), &[Tenant]),
        route(routes!(keys::patch_own_key, keys::delete_own_key), &[Tenant]),
        route(routes!(keys::rotate_own_key), &[Tenant]),
        route(routes!(audit::list_audit), &[Tenant]),
        // The operator's
        route(routes!(tenants::create_tenant, tenants::list_tenants), &[Operator]),
        route(
            routes!(tenants::get_tenant, tenants::patch_tenant, tenants::delete_tenant),
            &[Operator],
        ),
        route(
            routes!(moves::begin_move, moves::receive_move, moves::abort_move),
            &[Operator],
        ),
        route(routes!(moves::prefetch_room), &[Operator]),
        route(routes!(moves::finish_move), &[Operator]),
        route(routes!(moves::save_room), &[Operator]),
        route(routes!(moves::get_cell), &[Operator]),
        route(routes!(keys::create_key, keys::list_keys), &[Operator]),
        route(routes!(keys::patch_key, keys::delete_key), &[Operator]),
        route(routes!(keys::rotate_key), &[Operator]),
        route(routes!(plans::list_plans), &[Operator]),
        route(routes!(plans::put_plan), &[Operator]),
        route(routes!(usage::get_all_usage), &[Operator]),
        route(routes!(usage::get_all_costs), &[Operator]),
        route(routes!(rollups::list_rollups), &[Operator]),
        route(routes!(ledger::list_entries), &[Operator]),
        route(routes!(ledger::verify_ledger), &[Operator]),
        route(routes!(audit::list_all_audit), &[Operator]),
        route(routes!(scale::get_scale), &[Operator]),
    ]
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
        (name = "anthropic", description = "Anthropic's endpoints; its clients work by changing `base_url` and the key, which may be sent as `x-api-key`"),
        (name = "room", description = "What a tenant keeps in its room"),
        (name = "usage", description = "What a tenant used and paid, and its keys"),
        (name = "operator", description = "Tenants, their keys, prices and bills, for the operator of the server"),
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

#[cfg(test)]
mod tests;
