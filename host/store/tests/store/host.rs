//! A store in a folder of its own, tenants with keys, and small documents. Not here: assertions.

use riad_core::{
    Account, Limits, OperatorPass, Result, Secret, TenantPass,
    audit::{AuditEntry, Origin},
    document::{Document, Metadata, NewChunk, NewDocument, Passage, Position, SearchQuery},
    grants::Grants,
    pass::{ManagedTenant, hash_key},
    policy::{Budget, Policy},
    ports::{EmbeddingSpace, HashedKey, Room},
    ranking::Ranking,
    search_scope::SearchScope,
    tenant::{Key, Tenant},
};
use riad_store::Store;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const DIMENSIONS: usize = 4;

pub struct Host {
    pub store: Store,
    pub operator: OperatorPass,
    folder: Option<TempDir>,
    path: PathBuf,
    limits: Limits,
}

pub fn space() -> EmbeddingSpace {
    EmbeddingSpace {
        model: "test-embedder".into(),
        dimensions: DIMENSIONS,
    }
}

impl Host {
    pub async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let mut host = Self::at(&path, limits).await;
        host.folder = Some(folder);
        host
    }

    /// In a folder that somebody else owns.
    pub async fn at(path: &Path, limits: Limits) -> Self {
        Self::with_space(path, limits, space()).await
    }

    /// With another embedding model.
    pub async fn with_space(path: &Path, limits: Limits, space: EmbeddingSpace) -> Self {
        let store = Store::open(path, space, &limits).unwrap();
        let operator = operator(&store).await;
        Self {
            store,
            operator,
            folder: None,
            path: path.to_owned(),
            limits,
        }
    }

    pub fn data(&self) -> &Path {
        &self.path
    }

    pub fn room_folder(&self, tenant: &str) -> PathBuf {
        self.path.join("rooms").join(tenant)
    }

    /// As after a restart with other limits.
    pub async fn with_limits_changed(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self.reopen(|_| ()).await
    }

    /// Closes the store, lets `change` do something to its folder, and opens it again.
    pub async fn reopen(self, change: impl FnOnce(&Path)) -> Self {
        self.store.close().await.unwrap();
        self.reopen_unclosed(change).await
    }

    /// As after a crash: nothing is saved before it is opened again.
    pub async fn reopen_unclosed(self, change: impl FnOnce(&Path)) -> Self {
        let Self {
            store,
            folder,
            path,
            limits,
            ..
        } = self;
        drop(store);
        change(&path);
        let mut host = Self::at(&path, limits).await;
        host.folder = folder;
        host
    }

    pub async fn create_tenant(&self, id: &str) -> TenantPass {
        let tenant_store = self.store.tenant_store();
        tenant_store
            .create(&self.operator, &tenant(id), &first_key(id), creation(id))
            .await
            .unwrap();
        self.pass(id).await
    }

    pub async fn pass(&self, id: &str) -> TenantPass {
        self.authorize(&secret(id), 1).await.unwrap()
    }

    pub async fn authorize(&self, secret: &Secret<String>, now: u64) -> Result<TenantPass> {
        TenantPass::authorize(&*self.store.key_store(), None, None, secret, Origin::default(), now).await
    }

    /// As the operator manages a tenant's keys.
    pub fn managed(&self, tenant: &str) -> ManagedTenant {
        ManagedTenant::named(&self.operator, tenant.parse().unwrap())
    }

    /// Forgets a tenant and removes its room.
    pub async fn delete_tenant(&self, pass: &TenantPass) {
        let id = pass.tenant();
        self.store
            .tenant_store()
            .delete(&self.operator, id, entry("tenant.delete", id.as_str()))
            .await
            .unwrap();
        self.store.rooms().remove(&self.operator, id).await.unwrap();
    }

    pub async fn open(&self, pass: &TenantPass) -> Room {
        self.store.rooms().open(pass).await.unwrap()
    }

    /// A new tenant's room.
    pub async fn room(&self, id: &str) -> Room {
        let pass = self.create_tenant(id).await;
        self.open(&pass).await
    }
}

async fn operator(store: &Store) -> OperatorPass {
    let key = Secret::new("riad_op_test".to_owned());
    let key_store = store.key_store();
    key_store.set_operator_hash(&hash_key(&key)).await.unwrap();
    OperatorPass::authorize(&*key_store, &key, Origin::default())
        .await
        .unwrap()
}

/// Takes the steps of the control database's schema back that came after the ledger's cached tokens.
pub const UNDO_AFTER_CACHED_TOKENS: &str = "
    DROP INDEX live_keys_of_tenant;
    ALTER TABLE accounts DROP COLUMN room;
    DROP INDEX keys_of_root;
    ALTER TABLE keys DROP COLUMN root;
    DROP TABLE snapshots;
    DROP TABLE snapshot_deletions;
    DROP TABLE moves;
    DROP TABLE spent_elsewhere;
";

/// Takes the steps of a room's schema back that brought files, languages, vector stores, uploads and document jobs. The words are as an older server stored them: none are there.
pub const UNDO_LANGUAGES: &str = "
    DROP INDEX chunks_by_embedded;
    ALTER TABLE chunks DROP COLUMN embedded;
    DROP TABLE vector_store_places;
    DROP TABLE document_jobs;
    DROP TABLE attributes;
    DROP TABLE file_batch_files;
    DROP TABLE vector_store_files;
    DROP TABLE file_batches;
    DROP TABLE vector_stores;
    DROP INDEX chunks_with_embedding;
    DROP INDEX chunks_in_vector_stores;
    DROP INDEX documents_by_vector_store;
    ALTER TABLE documents DROP COLUMN vector_store;
    ALTER TABLE chunks DROP COLUMN vector_store;
    ALTER TABLE changes DROP COLUMN vector_store;
    CREATE INDEX chunks_with_embedding ON chunks (id) WHERE embedding IS NOT NULL;
    DROP TABLE upload_parts;
    DROP TABLE uploads;
    DROP TABLE word_terms;
    DROP TABLE words;
    CREATE VIRTUAL TABLE words USING fts5 (
        title, text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
    );
    DROP INDEX documents_by_language;
    ALTER TABLE documents DROP COLUMN language;
    DELETE FROM state WHERE key = 'word_rules';
    DROP TABLE files;
    DROP TABLE document_files;
    ALTER TABLE chunks DROP COLUMN heading;
    ALTER TABLE chunks DROP COLUMN page;
    PRAGMA user_version = 6;
";

/// The control database as somebody has it who has the file.
pub fn connect(data: &Path) -> rusqlite::Connection {
    #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
    rusqlite::Connection::open(data.join("control.db")).unwrap()
}

/// The secret of a tenant's first key.
pub fn secret(tenant: &str) -> Secret<String> {
    Secret::new(format!("riad_sk_{tenant}"))
}

pub fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.parse().unwrap(),
        account: Account::new(0),
        name: format!("Tenant {id}"),
        created: 1,
        policy: Policy::default(),
        succeeds: false,
    }
}

pub fn key(id: &str, created: u64) -> Key {
    Key {
        id: id.parse().unwrap(),
        name: id.into(),
        prefix: "riad_sk_".into(),
        grants: Grants::default(),
        budget: Budget::default(),
        created,
        expires: None,
        last_used: None,
    }
}

/// The key that `create_tenant` gives to a tenant.
pub fn first_key(tenant: &str) -> HashedKey {
    HashedKey {
        key: key(&format!("key-{tenant}"), 1),
        hash: hash_key(&secret(tenant)),
    }
}

/// The audit entries of a new tenant and its first key.
pub fn creation(tenant: &str) -> [AuditEntry; 2] {
    [
        entry("tenant.create", tenant),
        entry("key.create", &format!("key-{tenant}")),
    ]
}

/// A line for the audit log, as the operator's services write it.
pub fn entry(action: &str, object: &str) -> AuditEntry {
    AuditEntry {
        at_ms: 5_000,
        actor: "operator".into(),
        account: None,
        tenant: None,
        action: action.into(),
        object: object.into(),
        detail: None,
        origin: Origin::default(),
    }
}

pub fn metadata(value: Value) -> Metadata {
    value.as_object().expect("metadata is an object").clone()
}

/// A document of one chunk.
pub fn document(title: &str, text: &str, embedding: [f32; DIMENSIONS], about: Value) -> (NewDocument, Vec<NewChunk>) {
    let document = NewDocument {
        title: title.into(),
        text: text.into(),
        metadata: metadata(about),
        file: None,
    };
    let chunk = NewChunk {
        text: text.into(),
        offset: 0,
        position: Position::default(),
        embedding: embedding.to_vec(),
    };
    (document, vec![chunk])
}

/// Adds one.
pub async fn add(room: &Room, title: &str, text: &str, embedding: [f32; DIMENSIONS], about: Value) -> Document {
    let (document, chunks) = document(title, text, embedding, about);
    room.documents.insert(document, chunks, None).await.unwrap()
}

pub fn query(text: &str, embedding: &[f32]) -> SearchQuery {
    SearchQuery {
        scope: SearchScope::Documents,
        attributes: None,
        text: text.into(),
        embedding: embedding.to_vec(),
        ranking: Ranking::new(1.0, 0.3),
        limit: 10,
        neighbors: 0,
        highlights: false,
        filter: Metadata::new(),
    }
}

pub async fn titles(room: &Room, query: &SearchQuery) -> Vec<String> {
    let found: Vec<Passage> = room.documents.search(query).await.unwrap();
    found.into_iter().map(|passage| passage.title).collect()
}
