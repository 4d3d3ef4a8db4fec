//! The host functions of one request's guests: one room, through the same use cases as HTTP. Not here: WIT (`sandbox`).

use crate::{
    embeddings,
    file_search::FileSearch,
    generations::Generations,
    guest_generations::GuestGenerations,
    metering::GuestMeter,
    reembedding,
    search::{self, SearchRequest},
    shared::Shared,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    DocumentId, Error, Result, TenantPass, VectorStoreId,
    document::{Document, DocumentWithText, Metadata, Page, Passage},
    ports::{
        CallObserver, Capabilities, DOCUMENTS_LISTED, DocumentReader, GuestCall, HttpClient, HttpFailure, HttpRequest,
        HttpResponse, Room, TextEmbedder, TextRole, TokenCounter,
    },
    ranking::Ranking,
    search_scope::SearchScope,
};
use std::sync::Arc;

/// Bytes of a text whose tokens are counted where the guest runs: that takes a few milliseconds at most, which is what a guest may
/// compute at once itself, and its time is limited. A standard prompt counts dozens of passages, each far shorter.
const INLINE_COUNT_BYTES: usize = 16 << 10;

/// A search of vector stores, and what the guests of a request have searched for in them.
pub(crate) struct GuestFileSearch {
    search: FileSearch,
    queries: Mutex<Vec<String>>,
}

impl GuestFileSearch {
    pub fn new(search: FileSearch) -> Self {
        Self {
            search,
            queries: Mutex::default(),
        }
    }

    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().clone()
    }

    pub fn ranking(&self, shared: &Shared) -> Ranking {
        self.search.ranking(shared)
    }
}

/// What they embed is metered to the request that they serve. With a file search, what they search is its vector stores.
pub(crate) fn capabilities(
    generations: &Generations,
    room: &Room,
    meter: GuestMeter,
    file_search: Option<Arc<GuestFileSearch>>,
) -> Capabilities {
    let (shared, pass) = (&generations.shared, &generations.pass);
    let room_capabilities = Arc::new(RoomCapabilities {
        shared: Arc::clone(shared),
        pass: pass.clone(),
        room: room.clone(),
        meter: meter.clone(),
        file_search,
    });
    Capabilities {
        documents: Arc::clone(&room_capabilities) as Arc<dyn DocumentReader>,
        sql: Arc::clone(&room.sql),
        kv: Arc::clone(&room.kv),
        embeddings: room_capabilities,
        generation: Arc::new(GuestGenerations::new(generations.clone(), meter)),
        http: Arc::new(GrantedHttp {
            shared: Arc::clone(shared),
            pass: pass.clone(),
        }),
        settings: Arc::clone(&room.settings),
        tokens: Arc::new(EngineTokenCounter {
            shared: Arc::clone(shared),
            pass: pass.clone(),
        }),
        log: shared.logs.open(pass),
        calls: Arc::new(CountedCalls {
            shared: Arc::clone(shared),
            pass: pass.clone(),
        }),
    }
}

struct RoomCapabilities {
    shared: Arc<Shared>,
    pass: TenantPass,
    room: Room,
    meter: GuestMeter,
    file_search: Option<Arc<GuestFileSearch>>,
}

impl RoomCapabilities {
    async fn search_files(
        &self,
        search: FileSearch,
        query: &str,
        limit: u32,
        filter: Metadata,
    ) -> Result<Vec<Passage>> {
        let search = FileSearch { filter, ..search };
        let (mut work, usage) = (self.shared.work(&self.pass), self.meter.handle()?);
        search
            .run(&self.shared, &mut work, usage, &self.room, query.to_owned(), limit, 0)
            .await
    }
}

#[async_trait]
impl DocumentReader for RoomCapabilities {
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>> {
        reembedding::start(&self.shared, &self.pass, &self.room);
        if let Some(file_search) = &self.file_search {
            file_search.queries.lock().push(query.to_owned());
            return self
                .search_files(file_search.search.clone(), query, limit, filter)
                .await;
        }
        // WIT allows a guest up to 100; a server with a lower limit returns fewer.
        let limit = limit.min(self.shared.limits.search_results);
        let request = SearchRequest {
            filter,
            ..SearchRequest::new(query.to_owned(), limit, SearchScope::Documents)
        };
        let mut work = self.shared.work(&self.pass);
        search::search_room(&self.shared, &mut work, self.meter.handle()?, &self.room, request, 0).await
    }

    async fn search_stores(
        &self,
        stores: Vec<VectorStoreId>,
        query: &str,
        limit: u32,
        filter: Metadata,
    ) -> Result<Vec<Passage>> {
        let search = FileSearch::new(stores);
        search.check()?;
        self.room.vector_stores.touch(&search.stores).await?;
        reembedding::start(&self.shared, &self.pass, &self.room);
        self.search_files(search, query, limit, filter).await
    }

    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText> {
        let (document, text) = self.room.documents.get(id, 0..u64::MAX).await?;
        let text = String::from_utf8(text.into()).map_err(Error::internal)?;
        Ok(DocumentWithText { document, text })
    }

    async fn list(&self, page: &Page) -> Result<Vec<Document>> {
        if page.limit == 0 || page.limit > DOCUMENTS_LISTED {
            return Err(Error::invalid(format!("`limit` must be 1 to {DOCUMENTS_LISTED}")));
        }
        self.room.documents.list(page).await
    }
}

#[async_trait]
impl TextEmbedder for RoomCapabilities {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let most = self.shared.limits.embedding_inputs;
        if texts.len() > most as usize {
            return Err(Error::invalid(format!("at most {most} texts can be embedded at once")));
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut work = self.shared.work(&self.pass);
        let (vectors, _) = embeddings::embed(
            &self.shared,
            &mut work,
            self.meter.handle()?,
            texts,
            TextRole::Unknown,
            0,
        )
        .await?;
        Ok(vectors)
    }
}

/// Requests to the hosts that the operator has granted.
struct GrantedHttp {
    shared: Arc<Shared>,
    pass: TenantPass,
}

#[async_trait]
impl HttpClient for GrantedHttp {
    async fn send(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpFailure> {
        let granted = &self.pass.policy().plugins.http_hosts;
        self.shared.http.send(self.pass.account(), granted, request).await
    }
}

/// What the calls of one request's guests used.
struct CountedCalls {
    shared: Arc<Shared>,
    pass: TenantPass,
}

impl CallObserver for CountedCalls {
    fn called(&self, call: &GuestCall) {
        self.shared.plugin_stats.add(self.pass.account(), call);
        self.shared.telemetry.guest_call(self.pass.tenant(), call);
    }
}

struct EngineTokenCounter {
    shared: Arc<Shared>,
    pass: TenantPass,
}

#[async_trait]
impl TokenCounter for EngineTokenCounter {
    async fn count(&self, text: String) -> Result<u32> {
        let engine = Arc::clone(&self.shared.engine);
        if text.len() <= INLINE_COUNT_BYTES {
            return Ok(engine.count_text(&text));
        }
        let mut work = self.shared.work(&self.pass);
        work.run(move || Ok(engine.count_text(&text))).await
    }
}
