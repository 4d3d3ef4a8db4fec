import { embeddings as host } from '#host/embeddings';
import { call, text } from './host.js';

export function embed(texts) {
  return call(() => host.embed(texts.map((one) => text('texts', one))));
}
