/** Milliseconds since 1970-01-01 UTC, in steps of 100. `new Date(now())` is the present time. */
export function now(): number;
