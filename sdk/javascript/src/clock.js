import { clock as host } from '#host/clock';

export function now() {
  return host.now();
}
