//! `/v1/vector_stores`: the stores and searching them, in OpenAI's shapes. Not here: their files (`files`), what becomes of those
//! (`services`).

pub(crate) mod files;

use crate::{
    auth::Tenant,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    query::QueryParts,
    ranking,
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::{
    ranking::RankingOptions,
    vector_stores::{
        ChunkingStrategy, DeletedVectorStore, ExpiresAfter, Filter, NewVectorStore, TextPart, VectorStore,
        VectorStoreChange, VectorStoreList, VectorStoreParams, VectorStoreSearch, VectorStoreSearchResult,
        VectorStoreSearchResults,
    },
};
use riad_core::{
    Error, Timestamp, VectorStoreId,
    vector_store::{self, ChunkSize, VectorStorePage},
};
use riad_services::vector_stores::{FileSearch, FoundPassage, StoreSearch};

const DEFAULT_LIMIT: u32 = 20;
const DEFAULT_RESULTS: u32 = 10;
/// The one moment that a store's time can be counted from.
const ANCHOR: &str = "last_active_at";

/// Make a vector store
#[utoipa::path(post, path = "/v1/vector_stores", tag = "openai", security(("tenant_key" = [])),
    request_body = NewVectorStore, responses((status = 200, body = VectorStore), Failures))]
pub(crate) async fn create_vector_store(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<NewVectorStore>,
) -> ApiResult<Json<VectorStore>> {
    let chunk_size = body.chunking_strategy.map(chunk_size).transpose()?.flatten();
    let file = |(index, id): (usize, String)| files::read_id(&format!("file_ids[{index}]"), &id);
    let files = body
        .file_ids
        .into_iter()
        .enumerate()
        .map(file)
        .collect::<Result<_, Error>>()?;
    let new = vector_store::NewVectorStore {
        name: body.name,
        description: body.description,
        metadata: body.metadata,
        expires_after_days: body.expires_after.map(days).transpose()?,
    };
    let stores = state.services.vector_stores();
    let created = stores.create(&pass, new, files, chunk_size).await?;
    Ok(Json(answer(created)))
}

/// List the caller's vector stores
#[utoipa::path(get, path = "/v1/vector_stores", tag = "openai", security(("tenant_key" = [])),
    params(VectorStoreParams), responses((status = 200, body = VectorStoreList), Failures))]
pub(crate) async fn list_vector_stores(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(query): QueryParts<VectorStoreParams>,
) -> ApiResult<Json<VectorStoreList>> {
    let page = VectorStorePage {
        after: bound("after", query.after)?,
        before: bound("before", query.before)?,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        ascending: is_ascending(query.order.as_deref())?,
    };
    let list = state.services.vector_stores().list(&pass, page).await?;
    let data: Vec<_> = list.data.into_iter().map(answer).collect();
    Ok(Json(VectorStoreList {
        object: "list".into(),
        first_id: data.first().map(|store| store.id.clone()),
        last_id: data.last().map(|store| store.id.clone()),
        has_more: list.has_more,
        data,
    }))
}

/// A vector store, and what has become of its files
#[utoipa::path(get, path = "/v1/vector_stores/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = VectorStore), Failures))]
pub(crate) async fn get_vector_store(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<VectorStore>> {
    let id = body::parse_id("vector store", &id)?;
    Ok(Json(answer(state.services.vector_stores().get(&pass, &id).await?)))
}

/// Change a vector store
#[utoipa::path(post, path = "/v1/vector_stores/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body = VectorStoreChange,
    responses((status = 200, body = VectorStore), Failures))]
pub(crate) async fn change_vector_store(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<VectorStoreChange>,
) -> ApiResult<Json<VectorStore>> {
    let id = body::parse_id("vector store", &id)?;
    let expires_after_days = match body.expires_after {
        None => None,
        Some(None) => Some(None),
        Some(Some(after)) => Some(Some(days(after)?)),
    };
    let change = vector_store::VectorStoreChange {
        name: body.name,
        metadata: body.metadata,
        expires_after_days,
    };
    let changed = state.services.vector_stores().change(&pass, &id, change).await?;
    Ok(Json(answer(changed)))
}

/// Delete a vector store; its files stay among the caller's files
#[utoipa::path(delete, path = "/v1/vector_stores/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedVectorStore), Failures))]
pub(crate) async fn delete_vector_store(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedVectorStore>> {
    let store = body::parse_id("vector store", &id)?;
    state.services.vector_stores().delete(&pass, &store).await?;
    Ok(Json(DeletedVectorStore {
        id,
        object: "vector_store.deleted".into(),
        deleted: true,
    }))
}

/// Search the files of a vector store by words and by meaning
#[utoipa::path(post, path = "/v1/vector_stores/{id}/search", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body = VectorStoreSearch,
    responses((status = 200, body = VectorStoreSearchResults), Failures))]
pub(crate) async fn search_vector_store(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    JsonBody(mut body): JsonBody<VectorStoreSearch>,
) -> ApiResult<Json<VectorStoreSearchResults>> {
    let id = body::parse_id("vector store", &id)?;
    let queries = body.queries()?;
    let request = StoreSearch {
        query: queries.join("\n"),
        rewrites: body.rewrite_query == Some(true),
        search: file_search(
            vec![id],
            body.max_num_results,
            body.filters,
            body.ranking_options.as_ref(),
        )?,
    };
    let searched = state.services.vector_stores().search(&pass, request).await?;
    Ok(Json(VectorStoreSearchResults {
        object: "vector_store.search_results.page".into(),
        search_query: searched.rewritten.map_or(queries, |query| vec![query]),
        data: searched.found.into_iter().map(result).collect(),
        has_more: false,
        next_page: None,
    }))
}

/// As a client reads a passage of a file.
fn result(found: FoundPassage) -> VectorStoreSearchResult {
    VectorStoreSearchResult {
        file_id: found.file.into(),
        filename: found.name,
        score: found.passage.score,
        attributes: found.passage.metadata,
        content: vec![TextPart::new(found.passage.text)],
    }
}

pub(crate) fn file_search(
    stores: Vec<VectorStoreId>,
    limit: Option<u32>,
    filters: Option<Filter>,
    ranking: Option<&RankingOptions>,
) -> Result<FileSearch, Error> {
    let ranking = ranking.map(ranking::read).transpose()?.unwrap_or_default();
    Ok(FileSearch {
        stores,
        limit: limit.unwrap_or(DEFAULT_RESULTS),
        attributes: filters.map(Filter::read).transpose()?,
        filter: serde_json::Map::new(),
        ranking: ranking.options,
        least_score: ranking.least_score,
    })
}

fn answer(store: vector_store::VectorStore) -> VectorStore {
    VectorStore::at(Timestamp::now().as_seconds(), store)
}

fn days(after: ExpiresAfter) -> Result<u32, Error> {
    match after.anchor == ANCHOR {
        true => Ok(after.days),
        false => Err(Error::invalid(format!("anchor must be {ANCHOR}")).with_param("expires_after.anchor")),
    }
}

/// `None` for the server's own.
fn chunk_size(strategy: ChunkingStrategy) -> Result<Option<ChunkSize>, Error> {
    match strategy {
        ChunkingStrategy::Auto {} => Ok(None),
        ChunkingStrategy::Static { r#static } => Ok(Some(ChunkSize {
            max_tokens: r#static.max_chunk_size_tokens,
            overlap_tokens: r#static.chunk_overlap_tokens,
        })),
        ChunkingStrategy::Other {} => {
            Err(Error::invalid("the type of a chunking_strategy must be auto or static")
                .with_param("chunking_strategy"))
        }
    }
}

/// The id in a parameter of a listing.
fn bound<T: std::str::FromStr<Err = Error>>(param: &str, id: Option<String>) -> Result<Option<T>, Error> {
    id.map(|id| id.parse().map_err(|error: Error| error.with_param(param)))
        .transpose()
}

fn is_ascending(order: Option<&str>) -> Result<bool, Error> {
    match order {
        None | Some("desc") => Ok(false),
        Some("asc") => Ok(true),
        Some(_) => Err(Error::invalid("order must be asc or desc").with_param("order")),
    }
}
