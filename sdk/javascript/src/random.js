import { random as host } from '#host/random';
import { call, whole } from './host.js';

export function bytes(count) {
  return Uint8Array.from(call(() => host.bytes(whole('count', count))));
}

export function uuid() {
  const random = bytes(16);
  // The version and the variant of RFC 9562.
  random[6] = (random[6] & 0x0f) | 0x40;
  random[8] = (random[8] & 0x3f) | 0x80;
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
