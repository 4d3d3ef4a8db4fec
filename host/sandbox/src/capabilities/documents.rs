//! `riad:documents`: search and read in the room. Not here: how a search works.

use crate::{
    bindings::{
        Passage, WitError,
        documents::documents::{Document, Host},
    },
    convert, errors,
    state::GuestState,
};

impl Host for GuestState {
    async fn search(
        &mut self,
        query: String,
        limit: u32,
        filter: String,
    ) -> wasmtime::Result<Result<Vec<Passage>, WitError>> {
        let _away = self.host_call()?;
        let Some(filter) = convert::object(&filter) else {
            return Ok(Err(WitError::InvalidArgument("`filter` must be a JSON object".into())));
        };
        let found = self.capabilities.documents.search(&query, limit, filter).await;
        Ok(found
            .map(|passages| passages.iter().map(convert::passage).collect())
            .map_err(|error| errors::to_wit(&error)))
    }

    async fn get(&mut self, id: String) -> wasmtime::Result<Result<Document, WitError>> {
        let _away = self.host_call()?;
        let Ok(id) = id.parse() else {
            // What cannot be an id names no document.
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
}
