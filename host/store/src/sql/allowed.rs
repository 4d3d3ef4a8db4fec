//! The functions that a plugin's statement may call. Not here: those that are ours (`functions`), other things that it may not (`guard`).

/// The functions that a statement may call, in order. Each takes time and memory in proportion to its arguments, of which there are
/// few (`SQLITE_LIMIT_FUNCTION_ARG`), or is one of ours with a bound (`functions`). Left out are functions that reach out of the store
/// (`load_extension`, `fts3_tokenizer`, `sqlite_log`), that take a product of lengths (`json_patch`, `json_pretty`, `unhex`), and that
/// collect without a bound (`jsonb_array`, `jsonb_group_array` and their like; `jsonb(json_array(…))` has one).
const FUNCTIONS: [&str; 98] = [
    "->",
    "->>",
    "abs",
    "avg",
    "changes",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_insert",
    "json_array_length",
    "json_error_position",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array_insert",
    "jsonb_extract",
    "jsonb_insert",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
    "julianday",
    "lag",
    "last_insert_rowid",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "printf",
    "quote",
    "random",
    "randomblob",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "soundex",
    "sqlite_version",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "subtype",
    "sum",
    "time",
    "timediff",
    "total",
    "total_changes",
    "trim",
    "typeof",
    "unicode",
    "unistr",
    "unistr_quote",
    "unixepoch",
    "unlikely",
    "upper",
    "zeroblob",
];

/// Called by what SQLite makes of an `ALTER TABLE`. A statement cannot call them: SQLite finds them for itself only.
const FUNCTIONS_OF_ALTER: [&str; 9] = [
    "sqlite_add_constraint",
    "sqlite_drop_column",
    "sqlite_drop_constraint",
    "sqlite_fail",
    "sqlite_find_constraint",
    "sqlite_rename_column",
    "sqlite_rename_quotefix",
    "sqlite_rename_table",
    "sqlite_rename_test",
];

pub(super) fn is_function_available(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FUNCTIONS.binary_search(&name.as_str()).is_ok() || FUNCTIONS_OF_ALTER.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// Functions that this build of SQLite has and plugins do not.
    const LEFT_OUT: [&str; 29] = [
        "bm25",
        "fts3_tokenizer",
        "fts5",
        "fts5_get_locale",
        "fts5_insttoken",
        "fts5_locale",
        "fts5_source_id",
        "highlight",
        "json_patch",
        "json_pretty",
        "jsonb_array",
        "jsonb_group_array",
        "jsonb_group_object",
        "jsonb_object",
        "jsonb_patch",
        "load_extension",
        "match",
        "matchinfo",
        "offsets",
        "optimize",
        "rtreecheck",
        "rtreedepth",
        "rtreenode",
        "snippet",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "sqlite_log",
        "sqlite_source_id",
        "unhex",
    ];

    #[test]
    fn each_function_of_sqlite_is_allowed_or_left_out() {
        assert!(FUNCTIONS.is_sorted());
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection
            .prepare("SELECT DISTINCT lower(name) FROM pragma_function_list ORDER BY 1")
            .unwrap();
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let (allowed, left_out): (Vec<_>, Vec<_>) =
            names.map(Result::unwrap).partition(|name| is_function_available(name));
        assert_eq!(left_out, LEFT_OUT);
        assert_eq!(allowed, FUNCTIONS);
    }
}
