//! `riad:store`: SQL on the room's plugin database. Not here: which SQL is allowed, and its time limit (`riad-store`).

use crate::{
    bindings::{
        WitError,
        store::store::{Host, Rows, Value},
    },
    errors,
    state::GuestState,
};
use riad_core::ports::SqlValue;

impl Host for GuestState {
    async fn query(&mut self, sql: String, params: Vec<Value>) -> wasmtime::Result<Result<Rows, WitError>> {
        let _pause = self.begin_host_call()?;
        let rows = self
            .capabilities
            .sql
            .query(&sql, params.into_iter().map(value_from_wit).collect())
            .await;
        Ok(rows
            .map(|rows| Rows {
                columns: rows.columns,
                rows: rows
                    .rows
                    .into_iter()
                    .map(|row| row.into_iter().map(value_to_wit).collect())
                    .collect(),
            })
            .map_err(|error| errors::to_wit(&error)))
    }

    async fn execute(&mut self, sql: String, params: Vec<Value>) -> wasmtime::Result<Result<u64, WitError>> {
        let _pause = self.begin_host_call()?;
        let changed = self
            .capabilities
            .sql
            .execute(&sql, params.into_iter().map(value_from_wit).collect())
            .await;
        Ok(changed.map_err(|error| errors::to_wit(&error)))
    }
}

fn value_from_wit(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Integer(integer) => SqlValue::Integer(integer),
        Value::Real(real) => SqlValue::Real(real),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(blob) => SqlValue::Blob(blob),
    }
}

fn value_to_wit(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(integer) => Value::Integer(integer),
        SqlValue::Real(real) => Value::Real(real),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Blob(blob) => Value::Blob(blob),
    }
}
