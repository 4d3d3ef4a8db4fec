//! The schema of `room.db`. Not here: what is in each table (the file of its port).

use crate::{
    error::StoreResult,
    sqlite::{self, Schema},
};
use rusqlite::Connection;

pub(crate) const SCHEMA: Schema = Schema {
    what: "the room",
    steps: &[
        "
        CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE documents (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            metadata TEXT NOT NULL,
            chunks INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            created INTEGER NOT NULL,
            text TEXT NOT NULL
        ) STRICT;
        CREATE TABLE tags (
            tag BLOB NOT NULL,
            document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
            PRIMARY KEY (tag, document)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX tags_of_document ON tags (document);
        -- AUTOINCREMENT: ids are keys in the vector index and must never be used twice.
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            start INTEGER NOT NULL,
            embedding BLOB,
            text TEXT NOT NULL
        ) STRICT;
        CREATE INDEX chunks_of_document ON chunks (document, position);
        CREATE INDEX chunks_with_embedding ON chunks (id) WHERE embedding IS NOT NULL;
        CREATE VIRTUAL TABLE words USING fts5 (
            title, text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
        );
        -- What the index file has not seen yet. The chunks of a document are numbered without a gap.
        CREATE TABLE changes (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            removed INTEGER NOT NULL,
            first_chunk INTEGER NOT NULL,
            last_chunk INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE plugins (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            version TEXT NOT NULL,
            stages TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (name, version)
        ) STRICT;
        CREATE TABLE adapters (
            alias TEXT PRIMARY KEY,
            generation TEXT NOT NULL,
            rank INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            tensors INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
    ",
        "
        -- Answers under idempotency keys. With a rowid: a body may be long.
        CREATE TABLE replies (
            key TEXT PRIMARY KEY,
            request TEXT NOT NULL,
            status INTEGER NOT NULL,
            content_type TEXT NOT NULL,
            body BLOB NOT NULL,
            created INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX replies_by_age ON replies (created);
    ",
        "
        -- The generations of each alias that are kept; the last upload has the greatest number.
        CREATE TABLE adapter_generations (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            alias TEXT NOT NULL,
            generation TEXT NOT NULL,
            rank INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            tensors INTEGER NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (alias, generation)
        ) STRICT;
        INSERT INTO adapter_generations (alias, generation, rank, bytes, tensors, created)
            SELECT alias, generation, rank, bytes, tensors, created FROM adapters;
        ALTER TABLE adapters ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ",
        "
        -- Responses, from which conversations go on. Those before a response count in conversation_messages and conversation_bytes too.
        CREATE TABLE responses (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            previous TEXT,
            -- Milliseconds: when it was made, or the last one that goes on from it.
            used INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            conversation_messages INTEGER NOT NULL,
            conversation_bytes INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX responses_by_use ON responses (used, number DESC, bytes);
        -- Apart, because a change of the row above would write it again.
        CREATE TABLE response_contents (
            number INTEGER PRIMARY KEY REFERENCES responses (number) ON DELETE CASCADE,
            head BLOB NOT NULL,
            input BLOB NOT NULL,
            output BLOB NOT NULL
        ) STRICT;
    ",
        "
        -- Plugins' values. With a rowid: a value may be long. Expiry in milliseconds.
        CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires INTEGER NOT NULL) STRICT;
        CREATE INDEX kv_by_expiry ON kv (expires);
    ",
        "
        -- JSON. None of a component without one.
        ALTER TABLE plugins ADD COLUMN manifest TEXT;
    ",
        "
        -- Of documents that came as files. The same file is one document.
        CREATE TABLE document_files (
            document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
            media_type TEXT NOT NULL,
            -- A JSON array.
            warnings TEXT NOT NULL,
            source BLOB NOT NULL UNIQUE
        ) STRICT;
        -- A JSON array; none of a chunk below no heading.
        ALTER TABLE chunks ADD COLUMN heading TEXT;
        ALTER TABLE chunks ADD COLUMN page INTEGER;
    ",
        "
        -- What the tenant keeps, each under its digest in the folder of the same name. Expiry in seconds.
        CREATE TABLE files (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            purpose TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            digest TEXT NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER
        ) STRICT;
        CREATE INDEX files_by_expiry ON files (expires) WHERE expires IS NOT NULL;
        CREATE INDEX files_of_digest ON files (digest, bytes);
    ",
        "
        -- By which language's rules the words of a document were made (BCP 47); null until they are made again.
        ALTER TABLE documents ADD COLUMN language TEXT;
        CREATE INDEX documents_by_language ON documents (language);
        -- Terms are separated by spaces (riad-language). The words of documents that are there are made again at the opening.
        DROP TABLE words;
        CREATE VIRTUAL TABLE words USING fts5 (
            title, text, characters, content = '', contentless_delete = 1, tokenize = \"ascii tokenchars '+#|'\"
        );
        -- Characters find what words do not, and what only they find comes after it.
        INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 1.0, 0.3)');
    ",
        "
        -- The number of a document's vector store; 0 of one that is in none. Chunks and changes are its document's.
        ALTER TABLE documents ADD COLUMN vector_store INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE chunks ADD COLUMN vector_store INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE changes ADD COLUMN vector_store INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX documents_by_vector_store ON documents (vector_store, id);
        CREATE INDEX chunks_in_vector_stores ON chunks (id, vector_store) WHERE vector_store > 0;
        DROP INDEX chunks_with_embedding;
        CREATE INDEX chunks_with_embedding ON chunks (vector_store, id) WHERE embedding IS NOT NULL;
        CREATE TABLE vector_stores (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            metadata TEXT NOT NULL,
            created INTEGER NOT NULL,
            last_active INTEGER NOT NULL,
            expires_after_days INTEGER,
            -- Nobody finds it, and what it had is being deleted.
            is_deleted INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE TABLE file_batches (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            vector_store INTEGER NOT NULL REFERENCES vector_stores (number) ON DELETE CASCADE,
            created INTEGER NOT NULL,
            is_cancelled INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX file_batches_of_vector_store ON file_batches (vector_store);
        CREATE TABLE vector_store_files (
            -- One that is added anew has another.
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            vector_store INTEGER NOT NULL REFERENCES vector_stores (number),
            file INTEGER NOT NULL REFERENCES files (number),
            status TEXT NOT NULL,
            error_code TEXT,
            error_message TEXT,
            attributes TEXT NOT NULL,
            max_chunk_tokens INTEGER,
            chunk_overlap_tokens INTEGER,
            -- What it was, as long as it is being indexed anew.
            document INTEGER REFERENCES documents (number) ON DELETE SET NULL,
            bytes INTEGER NOT NULL DEFAULT 0,
            created INTEGER NOT NULL,
            batch INTEGER REFERENCES file_batches (number) ON DELETE SET NULL,
            UNIQUE (vector_store, file)
        ) STRICT;
        CREATE INDEX vector_store_files_by_status ON vector_store_files (vector_store, status, bytes);
        CREATE INDEX vector_store_files_of_file ON vector_store_files (file);
        CREATE INDEX vector_store_files_of_batch ON vector_store_files (batch, status) WHERE batch IS NOT NULL;
        CREATE INDEX vector_store_files_of_document ON vector_store_files (document) WHERE document IS NOT NULL;
        CREATE INDEX vector_store_files_pending ON vector_store_files (number) WHERE status = 'in_progress';
        -- The members of a document's metadata that can be compared. Booleans are 0 and 1.
        CREATE TABLE attributes (
            document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
            key TEXT NOT NULL,
            type TEXT NOT NULL,
            value ANY NOT NULL,
            PRIMARY KEY (document, key)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX attributes_by_value ON attributes (key, type, value, document);
        INSERT INTO attributes (document, key, type, value)
            SELECT number, members.key,
                CASE members.type WHEN 'text' THEN 'text' WHEN 'true' THEN 'bool' WHEN 'false' THEN 'bool' ELSE 'number' END,
                CASE members.type WHEN 'text' THEN members.atom WHEN 'true' THEN 1 WHEN 'false' THEN 0
                    ELSE CAST(members.atom AS REAL) END
            FROM documents, json_each(documents.metadata) AS members
            WHERE members.type IN ('text', 'true', 'false', 'integer', 'real')
                AND length(CAST(members.atom AS BLOB)) <= 2048;
    ",
        "
        -- Files that come in parts. Each part lies under its digest in the folder of the files. Times in seconds.
        CREATE TABLE uploads (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            purpose TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            file_expires_after INTEGER,
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            -- pending, completed or cancelled; a pending one that expires ends without another word.
            status TEXT NOT NULL,
            -- The id of the file of a completed one.
            file TEXT
        ) STRICT;
        CREATE INDEX uploads_by_expiry ON uploads (expires);
        CREATE INDEX uploads_by_status ON uploads (status, expires);
        CREATE TABLE upload_parts (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            upload INTEGER NOT NULL REFERENCES uploads (number) ON DELETE CASCADE,
            bytes INTEGER NOT NULL,
            digest TEXT NOT NULL
        ) STRICT;
        CREATE INDEX parts_of_upload ON upload_parts (upload, digest, bytes);
        CREATE INDEX parts_of_digest ON upload_parts (digest, bytes);
    ",
        "
        -- `contentless_delete` only notes that a row is gone: its terms stay. The words are made again at the opening.
        DROP TABLE words;
        CREATE VIRTUAL TABLE words USING fts5 (
            title, text, characters, content = '', tokenize = \"ascii tokenchars '+#|'\"
        );
        INSERT INTO words (words, rank) VALUES ('rank', 'bm25(1.0, 1.0, 0.3)');
        INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
        CREATE VIRTUAL TABLE word_terms USING fts5vocab (words, instance);
        DELETE FROM state WHERE key IN ('word_rules', 'word_progress');
    ",
        "
        -- Documents that are made while nobody waits. Times in seconds.
        CREATE TABLE document_jobs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            -- queued, completed, failed or cancelled.
            status TEXT NOT NULL,
            created INTEGER NOT NULL,
            -- What the document is to be made of, as long as it is queued. Its bytes lie under their digest in the folder of the files.
            title TEXT,
            metadata TEXT,
            -- text or markdown; none of a file.
            format TEXT,
            name TEXT,
            media_type TEXT,
            digest TEXT,
            bytes INTEGER,
            -- Of what has ended. The error is JSON.
            ended INTEGER,
            document INTEGER REFERENCES documents (number) ON DELETE SET NULL,
            error TEXT
        ) STRICT;
        CREATE INDEX document_jobs_queued ON document_jobs (number) WHERE status = 'queued';
        CREATE INDEX document_jobs_ended ON document_jobs (ended, number) WHERE ended IS NOT NULL;
        CREATE INDEX document_jobs_of_digest ON document_jobs (digest, bytes) WHERE digest IS NOT NULL;
        CREATE INDEX document_jobs_of_document ON document_jobs (document) WHERE document IS NOT NULL;
    ",
        "
        -- The original of a document that came as a file, as long as the client leaves it there.
        ALTER TABLE document_files ADD COLUMN file INTEGER REFERENCES files (number) ON DELETE SET NULL;
        CREATE INDEX document_files_of_file ON document_files (file) WHERE file IS NOT NULL;
    ",
        "
        ALTER TABLE vector_stores ADD COLUMN description TEXT;
        -- Where files stood that have left a vector store, for clients that are reading its list: numbers of vector_store_files.
        CREATE TABLE vector_store_places (
            -- Rises with each file that leaves a store.
            removal INTEGER PRIMARY KEY AUTOINCREMENT,
            vector_store INTEGER NOT NULL REFERENCES vector_stores (number) ON DELETE CASCADE,
            file TEXT NOT NULL,
            number INTEGER NOT NULL,
            UNIQUE (vector_store, file)
        ) STRICT;
    ",
        "
        -- Digest of the text that the embedding was made of. Null for chunks of older servers.
        ALTER TABLE chunks ADD COLUMN embedded BLOB;
        CREATE INDEX chunks_by_embedded ON chunks (embedded) WHERE embedded IS NOT NULL;
    ",
        "
        -- What has become of the files of a batch, also of those that were added again or removed since.
        CREATE TABLE file_batch_files (
            batch INTEGER NOT NULL REFERENCES file_batches (number) ON DELETE CASCADE,
            -- The number of a file, which may be deleted by now.
            file INTEGER NOT NULL,
            status TEXT NOT NULL,
            PRIMARY KEY (batch, file)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX file_batch_files_pending ON file_batch_files (file) WHERE status = 'in_progress';
        INSERT INTO file_batch_files (batch, file, status)
            SELECT batch, file, status FROM vector_store_files WHERE batch IS NOT NULL;
    ",
    ],
};

/// A room without a row, in memory.
pub(crate) fn scratch() -> StoreResult<Connection> {
    let scratch = sqlite::open_scratch()?;
    for step in SCHEMA.steps {
        scratch.execute_batch(step)?;
    }
    Ok(scratch)
}
