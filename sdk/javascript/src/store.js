import { store as host } from '#host/store';
import { invalidArgument } from './errors.js';
import { call, text } from './host.js';

export function query(sql, params = []) {
  const { columns, rows } = call(() => host.query(text('sql', sql), params.map(toHost)));
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, fromHost(row[index])])));
}

export function execute(sql, params = []) {
  return Number(call(() => host.execute(text('sql', sql), params.map(toHost))));
}

function toHost(value, index) {
  switch (typeof value) {
    case 'string':
      return { tag: 'text', val: value };
    case 'boolean':
      return { tag: 'integer', val: value ? 1 : 0 };
    case 'number':
      return Number.isSafeInteger(value) ? { tag: 'integer', val: value } : { tag: 'real', val: value };
  }
  if (value === null || value === undefined) return { tag: 'null' };
  if (value instanceof Uint8Array) return { tag: 'blob', val: value };
  throw invalidArgument(`parameter ${index + 1} must be null, a number, a boolean, a string or a Uint8Array`);
}

function fromHost({ tag, val }) {
  switch (tag) {
    case 'null':
      return null;
    case 'blob':
      return Uint8Array.from(val);
    default:
      return val;
  }
}
