/** So many bytes of the operating system's randomness, 1 to 4,096, fit for secrets. */
export function bytes(count: number): Uint8Array;

/** A random UUID, version 4. */
export function uuid(): string;
