import { kv as host } from '#host/kv';
import { decode, encode } from './bytes.js';
import { invalidArgument } from './errors.js';
import { call, json, text, whole } from './host.js';

export function get(key) {
  const value = call(() => host.get(text('key', key)));
  return value === null || value === undefined ? null : Uint8Array.from(value);
}

export function getText(key) {
  const value = get(key);
  return value === null ? null : decode(value);
}

export function getJson(key) {
  const value = getText(key);
  return value === null ? null : JSON.parse(value);
}

export function set(key, value, { seconds }) {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw invalidArgument('`value` must be a string or a Uint8Array; setJson takes other values');
  }
  const bytes = typeof value === 'string' ? encode(value) : value;
  call(() => host.set(text('key', key), bytes, whole('seconds', seconds)));
}

export function setJson(key, value, { seconds }) {
  set(key, json('value', value), { seconds });
}

export function increment(key, { by = 1, seconds }) {
  if (!Number.isSafeInteger(by)) throw invalidArgument(`\`by\` must be a whole number, not ${by}`);
  return Number(call(() => host.increment(text('key', key), by, whole('seconds', seconds))));
}

function remove(key) {
  return call(() => host.delete(text('key', key)));
}

// `delete` is a word of the language, so that no function can be declared with it.
export { remove as delete };
