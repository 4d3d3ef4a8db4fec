// The host's interfaces as Node.js sees them: what a test has set up. `package.json` puts this file in place of `imports/*.js`.

let current;

export function setCurrent(host) {
  current = host;
}

function delegate(name) {
  const answer = (_, method) => (...args) => {
    if (current === undefined) throw new Error(`a plugin called ${name}, but the test has no host: call fakeHost() first`);
    return current[name][method](...args);
  };
  return new Proxy({}, { get: answer });
}

export const clock = delegate('clock');
export const documents = delegate('documents');
export const embeddings = delegate('embeddings');
export const generation = delegate('generation');
export const http = delegate('http');
export const kv = delegate('kv');
export const logging = delegate('logging');
export const model = delegate('model');
export const random = delegate('random');
export const settings = delegate('settings');
export const store = delegate('store');
