//! What plugins' SQL may take of memory in one statement, and of time in one request. Not here: what a statement may do (`sql`).

use crate::{host::Host, sql::integer};
use riad_core::{ErrorKind, Limits};

#[tokio::test]
async fn a_statement_takes_no_more_memory_than_it_may() {
    let limits = Limits {
        sql_ms: 60_000,
        sql_memory_bytes: 16 << 20,
        ..Limits::default()
    };
    let host = Host::with(limits).await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    room.sql.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap();
    // SQLite keeps each constant, of a megabyte, as long as the statement runs.
    let conditions: Vec<String> = (0..64)
        .map(|n| format!("x <> cast(zeroblob({}) AS TEXT)", 1_000_000 + n))
        .collect();
    let count = |most: usize| format!("SELECT count(*) FROM t WHERE {}", conditions[..most].join(" AND "));
    let error = room.sql.query(&count(64), vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit, "{error}");
    assert!(error.message().contains("16777216 bytes of memory"), "{error}");
    // It is the statement that fails: neither the next one nor the rest of the room.
    assert_eq!(integer(&room, &count(4)).await, 1);
    room.sql.execute("INSERT INTO t VALUES (2)", vec![]).await.unwrap();
    room.documents.watermark().await.unwrap();
}

#[tokio::test]
async fn the_statements_of_one_request_share_a_time() {
    let limits = Limits {
        sql_request_ms: 1,
        ..Limits::default()
    };
    let host = Host::with(limits).await;
    let pass = host.create_tenant("acme").await;
    let request = host.open(&pass).await;
    // A commit waits for the disk, and so many of them take more than a millisecond together.
    let mut made = 0;
    let refused = loop {
        let sql = format!("CREATE TABLE t{made} (x)");
        match request.sql.execute(&sql, vec![]).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::PluginLimit, "{refused}");
    assert!(refused.message().contains("has taken 1 ms"), "{refused}");
    assert!(made > 0, "the first statement runs");
    assert!(request.sql.query("SELECT 1", vec![]).await.is_err());
    // The next request begins with all of it.
    let request = host.open(&pass).await;
    request.sql.query("SELECT 1", vec![]).await.unwrap();
}
