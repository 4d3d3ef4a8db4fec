// Calls of the host: its errors as exceptions, and the arguments that QuickJS would convert to something else without a word.

import '#guest';
import { fromHost, invalidArgument } from './errors.js';

const U32_MAX = 0xffff_ffff;

/** Makes a host call. */
export function call(ask) {
  try {
    return ask();
  } catch (error) {
    const reason = error?.payload;
    throw typeof reason?.tag === 'string' ? fromHost(reason) : error;
  }
}

/** An unsigned number of 32 bits. Whether it is too large for its purpose, the host says. */
export function whole(name, value) {
  if (!Number.isInteger(value) || value < 0 || value > U32_MAX) {
    throw invalidArgument(`\`${name}\` must be a whole number from 0 to ${U32_MAX}, not ${show(value)}`);
  }
  return value;
}

export function text(name, value) {
  if (typeof value !== 'string') {
    throw invalidArgument(`\`${name}\` must be a string, not ${show(value)}`);
  }
  return value;
}

/** JSON of a value that has some: a function or `undefined` has none. */
export function json(name, value) {
  const written = JSON.stringify(value);
  if (written === undefined) {
    throw invalidArgument(`\`${name}\` must be a value that JSON has, not ${show(value)}`);
  }
  return written;
}

function show(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
