import { settings as host } from '#host/settings';
import { call, text } from './host.js';

export function get(key, fallback) {
  const value = call(() => host.get(text('key', key)));
  return value === null || value === undefined ? fallback : JSON.parse(value);
}
