// What QuickJS without WASI cannot do: each of these would end the plugin without a word, or, as `Math.random`, give every request
// the same numbers, because the engine's memory is a snapshot that was taken when the plugin was built.

function missing(what, instead) {
  return () => {
    throw new Error(`a plugin has no ${what}; ${instead}`);
  };
}

const noClock = missing('clock of its own', 'use now() of riad-sdk/clock');

const BuiltInDate = Date;
/** Dates of given times work; only the present time is refused. */
class GuestDate extends BuiltInDate {
  constructor(...parts) {
    if (parts.length === 0) noClock();
    super(...parts);
  }

  static now() {
    return noClock();
  }
}
globalThis.Date = GuestDate;

Math.random = missing('randomness of its own', 'use riad-sdk/random');

const noConsole = missing('console', 'import riad-sdk/logging, and console writes to the log');
globalThis.console = { log: noConsole, debug: noConsole, info: noConsole, warn: noConsole, error: noConsole };

/** Gives `console` somewhere to write: `write(level, message)`. */
export function setConsole(write) {
  const lines = (level) => (...values) => write(level, values.map(show).join(' '));
  globalThis.console = {
    log: lines('info'),
    debug: lines('debug'),
    info: lines('info'),
    warn: lines('warn'),
    error: lines('error'),
  };
}

function show(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return JSON.stringify(value) ?? String(value);
}
