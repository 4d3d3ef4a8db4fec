/**
 * Lines for the plugin's author, read with `riad plugin logs`. What is over the room's maximum is dropped. Where this module is
 * imported, `console` writes to the same log.
 */
export type Level = 'debug' | 'info' | 'warn' | 'error';

export function log(level: Level, message: string): void;
export function debug(message: string): void;
export function info(message: string): void;
export function warn(message: string): void;
export function error(message: string): void;
