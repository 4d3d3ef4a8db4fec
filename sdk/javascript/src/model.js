import { model as host } from '#host/model';
import { call, text } from './host.js';

export function countTokens(words) {
  return call(() => host.countTokens(text('text', words)));
}
