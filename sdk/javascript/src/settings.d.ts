/** A member of the tenant's settings, as set with `PUT /v1/settings`; `fallback` where it is not set. */
export function get<T = any>(key: string, fallback: T): T;
export function get<T = any>(key: string): T | undefined;
