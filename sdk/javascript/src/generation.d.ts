import type { JsonObject, Message } from './types.js';

export interface Options {
  /** Tokens that the answer may have, 1 to the server's `limits.guest_generation_tokens`; 256 if not given. */
  maxTokens?: number;
  /** 0, which is the default, is always the likeliest token; up to 2. */
  temperature?: number;
  /** Texts before which the answer ends, at most 4. */
  stop?: string[];
  /** JSON Schema that the answer follows: `JSON.parse(generate(…).text)`. */
  schema?: JsonObject;
}

export interface Generated {
  text: string;
  promptTokens: number;
  completionTokens: number;
  /** The answer has as many tokens as it may have. */
  isCut: boolean;
}

/**
 * An answer of the model that serves the request, with its adapter. No stage runs: what is given is what the model reads. A string is
 * one message of the user's. It waits in the tenant's place of the queue, and its tokens are billed as the tenant's.
 */
export function generate(prompt: string | Message[], options?: Options): Generated;
