//! `riad:documents`: searches and reads the room's documents.

use crate::{
    bindings::{
        Passage, WitError,
        documents::documents::{Document, Host},
    },
    convert, errors,
    state::GuestState,
};
use riad_core::json::VALUES_MAX;

impl Host for GuestState {
    async fn search(
        &mut self,
        query: String,
        limit: u32,
        filter: String,
    ) -> wasmtime::Result<Result<Vec<Passage>, WitError>> {
        let _pause = self.begin_host_call()?;
        let Some(filter) = convert::parse_object(&filter) else {
            return Ok(Err(WitError::InvalidArgument(format!(
                "`filter` must be a JSON object of at most {VALUES_MAX} values"
            ))));
        };
        let found = self.capabilities.documents.search(&query, limit, filter).await;
        Ok(found
            .map(|passages| passages.iter().map(convert::passage).collect())
            .map_err(|error| errors::to_wit(&error)))
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
}
