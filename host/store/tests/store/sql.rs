//! A plugin's SQL store: what it may do, what it may not, and what it costs at most.

use crate::host::Host;
use riad_core::{
    Error, ErrorKind, Limits,
    ports::{Room, SqlValue},
};
use std::{
    fs,
    time::{Duration, Instant},
};

async fn refused(room: &Room, sql: &str) -> Error {
    let by_query = room.sql.query(sql, vec![]).await.expect_err(sql);
    let by_execute = room.sql.execute(sql, vec![]).await.expect_err(sql);
    assert_eq!(by_query.kind(), by_execute.kind(), "{sql}");
    by_query
}

pub async fn integer(room: &Room, sql: &str) -> i64 {
    let rows = room.sql.query(sql, vec![]).await.unwrap();
    let SqlValue::Integer(number) = rows.rows[0][0] else {
        panic!("{:?} is no integer", rows.rows[0][0]);
    };
    number
}

#[tokio::test]
async fn values_go_in_and_come_out() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let made = room
        .sql
        .execute("CREATE TABLE prices (id INTEGER PRIMARY KEY, a, b, c, d)", vec![])
        .await
        .unwrap();
    assert_eq!(made, 0);
    let values = vec![
        SqlValue::Text("läm\0p".into()),
        SqlValue::Real(1.5),
        SqlValue::Blob(vec![0, 255]),
        SqlValue::Null,
    ];
    let insert = "INSERT INTO prices (a, b, c, d) VALUES (?1, ?2, ?3, ?4)";
    assert_eq!(room.sql.execute(insert, values.clone()).await.unwrap(), 1);
    let rows = room
        .sql
        .query(
            "SELECT a, b AS bee, c, d, id FROM prices WHERE id = ?",
            vec![SqlValue::Integer(1)],
        )
        .await
        .unwrap();
    assert_eq!(rows.columns, ["a", "bee", "c", "d", "id"]);
    let mut expected = values;
    expected.push(SqlValue::Integer(1));
    assert_eq!(rows.rows, [expected]);
    assert_eq!(room.sql.execute("UPDATE prices SET b = 2", vec![]).await.unwrap(), 1);
    assert_eq!(
        room.sql
            .execute("CREATE VIEW cheap AS SELECT * FROM prices WHERE b < 3", vec![])
            .await
            .unwrap(),
        0
    );
    assert_eq!(integer(&room, "SELECT count(*) FROM cheap").await, 1);
    assert_eq!(
        room.sql
            .execute("ALTER TABLE prices ADD COLUMN e", vec![])
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        room.sql
            .query("PRAGMA table_info(prices)", vec![])
            .await
            .unwrap()
            .rows
            .len(),
        6
    );
    let rows = room
        .sql
        .query("INSERT INTO prices (a) VALUES ('x') RETURNING id;  -- done", vec![])
        .await
        .unwrap();
    assert_eq!(rows.rows, [[SqlValue::Integer(2)]]);
    let rows = room.sql.query("SELECT cast(x'61ff' AS TEXT)", vec![]).await.unwrap();
    assert_eq!(rows.rows, [[SqlValue::Text("a\u{fffd}".into())]]);
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(integer(&room, "SELECT count(*) FROM prices").await, 2);
}

#[tokio::test]
async fn bad_sql_is_refused_in_sqlites_words() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x UNIQUE)", vec![]).await.unwrap();
    for (sql, words) in [
        ("SELEKT 1", "syntax error"),
        ("SELECT * FROM absent", "no such table: absent"),
        ("", "no statement"),
        ("-- only a comment", "no statement"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT ?", "1 parameters, 0 values"),
        ("SELECT 1\0", "NUL"),
        ("SELECT \"quoted\"", "no such column"),
    ] {
        let error = refused(&room, sql).await;
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{sql}");
        assert!(error.message().contains(words), "{sql}: {error}");
    }
    let error = room.sql.query("CREATE TABLE u (x)", vec![]).await.unwrap_err();
    assert!(error.message().contains("use execute"), "{error}");
    let error = room.sql.execute("SELECT 1", vec![]).await.unwrap_err();
    assert!(error.message().contains("use query"), "{error}");
    let error = room
        .sql
        .execute("INSERT INTO t VALUES (2) RETURNING x", vec![])
        .await
        .unwrap_err();
    assert!(error.message().contains("use query"), "{error}");
    let error = room
        .sql
        .execute("INSERT INTO t VALUES (1), (1)", vec![])
        .await
        .unwrap_err();
    assert!(error.message().contains("UNIQUE"), "{error}");
    let error = room
        .sql
        .execute("INSERT OR ROLLBACK INTO t VALUES (1), (1)", vec![])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(integer(&room, "SELECT count(*) FROM t").await, 0);
    assert_eq!(room.sql.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_leaves_the_store_or_outlives_the_call_is_refused() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    host.room("globex").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    let neighbor = host.room_folder("globex").join("room.db").display().to_string();
    for sql in [
        format!("ATTACH '{neighbor}' AS other"),
        "ATTACH ':memory:' AS other".into(),
        "DETACH main".into(),
        "VACUUM".into(),
        format!("VACUUM INTO '{}'", host.data().join("copy.db").display()),
        "BEGIN".into(),
        "BEGIN IMMEDIATE".into(),
        "COMMIT".into(),
        "ROLLBACK".into(),
        "SAVEPOINT s".into(),
        "RELEASE s".into(),
        "PRAGMA writable_schema = ON".into(),
        "PRAGMA journal_mode = DELETE".into(),
        "PRAGMA max_page_count = 1000000000".into(),
        "PRAGMA hard_heap_limit = 1".into(),
        "PRAGMA temp_store_directory = '/'".into(),
        "PRAGMA database_list".into(),
        "SELECT * FROM pragma_database_list".into(),
        "SELECT load_extension('x')".into(),
        "SELECT sqlite_log(1, 'x')".into(),
        "CREATE TEMP TABLE x (y)".into(),
        "CREATE TABLE temp.x (y)".into(),
        "CREATE TEMP VIEW x AS SELECT 1".into(),
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END".into(),
        "SELECT * FROM temp.sqlite_master".into(),
        "CREATE VIRTUAL TABLE x USING fts5 (y)".into(),
        "CREATE VIRTUAL TABLE x USING rtree (a, b, c)".into(),
        "ANALYZE".into(),
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (y)')".into(),
        "DELETE FROM sqlite_master".into(),
        "UPDATE sqlite_schema SET sql = 'x'".into(),
        "DROP TABLE sqlite_master".into(),
    ] {
        let error = refused(&room, &sql).await;
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{sql}");
        assert!(!error.message().contains(&neighbor), "{error}");
    }
    assert!(!host.data().join("copy.db").exists());
    // Nothing of it was left behind.
    assert_eq!(room.sql.execute("INSERT INTO t VALUES (1)", vec![]).await.unwrap(), 1);
    for (sql, words) in [
        ("BEGIN", "each call is a transaction"),
        ("PRAGMA user_version", "PRAGMA user_version"),
    ] {
        assert!(refused(&room, sql).await.message().contains(words), "{sql}");
    }
}

#[tokio::test]
async fn a_statement_that_never_ends_is_ended_at_its_deadline() {
    let host = Host::with(Limits {
        sql_ms: 100,
        ..Limits::default()
    })
    .await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    for sql in [
        format!("{endless} SELECT count(*) FROM n"),
        format!("{endless} SELECT i FROM n ORDER BY randomblob(1000)"),
        format!("{endless} SELECT zeroblob(1000000) || i FROM n ORDER BY 1"),
        "WITH RECURSIVE n (i) AS (SELECT randomblob(100000) UNION SELECT randomblob(100000) FROM n) SELECT count(*) FROM n".into(),
    ] {
        let began = Instant::now();
        let error = room.sql.query(&sql, vec![]).await.expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::PluginLimit, "{sql}: {error}");
        assert!(error.message().contains("100 ms"), "{sql}: {error}");
        // Generous: a single step may copy a large value on a busy machine.
        assert!(began.elapsed() < Duration::from_secs(5), "{sql}");
    }
    let sql = format!("{endless} INSERT INTO t SELECT i FROM n");
    let error = room.sql.execute(&sql, vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    assert_eq!(integer(&room, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn one_value_can_not_hold_a_thread_for_long() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    // Naive searching takes the product of the lengths, within one step that nothing interrupts.
    let long = "WITH v (a) AS (SELECT replace(hex(zeroblob(250000)), '0', 'a'))";
    let began = Instant::now();
    integer(&room, &format!("{long} SELECT length(hex(a)) FROM v")).await;
    let linear = began.elapsed();
    for (call, expected) in [
        ("instr(a, substr(a, 1, 250000) || 'b')", 0),
        ("length(replace(a, substr(a, 1, 250000) || 'b', 'c'))", 500_000),
        ("length(trim(a, replace(hex(zeroblob(30000)), '0', 'b') || 'a'))", 0),
        ("length(rtrim(a, replace(hex(zeroblob(30000)), '0', 'b') || 'a'))", 0),
        ("length(ltrim(a, replace(hex(zeroblob(30000)), '0', 'b') || 'a'))", 0),
    ] {
        let began = Instant::now();
        assert_eq!(
            integer(&room, &format!("{long} SELECT {call} FROM v")).await,
            expected,
            "{call}"
        );
        // SQLite's own functions take some thousand times as long as one pass over the value.
        assert!(
            began.elapsed() < linear * 200,
            "{call}: {:?}, one pass over the value takes {linear:?}",
            began.elapsed()
        );
    }
    refused(&room, "SELECT json_patch('{}', '{}')").await;
    refused(&room, "SELECT unhex('6162', '-')").await;
}

#[tokio::test]
async fn a_statement_that_multiplies_while_it_is_compiled_is_refused() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    room.sql
        .execute("CREATE VIEW v0 AS SELECT 1 AS x", vec![])
        .await
        .unwrap();
    let mut last = Ok(0);
    for n in 1..40 {
        let sql = format!("CREATE VIEW v{n} AS SELECT a.x FROM v{0} a, v{0} b", n - 1);
        last = room.sql.execute(&sql, vec![]).await;
    }
    last.unwrap();
    let began = Instant::now();
    let error = room.sql.query("SELECT * FROM v39", vec![]).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::PluginLimit),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    // As many statements as fit: looking for the next one must not cost stack.
    let many = "SELECT 1;".repeat(7_000);
    let error = room.sql.query(&many, vec![]).await.unwrap_err();
    assert!(error.message().contains("one statement"), "{error}");
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(room.sql.query(&deep, vec![]).await.is_err());
}

#[tokio::test]
async fn a_full_store_changes_nothing_and_can_be_emptied() {
    let limits = Limits {
        sql_bytes: 1 << 20,
        sql_ms: 10_000,
        ..Limits::default()
    };
    let host = Host::with(limits).await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    room.sql
        .execute("INSERT INTO t VALUES (zeroblob(500000))", vec![])
        .await
        .unwrap();
    let error = room
        .sql
        .execute("INSERT INTO t VALUES (zeroblob(100000)), (zeroblob(900000))", vec![])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    assert!(error.message().contains("full"), "{error}");
    assert_eq!(integer(&room, "SELECT count(*) FROM t").await, 1);
    room.sql.execute("DELETE FROM t", vec![]).await.unwrap();
    room.sql
        .execute("INSERT INTO t VALUES (zeroblob(900000))", vec![])
        .await
        .unwrap();
    drop(room);
    let folder = host.room_folder("acme");
    let _host = host
        .reopen(|_| assert!(fs::metadata(folder.join("plugin.db")).unwrap().len() <= 1 << 20))
        .await;
}

#[tokio::test]
async fn too_long_values_and_too_large_results_are_refused() {
    let limits = Limits {
        sql_rows: 10,
        sql_result_bytes: 100_000,
        ..Limits::default()
    };
    let host = Host::with(limits).await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    let ten = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10)";
    assert_eq!(
        room.sql
            .query(&format!("{ten} SELECT i FROM n"), vec![])
            .await
            .unwrap()
            .rows
            .len(),
        10
    );
    for (sql, words) in [
        ("SELECT zeroblob(100000000)".to_owned(), "too long"),
        ("SELECT hex(randomblob(90000))".into(), "too long"),
        (format!("{ten} SELECT randomblob(20000) FROM n"), "100000 bytes"),
        (format!("{ten} SELECT 1 FROM n, n AS m"), "10 rows"),
        (format!("SELECT 1 -- {}", "x".repeat(100_000)), "too long"),
    ] {
        let error = room.sql.query(&sql, vec![]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginLimit, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    let error = room
        .sql
        .execute("INSERT INTO t VALUES (?)", vec![SqlValue::Blob(vec![0; 200_000])])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    // What returns too much changes nothing either.
    let sql = format!("INSERT INTO t {ten} SELECT i FROM n UNION ALL SELECT i FROM n RETURNING x");
    assert_eq!(
        room.sql.query(&sql, vec![]).await.unwrap_err().kind(),
        ErrorKind::PluginLimit
    );
    assert_eq!(integer(&room, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn memory_that_one_call_takes_is_bounded() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    room.sql.execute("CREATE TABLE t (x)", vec![]).await.unwrap();
    // 900 brackets around each other and an indent of 1 MB took 2 GB.
    let nested = SqlValue::Text("[".repeat(900) + &"]".repeat(900));
    let indent = SqlValue::Text(" ".repeat(1_000_000));
    let error = room
        .sql
        .query("SELECT length(json_pretty(?1, ?2))", vec![nested, indent])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert!(error.message().contains("json_pretty is not available"), "{error}");
    for call in [
        "jsonb_group_array(x)",
        "jsonb_group_object(x, x)",
        "jsonb_array(x)",
        "jsonb_object('a', x)",
        "json_patch('{}', '{}')",
        "sqlite_compileoption_get(0)",
        "no_such_function(x)",
        "sqlite_rename_table('main', 't', 'x', 't', 'u', 0)",
    ] {
        let error = refused(&room, &format!("SELECT {call} FROM t")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{call}: {error}");
    }
    let row = "INSERT INTO t VALUES (hex(zeroblob(250000))), (hex(zeroblob(250000))), (hex(zeroblob(250000)))";
    room.sql.execute(row, vec![]).await.unwrap();
    for call in [
        "json_group_array(x)",
        "json_group_object(x, 1)",
        "json_group_array(x) OVER ()",
        "json_array(x, x, x)",
        "json_object('a', x, 'b', x, 'c', x)",
        // What escapes make longer counts as it is written.
        "json_array(replace(x, '0', char(1)))",
    ] {
        let sql = format!("SELECT length({call}) FROM t");
        let error = room.sql.query(&sql, vec![]).await.expect_err(call);
        assert_eq!(error.kind(), ErrorKind::PluginLimit, "{call}: {error}");
        assert!(error.message().contains("too long"), "{call}: {error}");
    }
}

#[tokio::test]
async fn what_plugins_need_of_sql_is_there() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, item TEXT DEFAULT CURRENT_TIMESTAMP, price REAL CHECK (price > 0), tags TEXT)",
        "CREATE INDEX t_item ON t (lower(item))",
        r#"INSERT INTO t VALUES (1, 'Apple', 1.5, '["red","sweet"]'), (2, 'banana', 0.25, '[]'), (3, 'Cherry', 4, '["red"]')"#,
        "ALTER TABLE t ADD COLUMN day TEXT",
        "CREATE TABLE u (x)",
        "CREATE VIEW prices AS SELECT item, price FROM t WHERE item LIKE '%a%'",
        "CREATE TRIGGER cheap AFTER INSERT ON t BEGIN INSERT INTO u VALUES (json_object('item', NEW.item)); END",
        "UPDATE t SET tags = json_set(tags, '$[#]', 'fruit') WHERE id = 2",
        "REINDEX t",
        "DROP TRIGGER cheap",
    ] {
        room.sql.execute(sql, vec![]).await.expect(sql);
    }
    // SQLite takes it for a statement that returns rows.
    let constraint = "ALTER TABLE u ADD CONSTRAINT named CHECK (x IS NOT NULL)";
    room.sql.query(constraint, vec![]).await.expect(constraint);
    for (sql, expected) in [
        ("SELECT json_extract(tags, '$[0]') FROM t WHERE id = 2", "fruit"),
        ("SELECT tags ->> 1 FROM t WHERE id = 1", "sweet"),
        (
            "SELECT group_concat(value, '+' ORDER BY value) FROM t, json_each(tags)",
            "fruit+red+red+sweet",
        ),
        ("SELECT count(*) FROM t, json_tree(tags) WHERE type = 'text'", "4"),
        (
            "SELECT json_group_array(item ORDER BY id) FROM t",
            r#"["Apple","banana","Cherry"]"#,
        ),
        (
            "SELECT json_group_array(json(tags)) FROM t WHERE id < 3",
            r#"[["red","sweet"],["fruit"]]"#,
        ),
        (
            "SELECT json_group_array(DISTINCT price > 1) FILTER (WHERE id > 1) FROM t",
            "[0,1]",
        ),
        (
            "SELECT json_group_object(item, price) FROM t",
            r#"{"Apple":1.5,"banana":0.25,"Cherry":4.0}"#,
        ),
        (
            "SELECT json_object('id', id, 'tags', json(tags)) FROM t WHERE id = 3",
            r#"{"id":3,"tags":["red"]}"#,
        ),
        (
            "SELECT json_array(1, NULL, 'a\"b', json_array(2))",
            r#"[1,null,"a\"b",[2]]"#,
        ),
        ("SELECT json_type(jsonb(json_array(1)))", "array"),
        (
            "SELECT strftime('%Y-%m', '2026-11-28') || date('2026-01-31', '+1 day')",
            "2026-112026-02-01",
        ),
        (
            "SELECT unixepoch('1970-01-02') + julianday('2000-01-01') - julianday('1999-12-31')",
            "86401.0",
        ),
        (
            "SELECT group_concat(n, ',') FROM (SELECT item || row_number() OVER (ORDER BY price) AS n FROM t)",
            "banana1,Apple2,Cherry3",
        ),
        (
            "SELECT item || lag(item) OVER (ORDER BY id) FROM t WHERE id = 2 OR id = 1 ORDER BY id DESC LIMIT 1",
            "bananaApple",
        ),
        (
            "SELECT group_concat(j, ';') FROM (SELECT json_group_array(id) OVER (ORDER BY id ROWS 1 PRECEDING) AS j FROM t)",
            "[1];[1,2];[2,3]",
        ),
        (
            "SELECT sum(price) || max(item) || count(DISTINCT tags) FROM t",
            "5.75banana3",
        ),
        (
            "SELECT printf('%05.1f', price) || upper(item) || round(price) FROM t WHERE id = 1",
            "001.5APPLE2.0",
        ),
        (
            "SELECT group_concat(item) FROM t WHERE item LIKE 'b_n%' OR item GLOB '[C-D]*'",
            "banana,Cherry",
        ),
        (
            "SELECT iif(coalesce(NULL, 1), typeof(x'00'), 2) || quote(NULL) || substr('abc', 2)",
            "blobNULLbc",
        ),
        ("SELECT count(*) FROM prices WHERE item REGEXP 'a'", ""),
    ] {
        let answer = room.sql.query(sql, vec![]).await;
        if expected.is_empty() {
            answer.expect_err(sql);
            continue;
        }
        let rows = answer.expect(sql).rows;
        let answer = match &rows[0][0] {
            SqlValue::Text(text) => text.clone(),
            SqlValue::Integer(number) => number.to_string(),
            SqlValue::Real(number) => format!("{number:?}"),
            other @ (SqlValue::Null | SqlValue::Blob(_)) => panic!("{sql}: {other:?}"),
        };
        assert_eq!(answer, expected, "{sql}");
    }
}

#[tokio::test]
async fn the_comparisons_of_one_like_are_bounded() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let long = "WITH v (a) AS (SELECT hex(zeroblob(250000)))";
    // In SQLite's own, each of these is the product of the lengths.
    for (condition, expected) in [
        ("a LIKE '%00000000000000000000000000000000000000000000001%'", 0),
        ("a LIKE '%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%1'", 0),
        (
            "a GLOB '*000000000000000000000000000000000000*0000000000000000000000000000001*'",
            0,
        ),
        ("a LIKE '%0_0'", 1),
        ("a LIKE '%1_2%'", 0),
    ] {
        let sql = format!("{long} SELECT {condition} FROM v");
        assert_eq!(integer(&room, &sql).await, expected, "{condition}");
    }
    for condition in [
        "a LIKE '%00000000000000_00000000000000000000000000000000000000000000001%'",
        "a GLOB '*[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][1]*'",
    ] {
        let error = refused(&room, &format!("{long} SELECT {condition} FROM v")).await;
        assert!(error.message().contains("fewer wildcards"), "{error}");
    }
    let error = refused(&room, &format!("SELECT 'a' LIKE '{}'", "a".repeat(101))).await;
    assert!(error.message().contains("100 bytes"), "{error}");
}
