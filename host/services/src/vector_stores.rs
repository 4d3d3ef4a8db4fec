//! Vector stores: making, changing and searching them, and their files. Not here: indexing those (`indexing`), how they are stored (`store`).

mod check;

pub use crate::file_search::FileSearch;
use crate::{audit, embeddings, indexing, query_rewriting, reembedding, shared::Shared};
use riad_core::{
    Error, FileBatchId, FileId, Result, TenantPass, VectorStoreId,
    document::{Metadata, Passage},
    grants::{Access, Scope},
    ledger::Kind,
    ports::Room,
    ranking::Ranking,
    vector_store::{
        ChunkSize, FileBatch, IndexingStatus, NewVectorStore, NewVectorStoreFile, VectorStore, VectorStoreChange,
        VectorStoreFile, VectorStoreFilePage, VectorStorePage,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// OpenAI's bound.
const BATCH_MAX: usize = 500;

pub struct VectorStoreService(pub(crate) Arc<Shared>);

/// A page, and whether there are more.
pub struct Listed<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

#[derive(Clone)]
pub struct StoreSearch {
    pub query: String,
    /// Whether the model is to word the query first.
    pub rewrites: bool,
    pub search: FileSearch,
}

pub struct SearchedStore {
    /// As it was worded, if it was.
    pub rewritten: Option<String>,
    /// Best first.
    pub found: Vec<FoundPassage>,
}

/// A passage of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPassage {
    pub file: FileId,
    pub name: String,
    /// Its score is from 0 to 1: of the most that a passage which is the first by words and by meaning has.
    pub passage: Passage,
}

impl VectorStoreService {
    /// With files that wait to be indexed then, in chunks of this size.
    ///
    /// # Errors
    /// `InvalidRequest` for what is not within OpenAI's bounds, `NotFound` for a file that the room does not have; `Conflict` if it has too
    /// many vector stores; `Forbidden`; `Busy` after too many changes.
    pub async fn create(
        &self,
        pass: &TenantPass,
        store: NewVectorStore,
        files: Vec<FileId>,
        chunk_size: Option<ChunkSize>,
    ) -> Result<VectorStore> {
        check::store(Some(&store.name), Some(&store.metadata), store.expires_after_days)?;
        check::description(store.description.as_deref())?;
        chunk_size.map_or(Ok(()), check::chunk_size)?;
        let new = |file| NewVectorStoreFile {
            file,
            attributes: Metadata::new(),
            chunk_size,
        };
        let files: Vec<_> = files.into_iter().map(new).collect();
        check::files(&files, BATCH_MAX, "file_ids")?;
        let room = self.begin_change(pass).await?;
        check_there(&room, &files, "file_ids").await?;
        let (shared, owner) = (Arc::clone(&self.0), pass.clone());
        let created = audit::run_to_completion(async move {
            let created = room.vector_stores.create(store).await?;
            audit::record(&shared, &owner, "vector_store.create", created.id.as_str()).await?;
            if files.is_empty() {
                return Ok(created);
            }
            indexing::own_files(&shared, &owner, &created.id, &files);
            let added = room.vector_stores.add(&created.id, files).await;
            added.map_err(|error| removed_meanwhile(error, "file_ids"))?;
            room.vector_stores.get(&created.id).await
        })
        .await?;
        self.go_on(pass, &created);
        Ok(created)
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn get(&self, pass: &TenantPass, id: &VectorStoreId) -> Result<VectorStore> {
        let store = self.read(pass).await?.vector_stores.get(id).await?;
        self.go_on(pass, &store);
        Ok(store)
    }

    /// # Errors
    /// `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn list(&self, pass: &TenantPass, page: VectorStorePage) -> Result<Listed<VectorStore>> {
        let limit = check::limit(page.limit)?;
        let page = VectorStorePage {
            limit: limit + 1,
            ..page
        };
        let backwards = page.before.is_some();
        let stores = self.read(pass).await?.vector_stores.list(&page).await?;
        Ok(Listed::new(stores, limit, backwards))
    }

    /// # Errors
    /// As `create`.
    pub async fn change(
        &self,
        pass: &TenantPass,
        id: &VectorStoreId,
        change: VectorStoreChange,
    ) -> Result<VectorStore> {
        let days = change.expires_after_days.flatten();
        check::store(change.name.as_deref(), change.metadata.as_ref(), days)?;
        let room = self.begin_change(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            let changed = room.vector_stores.change(&id, change).await?;
            audit::record(&shared, &pass, "vector_store.change", id.as_str()).await?;
            Ok(changed)
        })
        .await
    }

    /// Its files stay among the tenant's files.
    ///
    /// # Errors
    /// `NotFound` if the room has none with the id; `Forbidden`; `Busy` after too many changes.
    pub async fn delete(&self, pass: &TenantPass, id: &VectorStoreId) -> Result<()> {
        let room = self.begin_change(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            room.vector_stores.delete(&id).await?;
            audit::record(&shared, &pass, "vector_store.delete", id.as_str()).await
        })
        .await
    }

    /// Adds a file and waits until it is indexed, for as long as a request may take; it goes on then.
    ///
    /// # Errors
    /// As `create`.
    pub async fn add(&self, pass: &TenantPass, id: &VectorStoreId, new: NewVectorStoreFile) -> Result<VectorStoreFile> {
        check::file(&new)?;
        let room = self.begin_change(pass).await?;
        let file = new.file.clone();
        let (shared, owner, changed) = (Arc::clone(&self.0), pass.clone(), room.clone());
        let (store, object) = (id.clone(), format!("{id}/{file}"));
        audit::run_to_completion(async move {
            let files = vec![new];
            indexing::own_files(&shared, &owner, &store, &files);
            changed.vector_stores.add(&store, files).await?;
            audit::record(&shared, &owner, "vector_store_file.create", &object).await
        })
        .await?;
        let mut ended = indexing::start(&self.0, pass);
        let deadline = Instant::now() + Duration::from_millis(self.0.limits.request_ms);
        loop {
            let found = room.vector_stores.file(id, &file).await?;
            if found.status != IndexingStatus::InProgress {
                return Ok(found);
            }
            match timeout_at(deadline, ended.changed()).await {
                Ok(Ok(())) => {}
                // The job has ended, after this file or with another try to come.
                Ok(Err(_)) => return room.vector_stores.file(id, &file).await,
                Err(_) => return Ok(found),
            }
        }
    }

    /// Adds files that wait then. `param` is the member of the request that names them, of which errors about them have the place.
    ///
    /// # Errors
    /// As `create`.
    pub async fn add_batch(
        &self,
        pass: &TenantPass,
        id: &VectorStoreId,
        files: Vec<NewVectorStoreFile>,
        param: &'static str,
    ) -> Result<FileBatch> {
        if files.is_empty() {
            return Err(Error::invalid("a batch must have a file at least").with_param(param));
        }
        check::files(&files, BATCH_MAX, param)?;
        let room = self.begin_change(pass).await?;
        check_there(&room, &files, param).await?;
        let (shared, owner, store) = (Arc::clone(&self.0), pass.clone(), id.clone());
        let batch = audit::run_to_completion(async move {
            indexing::own_files(&shared, &owner, &store, &files);
            let added = room.vector_stores.add_batch(&store, files).await;
            let batch = added.map_err(|error| removed_meanwhile(error, param))?;
            let object = format!("{store}/{}", batch.id);
            audit::record(&shared, &owner, "vector_store_batch.create", &object).await?;
            Ok(batch)
        })
        .await?;
        indexing::start(&self.0, pass);
        Ok(batch)
    }

    /// # Errors
    /// `NotFound` if the room has no such store or the store no such batch.
    pub async fn batch(&self, pass: &TenantPass, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch> {
        let found = self.read(pass).await?.vector_stores.batch(id, batch).await?;
        self.go_on_if(pass, found.files.in_progress > 0);
        Ok(found)
    }

    /// Files of the batch that wait are not indexed.
    ///
    /// # Errors
    /// As `batch`; `Forbidden`; `Busy` after too many changes.
    pub async fn cancel_batch(&self, pass: &TenantPass, id: &VectorStoreId, batch: &FileBatchId) -> Result<FileBatch> {
        let room = self.begin_change(pass).await?;
        let (shared, pass, id, batch) = (Arc::clone(&self.0), pass.clone(), id.clone(), batch.clone());
        audit::run_to_completion(async move {
            let cancelled = room.vector_stores.cancel_batch(&id, &batch).await?;
            let object = format!("{id}/{batch}");
            audit::record(&shared, &pass, "vector_store_batch.cancel", &object).await?;
            Ok(cancelled)
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has no such store or the store no such file.
    pub async fn file(&self, pass: &TenantPass, id: &VectorStoreId, file: &FileId) -> Result<VectorStoreFile> {
        let found = self.read(pass).await?.vector_stores.file(id, file).await?;
        self.go_on_if(pass, found.status == IndexingStatus::InProgress);
        Ok(found)
    }

    /// # Errors
    /// `NotFound` as above, also for a batch; `InvalidRequest` for a limit of 0 or over the greatest, and for a bound that was never in the store.
    pub async fn files(
        &self,
        pass: &TenantPass,
        id: &VectorStoreId,
        page: VectorStoreFilePage,
    ) -> Result<Listed<VectorStoreFile>> {
        let limit = check::limit(page.limit)?;
        let page = VectorStoreFilePage {
            limit: limit + 1,
            ..page
        };
        let backwards = page.before.is_some();
        let files = self.read(pass).await?.vector_stores.files(id, &page).await?;
        self.go_on_if(pass, files.iter().any(|file| file.status == IndexingStatus::InProgress));
        Ok(Listed::new(files, limit, backwards))
    }

    /// The text that is searched of a file.
    ///
    /// # Errors
    /// `NotFound` also for a file that is not indexed.
    pub async fn text(&self, pass: &TenantPass, id: &VectorStoreId, file: &FileId) -> Result<String> {
        self.read(pass).await?.vector_stores.text(id, file).await
    }

    /// # Errors
    /// As `file`, and as `create`.
    pub async fn set_attributes(
        &self,
        pass: &TenantPass,
        id: &VectorStoreId,
        file: &FileId,
        attributes: Metadata,
    ) -> Result<VectorStoreFile> {
        check::attributes(&attributes)?;
        let room = self.begin_change(pass).await?;
        let (shared, pass, id, file) = (Arc::clone(&self.0), pass.clone(), id.clone(), file.clone());
        audit::run_to_completion(async move {
            let changed = room.vector_stores.set_attributes(&id, &file, attributes).await?;
            audit::record(&shared, &pass, "vector_store_file.change", &format!("{id}/{file}")).await?;
            Ok(changed)
        })
        .await
    }

    /// When it returns, no search of the store finds the file. It stays among the tenant's files.
    ///
    /// # Errors
    /// As `file`; `Forbidden`; `Busy` after too many changes.
    pub async fn remove(&self, pass: &TenantPass, id: &VectorStoreId, file: &FileId) -> Result<()> {
        let room = self.begin_change(pass).await?;
        let (shared, pass, id, file) = (Arc::clone(&self.0), pass.clone(), id.clone(), file.clone());
        audit::run_to_completion(async move {
            room.vector_stores.remove(&id, &file).await?;
            audit::record(&shared, &pass, "vector_store_file.delete", &format!("{id}/{file}")).await
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room does not have one of the stores, `InvalidRequest` for one that has expired, and for a query, limit or filter
    /// out of bounds; `Forbidden`, `Busy` and `QuotaExceeded` as for a chat.
    pub async fn search(&self, pass: &TenantPass, request: StoreSearch) -> Result<SearchedStore> {
        pass.require(Scope::Documents, Access::Read)?;
        let StoreSearch {
            query,
            rewrites,
            search,
        } = request;
        search.check()?;
        if query.trim().is_empty() {
            return Err(Error::invalid("a query must have text in it").with_param("query"));
        }
        let room = self.0.rooms.open(pass).await?;
        room.vector_stores.touch(&search.stores).await?;
        let meter = self
            .0
            .metering
            .admit(pass, embeddings::purpose(&self.0, Kind::Search))
            .await?;
        reembedding::start(&self.0, pass, &room);
        let rewritten = match rewrites {
            true => {
                let rewriting = query_rewriting::rewrite(&self.0, pass, &meter, query.clone());
                Some(meter.record_result(rewriting.await)?)
            }
            false => None,
        };
        let query = rewritten.clone().unwrap_or(query);
        let mut work = self.0.work(pass);
        let found = search
            .run(&self.0, &mut work, meter.handle(), &room, query, search.limit, 1)
            .await;
        let passages = meter.record_engine_result(found)?;
        meter.settle().await?;
        let found = with_sources(&room, passages, &search.ranking(&self.0)).await?;
        Ok(SearchedStore {
            rewritten,
            found: found.into_iter().flatten().collect(),
        })
    }

    async fn read(&self, pass: &TenantPass) -> Result<Room> {
        pass.require(Scope::Documents, Access::Read)?;
        self.0.rooms.open(pass).await
    }

    async fn begin_change(&self, pass: &TenantPass) -> Result<Room> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        self.0.rooms.open(pass).await
    }

    fn go_on(&self, pass: &TenantPass, store: &VectorStore) {
        self.go_on_if(pass, store.files.in_progress > 0);
    }

    /// Files that wait since before a crash go on with whoever asks for them and may add files.
    fn go_on_if(&self, pass: &TenantPass, is_waiting: bool) {
        if is_waiting && pass.require(Scope::Documents, Access::Write).is_ok() {
            indexing::start(&self.0, pass);
        }
    }
}

/// # Errors
/// `NotFound` names the place of the first file that the room does not have.
async fn check_there(room: &Room, files: &[NewVectorStoreFile], param: &str) -> Result<()> {
    for (index, new) in files.iter().enumerate() {
        let found = room.files.get(&new.file).await;
        found.map_err(|error| error.with_param(format!("{param}[{index}]")))?;
    }
    Ok(())
}

/// The error of adding a file that was there before.
fn removed_meanwhile(error: Error, param: &str) -> Error {
    match error.param() {
        Some("file_id") => error.with_param(param),
        Some(_) | None => error,
    }
}

impl<T> Listed<T> {
    /// Of one more than the limit, which tells whether there are more. Read backwards, it is the first one.
    fn new(mut data: Vec<T>, limit: u32, backwards: bool) -> Self {
        let has_more = data.len() > limit as usize;
        match (has_more, backwards) {
            (true, true) => drop(data.remove(0)),
            (true, false) => data.truncate(limit as usize),
            (false, _) => {}
        }
        Self { data, has_more }
    }
}

/// With the files that the passages are of, and scores from 0 to 1. `None` in the place of one whose file was removed meanwhile.
pub(crate) async fn with_sources(
    room: &Room,
    passages: Vec<Passage>,
    ranking: &Ranking,
) -> Result<Vec<Option<FoundPassage>>> {
    let documents: Vec<_> = passages.iter().map(|passage| passage.document.clone()).collect();
    let sources = room.vector_stores.sources(&documents).await?;
    let best = ranking.best_score();
    let found = passages.into_iter().zip(sources).map(|(passage, source)| {
        let (file, name) = source?;
        let score = (passage.score / best).clamp(0.0, 1.0);
        Some(FoundPassage {
            file,
            name,
            passage: Passage { score, ..passage },
        })
    });
    Ok(found.collect())
}
