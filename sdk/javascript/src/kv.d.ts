import type { Json } from './types.js';

/**
 * Small values of the tenant's plugins, each with a time to live. They outlive requests and restarts, and count towards the room's
 * bytes. All plugins of the room share them: begin a key with the plugin's name. A key has 1 to 256 bytes.
 */

/** Seconds that a value lives: 1 to 31,536,000 (a year). */
export interface TimeToLive {
  seconds: number;
}

/** The value, or null: it was never set, or its time is over. */
export function get(key: string): Uint8Array | null;
/** The value as UTF-8. */
export function getText(key: string): string | null;
/** The value as JSON. Throws a SyntaxError for one that is not. */
export function getJson(key: string): any;

/** Sets a value of up to 64 KiB. */
export function set(key: string, value: string | Uint8Array, options: TimeToLive): void;
export function setJson(key: string, value: Json, options: TimeToLive): void;

/**
 * Adds `by`, 1 if not given, to a counter and returns the sum; one that is not there is 0. The time to live is set only when the counter
 * is made: a counter over a window. Throws `invalid_argument` for a value that is no counter.
 */
export function increment(key: string, options: { by?: number } & TimeToLive): number;

/** Removes a value; whether there was one. */
declare function remove(key: string): boolean;
export { remove as delete };
