import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as clock from '../src/clock.js';
import * as documents from '../src/documents.js';
import { embed } from '../src/embeddings.js';
import { generate } from '../src/generation.js';
import { send } from '../src/http.js';
import { RiadError } from '../src/index.js';
import * as kv from '../src/kv.js';
import * as log from '../src/logging.js';
import { countTokens } from '../src/model.js';
import * as random from '../src/random.js';
import * as settings from '../src/settings.js';
import * as store from '../src/store.js';
import { fakeHost } from '../src/testing/index.js';

const kind = (wanted) => (error) => error instanceof RiadError && error.kind === wanted;

test('documents are searched, filtered, read and listed', () => {
  const many = Array.from({ length: 120 }, (_, index) => ({ id: `d${String(index).padStart(3, '0')}`, text: 'noise' }));
  const drill = { id: 'drill', text: 'A red drill.\n\nA saw.', metadata: { year: 2026 } };
  fakeHost({ documents: [...many, drill, { id: 'lamp', text: 'A lamp, no drill.', vectorStore: 'vs_1' }] });
  assert.equal(documents.search('red drill')[0].document, 'drill');
  assert.deepEqual(documents.search('drill', { filter: { year: 2025 } }), []);
  assert.deepEqual(documents.search('drill', { filter: { year: 2026 } })[0].metadata, { year: 2026 });
  assert.equal(documents.searchStores(['vs_1'], 'drill')[0].document, 'lamp');
  assert.throws(() => documents.searchStores(['vs_2'], 'drill'), kind('not_found'));
  assert.throws(() => documents.get('lamp'), kind('not_found'));
  assert.equal(documents.get('drill').text, 'A red drill.\n\nA saw.');
  assert.equal([...documents.all()].length, 121);
  assert.equal(documents.list({ after: 'd119' })[0].chunks, 2);
  assert.throws(() => documents.get('none'), kind('not_found'));
  assert.throws(() => documents.search('drill', { limit: 0 }), kind('invalid_argument'));
  assert.throws(() => documents.search('drill', { limit: 1.5 }), /whole number/);
});

test('values live as long as they may', () => {
  const host = fakeHost({ kv: { 'mine/list': ['a'] } });
  assert.deepEqual(kv.getJson('mine/list'), ['a']);
  kv.set('mine/word', 'Größe', { seconds: 60 });
  assert.equal(kv.getText('mine/word'), 'Größe');
  assert.equal(kv.increment('mine/count', { seconds: 10 }), 1);
  assert.equal(kv.increment('mine/count', { by: -3, seconds: 99 }), -2);
  host.now += 10_000;
  assert.equal(kv.increment('mine/count', { seconds: 10 }), 1);
  host.now += 50_000;
  assert.equal(kv.get('mine/word'), null);
  assert.equal(kv.delete('mine/list'), true);
  assert.equal(kv.delete('mine/list'), false);
  assert.throws(() => kv.set('', 'x', { seconds: 1 }), kind('invalid_argument'));
  assert.throws(() => kv.set('a', 'x', { seconds: 0 }), kind('invalid_argument'));
  assert.throws(() => kv.set('a', new Uint8Array(65_537), { seconds: 1 }), kind('limit_exceeded'));
  assert.throws(() => kv.set('a', { b: 1 }, { seconds: 1 }), /setJson/);
});

test('rows are objects and parameters keep their kinds', () => {
  const seen = [];
  const query = (_, params) => {
    seen.push(...params);
    return [{ id: 7, price: 1.5, name: 'drill', none: null, data: Uint8Array.from([1]) }];
  };
  fakeHost({ store: { query, execute: () => 3 } });
  const rows = store.query('SELECT 1', [true, 2, 2.5, 'x', null, Uint8Array.from([9])]);
  assert.deepEqual(rows, [{ id: 7, price: 1.5, name: 'drill', none: null, data: Uint8Array.from([1]) }]);
  assert.deepEqual(seen, [1, 2, 2.5, 'x', null, Uint8Array.from([9])]);
  assert.equal(store.execute('DELETE FROM t'), 3);
  assert.throws(() => store.query('SELECT ?1', [{}]), kind('invalid_argument'));
});

const sqlite = process.getBuiltinModule?.('node:sqlite') === undefined ? 'this Node.js has no SQLite' : false;

test('the SQL store is SQLite where Node.js has it', { skip: sqlite }, () => {
  fakeHost({ sql: ['CREATE TABLE t (id INTEGER, name TEXT)', "INSERT INTO t VALUES (1, 'drill')"] });
  assert.deepEqual(store.query('SELECT name FROM t WHERE id = ?1', [1]), [{ name: 'drill' }]);
  assert.equal(store.execute('DELETE FROM t'), 1);
  assert.throws(() => store.query('SELEC'), kind('invalid_argument'));
});

test('the model answers what the test says, within its bounds', () => {
  const host = fakeHost({ generate: (messages) => `${messages[0].content} and more words` });
  const answer = generate('one', { maxTokens: 2, schema: { type: 'string' } });
  assert.deepEqual(answer, { text: 'one and ', promptTokens: 1, completionTokens: 2, isCut: true });
  assert.deepEqual(host.generations[0].options.schema, { type: 'string' });
  assert.throws(() => generate('one', { maxTokens: 0 }), kind('invalid_argument'));
  assert.throws(() => generate('one', { stop: ['a', 'b', 'c', 'd', 'e'] }), kind('invalid_argument'));
});

test('a test lets a capability fail as the host would', () => {
  fakeHost({
    generate() {
      throw new RiadError('unavailable', 'down');
    },
  });
  assert.throws(() => generate('one'), kind('unavailable'));
});

test('only granted hosts are reached', () => {
  const answer = ({ method, body }) => ({ status: 201, headers: { 'Content-Type': 'x' }, body: { method, got: body } });
  const host = fakeHost({ http: { 'api.example': answer } });
  const response = send('https://api.example/orders', { method: 'post', json: { id: 1 } });
  assert.deepEqual(response.json(), { method: 'POST', got: '{"id":1}' });
  assert.deepEqual([response.status, response.ok, response.headers['content-type']], [201, true, 'x']);
  assert.equal(host.requests[0].headers['content-type'], 'application/json');
  assert.throws(() => send('https://other.example/'), kind('not_granted'));
  assert.throws(() => send('http://api.example/'), kind('not_granted'));
  assert.throws(() => send('https://api.example/', { method: 'TRACE' }), kind('invalid_argument'));
});

test('settings, the log, the clock, the model and vectors', () => {
  const host = fakeHost({ settings: { limit: 3, none: null }, now: 1_234 });
  assert.equal(settings.get('limit'), 3);
  assert.equal(settings.get('none', 1), null);
  assert.equal(settings.get('missing', 'x'), 'x');
  assert.equal(settings.get('toString'), undefined);
  log.warn('careful');
  assert.deepEqual(host.logs, [{ level: 'warn', message: 'careful' }]);
  assert.equal(clock.now(), 1_200);
  assert.equal(countTokens('four words, unequally long'), 7);
  const [a, b, none] = embed(['red drill', 'drill red', '']);
  assert.deepEqual(a, b);
  assert.ok(Math.abs(Math.hypot(...a) - 1) < 1e-9 && Math.hypot(...none) === 0);
});

test('random bytes are the same in each test and differ by seed', () => {
  fakeHost();
  const first = random.uuid();
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(random.uuid(), first);
  fakeHost({ seed: 2 });
  assert.notEqual(random.uuid(), first);
  assert.throws(() => random.bytes(0), kind('invalid_argument'));
});
