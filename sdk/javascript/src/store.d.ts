/** A boolean is stored as 0 or 1, a whole number as an integer, any other as a real. */
export type Parameter = null | undefined | boolean | number | string | Uint8Array;
/** Integers beyond 2⁵³ lose digits; select them as text. */
export type Value = null | number | string | Uint8Array;

/**
 * The tenant's own SQL store (SQLite). One statement a call, each its own transaction. Parameters are `?1`, `?2`, …
 *
 * Throws `invalid_argument` for what SQLite or the guard refuses, `limit_exceeded` for time, rows, bytes or a full store.
 */

/** A statement that returns rows: objects by the names of their columns. */
export function query<Row = Record<string, Value>>(sql: string, params?: Parameter[]): Row[];

/** A statement that changes something; returns how many rows were changed. */
export function execute(sql: string, params?: Parameter[]): number;
