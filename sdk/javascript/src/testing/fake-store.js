// The SQL store: SQLite in memory where Node.js has it (22.13 or newer), else what the test gives.

import { asHost, invalid } from './refusals.js';

export function fakeStore({ sql = [], store }) {
  if (store !== undefined) return givenStore(store);
  let database;
  const open = () => {
    database ??= openDatabase(sql);
    return database;
  };
  if (sql.length > 0) open();
  return {
    query: (statement, params) =>
      refused(() => {
        const prepared = open().prepare(statement);
        prepared.setReadBigInts(true);
        const rows = prepared.all(...params.map(fromWire));
        const columns = prepared.columns?.().map(({ name }) => name) ?? Object.keys(rows[0] ?? {});
        return { columns, rows: rows.map((row) => columns.map((column) => toWire(row[column]))) };
      }),
    execute: (statement, params) =>
      refused(() => Number(open().prepare(statement).run(...params.map(fromWire)).changes)),
  };
}

/** `query(sql, params)` returns objects, `execute(sql, params)` a number; params are plain values. */
function givenStore({ query, execute }) {
  return {
    query: (statement, params) =>
      refused(() => {
        const rows = query(statement, params.map(({ val = null }) => val));
        const columns = Object.keys(rows[0] ?? {});
        return { columns, rows: rows.map((row) => columns.map((column) => toWire(row[column]))) };
      }),
    execute: (statement, params) => refused(() => execute(statement, params.map(({ val = null }) => val))),
  };
}

function openDatabase(statements) {
  const sqlite = process.getBuiltinModule?.('node:sqlite');
  if (sqlite === undefined) {
    throw new Error('this Node.js has no SQLite: use 22.13 or newer, or give fakeHost a `store` with query and execute');
  }
  const database = new sqlite.DatabaseSync(':memory:');
  for (const statement of statements) database.exec(statement);
  return database;
}

function refused(run) {
  try {
    return run();
  } catch (error) {
    throw error.code === 'ERR_SQLITE_ERROR' ? invalid(error.message) : asHost(error);
  }
}

function fromWire({ tag, val }) {
  return tag === 'null' ? null : tag === 'integer' ? BigInt(val) : val;
}

function toWire(value) {
  switch (typeof value) {
    case 'bigint':
      return { tag: 'integer', val: Number(value) };
    case 'number':
      return Number.isInteger(value) ? { tag: 'integer', val: value } : { tag: 'real', val: value };
    case 'string':
      return { tag: 'text', val: value };
    default:
      return value === null || value === undefined ? { tag: 'null' } : { tag: 'blob', val: value };
  }
}
