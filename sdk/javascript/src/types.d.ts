/** Words that stages and capabilities share. */

export type Role = 'system' | 'user' | 'assistant';

export interface Message {
  role: Role;
  content: string;
}

/** What JSON has. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: any };

/** A chunk of a document, or a part of one, as the search returns it. */
export interface Passage {
  /** The document's id: 1 to 64 of a-z, 0-9, `-` and `_`. */
  document: string;
  /** Position of the chunk in its document, from 0. */
  chunk: number;
  title: string;
  text: string;
  /** Fused score of the search; only its order means something. */
  score: number;
  /** The document's metadata. */
  metadata: JsonObject;
}

/** A passage that a plugin makes. What it leaves out is 0, empty, `{}`. */
export type NewPassage = Pick<Passage, 'document' | 'text'> & Partial<Passage>;

/** What a prompt must know of the model that will read it. */
export interface Profile {
  /** The model's name in the API. */
  id: string;
  /** Tokens that prompt and completion may have together. */
  contextTokens: number;
  /** Tokens up to which a prompt should be filled. */
  promptTokens: number;
  /** Passages that a prompt should have at most. */
  passages: number;
  /** Sentences that a passage should keep around its best match. */
  sentences: number;
}

/** The chat request that the pipeline serves. */
export interface Request {
  /** As the client sent them; the last one is the user's. */
  messages: Message[];
  profile: Profile;
  /** Tokens that the answer may have. */
  maxTokens: number;
}

export interface Prompt {
  /** What the model is given. */
  messages: Message[];
  /** The passages as the prompt numbers them, from 1. They are returned with the answer. */
  passages: Passage[];
}

/** Whether what the answer quotes from a passage stands in it. */
export interface Citation {
  /** Number of the passage in the prompt, from 1. */
  passage: number;
  grounded: boolean;
}

export interface Ending {
  /** What the filter still held back. */
  text?: string;
  citations?: Citation[];
}

/**
 * Why the model's output ended: it was done or wrote one of the request's `stop` sequences; the answer has as many tokens as it may
 * have; the model calls tools of the client's.
 */
export type FinishReason = 'stop' | 'length' | 'tool_calls';

/** What a filter of the stage `postprocessing` is. One is made per choice of the answer. */
export interface Filter {
  /** A piece of the model's output in, what may go out now (perhaps ''). Pieces end anywhere, also inside a word. */
  push(piece: string): string;
  /** The output has ended. A string is an ending without citations. */
  finish(reason: FinishReason): Ending | string | void;
}

export interface Tool<Arguments = any> {
  /** 1 to 64 letters, digits, `_` and `-`. */
  name: string;
  /** What the model reads to decide whether to call it. */
  description: string;
  /** JSON Schema of an object: the arguments. */
  parameters: JsonObject;
  /**
   * Runs the tool. `arguments` is an object as the model wrote it, checked against the schema only where the request required a call.
   * A string goes to the model as it is, anything else as JSON. `InvalidRequest` goes to the model too; other errors end the request.
   */
  call(arguments: Arguments): unknown;
}
