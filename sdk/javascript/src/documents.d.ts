import type { JsonObject, Passage } from './types.js';

export interface Document {
  id: string;
  title: string;
  text: string;
  metadata: JsonObject;
}

/** A document without its text. */
export interface Summary {
  id: string;
  title: string;
  metadata: JsonObject;
  /** Bytes of its text, as UTF-8. */
  bytes: number;
  /** Pieces that a search can find. */
  chunks: number;
}

/**
 * Hybrid search, best first. `limit` is 1 to 100, 5 if not given. `filter`: only documents whose metadata has each of its members, at
 * most 32, with an equal value.
 *
 * Throws `invalid_argument` for a query without text, a limit of 0, a filter that cannot be used.
 */
export function search(query: string, options?: { limit?: number; filter?: JsonObject }): Passage[];

/**
 * Like `search`, in these vector stores, 1 to 8 ids. `filter` is of the files' attributes.
 *
 * Throws `not_found` when the tenant does not have one of the stores.
 */
export function searchStores(stores: string[], query: string, options?: { limit?: number; filter?: JsonObject }): Passage[];

/** A whole document. Throws `not_found`. */
export function get(id: string): Document;

/** Documents in the order of their ids, those after `after`. `limit` is 1 to 100, 100 if not given; fewer are the last ones. */
export function list(options?: { after?: string; limit?: number }): Summary[];

/** All documents in the order of their ids, one host call per 100. */
export function all(): Generator<Summary, void>;
