import type { Citation, FinishReason, JsonObject, Message, NewPassage, Passage, Profile, Prompt, Request } from '../types.js';

export interface Given {
  /** The fake search counts common words; a chunk is a paragraph. */
  /** One with `vectorStore` is in the store of this id. */
  documents?: { id: string; title?: string; text: string; metadata?: JsonObject; vectorStore?: string }[];
  /** Bytes, a text, or a value that is stored as JSON. */
  kv?: Record<string, unknown>;
  settings?: JsonObject;
  /** Milliseconds since 1970; the start of 2026 if not given. */
  now?: number;
  /** What the model answers: a text, or a value that becomes JSON. May throw a `RiadError`. */
  generate?: (messages: Message[], options: JsonObject) => unknown;
  /** Granted hosts, each with what it answers. May throw a `RiadError`. */
  http?: Record<string, (request: HttpRequest) => HttpAnswer>;
  /** Statements that fill the SQL store; needs Node.js 22.13 or newer. */
  sql?: string[];
  /** In place of SQLite. */
  store?: { query?(sql: string, params: unknown[]): object[]; execute?(sql: string, params: unknown[]): number };
  /** Of the random bytes, which are the same in each run. */
  seed?: number;
}

export interface HttpRequest {
  method: string;
  url: string;
  /** By names in lower case. */
  headers: Record<string, string>;
  body: string;
}

export interface HttpAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** What is no text and no bytes becomes JSON. */
  body?: unknown;
}

export interface FakeHost {
  now: number;
  readonly logs: { level: string; message: string }[];
  readonly generations: { messages: Message[]; options: JsonObject }[];
  readonly requests: HttpRequest[];
}

/** Makes a host in memory and lets the capabilities of this process call it, until the next one is made. */
export function fakeHost(given?: Given): FakeHost;

/** The stage failed, or returned what the host refuses; the client would get a 422. */
export class StageFailed extends Error {}

/** A chat request as a stage gets it. */
export function request(
  question: string,
  options?: { messages?: Message[]; maxTokens?: number; profile?: Partial<Profile> },
): Request;

/** The plugin: `import * as plugin from '../src/plugin.js'`. */
type Plugin = Record<string, any>;

export function retrieve(plugin: Plugin, asked: string | Request): Passage[];
export function buildPrompt(plugin: Plugin, asked: string | Request, passages?: NewPassage[]): Prompt;

/** One choice of an answer: the model's pieces in, what the client reads out. The last of `pieces` is the ending. */
export function postprocess(
  plugin: Plugin,
  pieces: string[],
  options?: {
    asked?: string | Request;
    prompt?: { messages: Message[]; passages?: NewPassage[] };
    finish?: FinishReason;
  },
): { text: string; pieces: string[]; citations: Citation[] };

export function offer(plugin: Plugin): { name: string; description: string; parameters: JsonObject }[];

/** Runs a tool and returns what the model reads. Throws `InvalidRequest` for what the model may try again. */
export function callTool(plugin: Plugin, name: string, args?: JsonObject): string;
