//! `riad:documents`: searches and reads the room's documents and vector stores.

use crate::{
    bindings::{
        Passage, WitError,
        documents::documents::{Document, Host, Summary},
    },
    convert, errors,
    state::GuestState,
};
use riad_core::{document::Page, json::VALUES_MAX, ports::DocumentReader};
use wasmtime::component::Linker;

/// Links 0.1.0, which has the same functions but `list-documents` and `search-stores`: types are compared by their shape.
pub(crate) fn link_0_1(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("riad:documents/documents@0.1.0")?;
    instance.func_wrap_async("search", |mut store, (query, limit, filter): (String, u32, String)| {
        Box::new(async move { Ok((Host::search(store.data_mut(), query, limit, filter).await?,)) })
    })?;
    instance.func_wrap_async("get", |mut store, (id,): (String,)| {
        Box::new(async move { Ok((Host::get(store.data_mut(), id).await?,)) })
    })
}

impl Host for GuestState {
    async fn search(
        &mut self,
        query: String,
        limit: u32,
        filter: String,
    ) -> wasmtime::Result<Result<Vec<Passage>, WitError>> {
        let _pause = self.begin_host_call()?;
        Ok(find(&*self.capabilities.documents, None, &query, limit, &filter).await)
    }

    async fn search_stores(
        &mut self,
        stores: Vec<String>,
        query: String,
        limit: u32,
        filter: String,
    ) -> wasmtime::Result<Result<Vec<Passage>, WitError>> {
        let _pause = self.begin_host_call()?;
        Ok(find(&*self.capabilities.documents, Some(stores), &query, limit, &filter).await)
    }

    async fn get(&mut self, id: String) -> wasmtime::Result<Result<Document, WitError>> {
        let _pause = self.begin_host_call()?;
        let Ok(id) = id.parse() else {
            // A malformed id names no document.
            return Ok(Err(WitError::NotFound));
        };
        let found = self.capabilities.documents.get(&id).await;
        Ok(found
            .map(|found| Document {
                id: found.document.id.to_string(),
                title: found.document.title,
                text: found.text,
                metadata: convert::json(&found.document.metadata),
            })
            .map_err(|error| errors::to_wit(&error)))
    }

    async fn list_documents(
        &mut self,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<Summary>, WitError>> {
        let _pause = self.begin_host_call()?;
        let Ok(after) = after.map(|id| id.parse()).transpose() else {
            return Ok(Err(WitError::InvalidArgument(
                "`after` must be the id of a document".into(),
            )));
        };
        let found = self.capabilities.documents.list(&Page { after, limit }).await;
        Ok(found
            .map(|documents| documents.into_iter().map(summary).collect())
            .map_err(|error| errors::to_wit(&error)))
    }
}

/// In the vector stores of these ids, or without any in what the request searches.
async fn find(
    documents: &dyn DocumentReader,
    stores: Option<Vec<String>>,
    query: &str,
    limit: u32,
    filter: &str,
) -> Result<Vec<Passage>, WitError> {
    let filter = convert::parse_object(filter).ok_or_else(|| {
        WitError::InvalidArgument(format!("`filter` must be a JSON object of at most {VALUES_MAX} values"))
    })?;
    let found = match stores {
        None => documents.search(query, limit, filter).await,
        Some(stores) => {
            let stores: Result<_, riad_core::Error> = stores.iter().map(|id| id.parse()).collect();
            // A malformed id names no vector store.
            let stores = stores.map_err(|_| WitError::NotFound)?;
            documents.search_stores(stores, query, limit, filter).await
        }
    };
    found
        .map(|passages| passages.iter().map(convert::passage).collect())
        .map_err(|error| errors::to_wit(&error))
}

fn summary(document: riad_core::document::Document) -> Summary {
    Summary {
        id: document.id.to_string(),
        title: document.title,
        metadata: convert::json(&document.metadata),
        bytes: document.bytes,
        chunks: document.chunks,
    }
}
