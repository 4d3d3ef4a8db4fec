// What goes wrong, as classes. Not here: where host calls are made (`host.js`), what becomes of a stage's error (`stages.js`).

/** What a host call answers instead of a result. `kind` is for programs, `message` for people. */
export class RiadError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = 'RiadError';
    this.kind = kind;
  }
}

/** The client's request cannot be served. The client gets a 400 with the message; from a tool, the model gets it and may try again. */
export class InvalidRequest extends Error {
  constructor(message) {
    super(message);
    this.name = 'InvalidRequest';
  }
}

export function invalidArgument(message) {
  return new RiadError('invalid_argument', message);
}

/** A case of the contract's `error` or `http-error`, as the class that authors see. */
export function fromHost({ tag, val }) {
  switch (tag) {
    case 'not-found':
      return new RiadError('not_found', 'not found');
    case 'limit-exceeded':
      return new RiadError('limit_exceeded', `limit exceeded: ${val}`);
    case 'unavailable':
      return new RiadError('unavailable', 'the server failed; try again');
    case 'timed-out':
      return new RiadError('timed_out', 'there was no whole answer in time');
    default:
      return new RiadError(tag.replaceAll('-', '_'), val);
  }
}
