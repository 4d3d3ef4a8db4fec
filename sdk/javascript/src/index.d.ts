import type { Filter, NewPassage, Passage, Prompt, Request, Tool } from './types.js';

export type * from './types.js';

/**
 * Why a host call did not do what was asked.
 *
 * - `invalid_argument`: an argument cannot be used; the message says which and why.
 * - `not_found`: the room has no such object.
 * - `limit_exceeded`: a limit of the room was met; the message names it.
 * - `unavailable`: the server failed; trying again may help.
 * - of `http` only: `not_granted`, the operator has not granted the host; `failed`, it could not be reached; `timed_out`.
 */
export type ErrorKind =
  | 'invalid_argument'
  | 'not_found'
  | 'limit_exceeded'
  | 'unavailable'
  | 'not_granted'
  | 'failed'
  | 'timed_out';

/** What a host call answers instead of a result. A stage that does not catch it fails: the client gets a 422. */
export class RiadError extends Error {
  constructor(kind: ErrorKind, message: string);
  readonly kind: ErrorKind;
}

/** The client's request cannot be served: the client gets a 400 with the message. From a tool, the model gets it and may try again. */
export class InvalidRequest extends Error {
  constructor(message: string);
}

/** From a chat request to passages, best first: `export const retrieval = defineRetrieval(…)`. */
export function defineRetrieval(retrieve: (request: Request) => NewPassage[]): {
  retrieve(request: object): object[];
};

/** From passages to what the model reads: `export const prompting = definePrompting(…)`. */
export function definePrompting(
  buildPrompt: (request: Request, passages: Passage[]) => { messages: Prompt['messages']; passages?: NewPassage[] },
): { buildPrompt(request: object, passages: object[]): object };

/** From what the model writes to what the client reads: `export const postprocessing = definePostprocessing(MyFilter)`. */
export function definePostprocessing(filter: new (request: Request, prompt: Prompt) => Filter): {
  Filter: new (request: object, prompt: object) => object;
};

/** Functions that the model may call while it answers, at most 32: `export const tools = defineTools([…])`. */
export function defineTools(tools: Tool[]): { offer(): object[]; call(name: string, argumentsJson: string): string };
