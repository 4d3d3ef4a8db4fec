// What a plugin exports: one object per stage, in the shape of the contracts, made of an author's functions and classes.

import '#guest';
import { InvalidRequest, RiadError } from './errors.js';
import {
  endingToHost,
  list,
  passageFromHost,
  passageToHost,
  promptFromHost,
  promptToHost,
  string,
  toolToHost,
} from './wire.js';

export function defineRetrieval(retrieve) {
  return {
    retrieve: (request) => run(() => list(now(retrieve(request)), 'what retrieval returns').map(passageToHost)),
  };
}

export function definePrompting(buildPrompt) {
  return {
    buildPrompt: (request, passages) =>
      run(() => promptToHost(now(buildPrompt(request, passages.map(passageFromHost))))),
  };
}

export function definePostprocessing(AuthorsFilter) {
  // A constructor cannot answer with an error, so that of the author's class is kept for the first call.
  class Filter {
    #filter;
    #failure;

    constructor(request, prompt) {
      try {
        this.#filter = new AuthorsFilter(request, promptFromHost(prompt));
      } catch (error) {
        this.#failure = error;
      }
    }

    push(piece) {
      return run(() => string(now(this.#opened().push(piece)), 'what push returns'));
    }

    finish(reason) {
      return run(() => endingToHost(now(this.#opened().finish(reason.replaceAll('-', '_')))));
    }

    #opened() {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#filter;
    }
  }
  return { Filter };
}

export function defineTools(tools) {
  const offered = list(tools, 'tools').map(toolToHost);
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  if (byName.size < tools.length) throw new TypeError('each tool needs a name of its own');
  return {
    offer: () => offered,
    call: (name, text) =>
      run(() => {
        const tool = byName.get(name);
        if (tool === undefined) throw new InvalidRequest(`there is no tool ${name}`);
        const result = now(tool.call(JSON.parse(text)));
        return typeof result === 'string' ? result : (JSON.stringify(result) ?? 'null');
      }),
  };
}

/** Runs a stage; what it throws becomes a `stage-error`. */
function run(stage) {
  try {
    return stage();
  } catch (error) {
    const tag = error instanceof InvalidRequest ? 'invalid-request' : 'failed';
    // The bindings take the contract's variant itself.
    throw { tag, val: describe(error) };
  }
}

/** A host call returns when its result is there, so that nothing ever has to be awaited, and nothing runs what would be. */
function now(value) {
  if (typeof value?.then === 'function') {
    throw new TypeError('a stage must return its result, not a promise; host calls need no await');
  }
  return value;
}

/** An author's own mistake is told with its place. */
function describe(error) {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof RiadError || error instanceof InvalidRequest) return error.message;
  const place = /\(?([^\s()]+:\d+:\d+)\)?/.exec(error.stack?.replace(error.message, '') ?? '');
  return `${error.name}: ${error.message}${place === null ? '' : ` (${place[1]})`}`;
}
