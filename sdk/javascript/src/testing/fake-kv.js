// Values in memory, with the contract's bounds, on the test's own clock.

import { invalid, limitExceeded } from './refusals.js';

const VALUE_BYTES = 64 * 1024;
const SECONDS_MAX = 31_536_000;

export function fakeKv(given, clock) {
  const values = new Map();
  for (const [key, value] of Object.entries(given)) {
    const bytes = value instanceof Uint8Array ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    values.set(key, { bytes: Uint8Array.from(bytes), end: Infinity });
  }
  const live = (key) => {
    const bytes = Buffer.byteLength(key);
    if (bytes < 1 || bytes > 256) throw invalid(`a key has 1 to 256 bytes, not ${bytes}`);
    const found = values.get(key);
    return found !== undefined && found.end > clock.now() ? found : undefined;
  };
  const endOf = (seconds) => {
    if (seconds < 1 || seconds > SECONDS_MAX) throw invalid(`a value lives 1 to ${SECONDS_MAX} seconds, not ${seconds}`);
    return clock.now() + seconds * 1000;
  };
  return {
    get: (key) => live(key)?.bytes ?? null,

    set(key, value, seconds) {
      live(key);
      if (value.length > VALUE_BYTES) throw limitExceeded(`a value has up to ${VALUE_BYTES} bytes`);
      values.set(key, { bytes: Uint8Array.from(value), end: endOf(seconds) });
    },

    delete(key) {
      const was = live(key) !== undefined;
      values.delete(key);
      return was;
    },

    increment(key, by, seconds) {
      const end = endOf(seconds);
      const found = live(key);
      if (found !== undefined && found.bytes.length !== 8) throw invalid('the value is no counter');
      const counter = Buffer.from(found?.bytes ?? new Uint8Array(8));
      const sum = counter.readBigInt64LE() + BigInt(by);
      counter.writeBigInt64LE(sum);
      values.set(key, { bytes: Uint8Array.from(counter), end: found?.end ?? end });
      return Number(sum);
    },
  };
}
