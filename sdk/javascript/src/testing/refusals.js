// Errors of the fake host, thrown as the bindings throw those of the real one.

function refusal(tag, val) {
  return Object.assign(new Error(val ?? tag), { payload: { tag, val } });
}

export function invalid(message) {
  return refusal('invalid-argument', message);
}

export function notFound() {
  return refusal('not-found');
}

export function limitExceeded(message) {
  return refusal('limit-exceeded', message);
}

export function notGranted(message) {
  return refusal('not-granted', message);
}

/** A `RiadError` that a test wants a capability to answer with, as the host would. */
export function asHost(error) {
  const tags = { invalid_argument: 1, limit_exceeded: 1, not_found: 1, unavailable: 1, not_granted: 1, failed: 1, timed_out: 1 };
  return error?.kind in tags ? refusal(error.kind.replaceAll('_', '-'), error.message) : error;
}
