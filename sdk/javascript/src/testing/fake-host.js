// A host in memory for tests. Each interface is as the contract has it, so that what stands before it in the SDK is tested, too.

import { setCurrent } from './current.js';
import { fakeDocuments, wordsOf } from './fake-documents.js';
import { fakeKv } from './fake-kv.js';
import { fakeStore } from './fake-store.js';
import { asHost, invalid, notGranted } from './refusals.js';

const DIMENSIONS = 64;

/** Makes a host and lets the capabilities of this process call it, until the next one is made. */
export function fakeHost(given = {}) {
  const host = new FakeHost(given);
  setCurrent(host);
  return host;
}

class FakeHost {
  constructor({ documents = [], kv = {}, settings = {}, now = Date.UTC(2026, 0, 1), generate, http = {}, sql, store, seed = 1 }) {
    /** Milliseconds; a test moves it on. */
    this.now = now;
    /** What was logged: `{ level, message }`. */
    this.logs = [];
    /** What was asked of `generation` and `http`. */
    this.generations = [];
    this.requests = [];

    this.clock = { now: () => Math.floor(this.now / 100) * 100 };
    this.documents = fakeDocuments(documents);
    this.embeddings = { embed: (texts) => texts.map(vector) };
    this.generation = { generate: (messages, options) => this.#generate(generate, messages, options) };
    this.http = { send: (request) => this.#send(http, request) };
    this.kv = fakeKv(kv, this.clock);
    this.logging = { log: (level, message) => void this.logs.push({ level, message }) };
    this.model = { countTokens };
    this.random = fakeRandom(seed);
    this.settings = { get: (key) => (Object.hasOwn(settings, key) ? JSON.stringify(settings[key]) : null) };
    this.store = fakeStore({ sql, store });
  }

  #generate(generate, messages, options) {
    if (generate === undefined) throw new Error('the plugin generates: give fakeHost a `generate(messages, options)`');
    if (options.maxTokens < 1) throw invalid('`max-tokens` must be at least 1');
    if (!(options.temperature >= 0 && options.temperature <= 2)) throw invalid('the temperature must be 0 to 2');
    if (options.stop.length > 4) throw invalid('there are at most 4 stop texts');
    const schema = options.schema === null ? undefined : JSON.parse(options.schema);
    this.generations.push({ messages, options: { ...options, schema } });
    const answer = answered(() => generate(messages, { ...options, schema }));
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    const words = text.split(/(?<=\s)/);
    return {
      text: words.slice(0, options.maxTokens).join(''),
      promptTokens: messages.reduce((sum, { content }) => sum + countTokens(content), 0),
      completionTokens: Math.min(words.length, options.maxTokens),
      isCut: words.length > options.maxTokens,
    };
  }

  #send(hosts, { method, url, headers, body }) {
    const { protocol, host } = parseUrl(url);
    if (!Object.hasOwn(hosts, host)) throw notGranted(`the host ${host} is not granted`);
    if (protocol !== 'https:') throw notGranted(`${protocol}//${host} is not granted`);
    const request = {
      method: method.toUpperCase(),
      url,
      headers: Object.fromEntries(headers.map(({ name, value }) => [name.toLowerCase(), value])),
      body: Buffer.from(body).toString(),
    };
    this.requests.push(request);
    const { status = 200, headers: given = {}, body: answer = '' } = answered(() => hosts[host](request));
    const text = typeof answer === 'string' || answer instanceof Uint8Array ? answer : JSON.stringify(answer);
    return {
      status,
      headers: Object.entries(given).map(([name, value]) => ({ name, value })),
      body: Uint8Array.from(Buffer.from(text)),
    };
  }
}

/** A test's own function, which may throw a `RiadError` for the host to answer with. */
function answered(run) {
  try {
    return run();
  } catch (error) {
    throw asHost(error);
  }
}

function parseUrl(url) {
  if (!URL.canParse(url)) throw invalid(`${url} is no URL`);
  return new URL(url);
}

/** A token per four characters, at least one per word: close to what models for English have. */
function countTokens(text) {
  const pieces = text.match(/\S+/g) ?? [];
  return pieces.reduce((sum, piece) => sum + Math.ceil(piece.length / 4), 0);
}

/** Words, each at a place of its own: texts with common words are near each other. */
function vector(text) {
  const values = new Array(DIMENSIONS).fill(0);
  for (const word of wordsOf(text)) {
    let hash = 0;
    for (const character of word) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
    values[hash % DIMENSIONS] += 1;
  }
  const length = Math.hypot(...values);
  return length === 0 ? values : values.map((value) => value / length);
}

/** The same bytes in each run, so that a test can expect them. */
function fakeRandom(seed) {
  let state = (seed >>> 0) || 1;
  const next = () => {
    // Marsaglia's xorshift of 32 bits.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 24;
  };
  return {
    bytes(count) {
      if (count < 1 || count > 4096) throw invalid('there are 1 to 4,096 bytes in a call');
      return Uint8Array.from({ length: count }, next);
    },
  };
}

