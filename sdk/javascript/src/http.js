import { http as host } from '#host/http';
import { decode, encode } from './bytes.js';
import { invalidArgument } from './errors.js';
import { call, json as toJson, text } from './host.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head'];

export class Response {
  constructor({ status, headers, body }) {
    this.status = status;
    this.headers = {};
    for (const { name, value } of headers) {
      const key = name.toLowerCase();
      this.headers[key] = key in this.headers ? `${this.headers[key]}, ${value}` : value;
    }
    this.body = Uint8Array.from(body);
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  text() {
    return decode(this.body);
  }

  json() {
    return JSON.parse(this.text());
  }
}

export function send(url, { method = 'GET', headers = {}, body, json } = {}) {
  const verb = text('method', method).toLowerCase();
  if (!METHODS.includes(verb)) {
    throw invalidArgument(`\`method\` must be one of ${METHODS.join(', ')}, not ${method}`);
  }
  const all = { ...headers };
  const names = Object.keys(all).map((name) => name.toLowerCase());
  if (json !== undefined && !names.includes('content-type')) all['content-type'] = 'application/json';
  const request = {
    method: verb,
    url: text('url', url),
    headers: Object.entries(all).map(([name, value]) => ({ name, value: String(value) })),
    body: bytes(json === undefined ? body : toJson('json', json)),
  };
  return new Response(call(() => host.send(request)));
}

function bytes(body = '') {
  return typeof body === 'string' ? encode(body) : Uint8Array.from(body);
}
