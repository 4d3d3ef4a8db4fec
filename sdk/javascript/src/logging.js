import { setConsole } from '#guest';
import { logging as host } from '#host/logging';

export function log(level, message) {
  host.log(level, String(message));
}

export function debug(message) {
  log('debug', message);
}

export function info(message) {
  log('info', message);
}

export function warn(message) {
  log('warn', message);
}

export function error(message) {
  log('error', message);
}

setConsole(log);
