import type { Json } from './types.js';

export interface Options {
  /** GET if not given; POST, PUT, PATCH, DELETE, HEAD. */
  method?: string;
  /** Without `host`, `connection`, `content-length` and their like, which are the host's to set. */
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** A body of JSON, in place of `body`; sets `content-type` unless `headers` has one. */
  json?: Json;
}

export class Response {
  constructor(parts: { status: number; headers: { name: string; value: string }[]; body: ArrayLike<number> });
  /** 100 to 599; a redirect is an answer like any other, and is not followed. */
  readonly status: number;
  /** By names in lower case; the values of one name are joined with `, `. */
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
  /** Whether the status is 200 to 299. */
  readonly ok: boolean;
  text(): string;
  json(): any;
}

/**
 * A request to a host that the operator has granted to this tenant; without a grant, none. An answer of any status is returned.
 *
 * Throws `invalid_argument`, `not_granted`, `failed` if the host could not be reached, `timed_out`, `limit_exceeded`.
 */
export function send(url: string, options?: Options): Response;
