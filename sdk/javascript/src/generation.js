import { generation as host } from '#host/generation';
import { call, json, text, whole } from './host.js';
import { messageToHost } from './wire.js';

export function generate(prompt, { maxTokens = 256, temperature = 0, stop = [], schema } = {}) {
  const messages = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  const options = {
    maxTokens: whole('maxTokens', maxTokens),
    temperature,
    stop: stop.map((one) => text('stop', one)),
    schema: schema === undefined ? null : json('schema', schema),
  };
  return call(() => host.generate(messages.map(messageToHost), options));
}
