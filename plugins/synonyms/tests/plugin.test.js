import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StageFailed, fakeHost, request, retrieve } from 'riad-sdk/testing';
import * as plugin from '../src/plugin.js';

const synonyms = { id: 'synonyms', text: '# Furniture\nsofa, couch, settee\nfridge, cooling unit\n' };
const couch = { id: 'couch', text: 'The couch costs 300 euros.' };
const fridge = { id: 'fridge', text: 'The cooling unit is loud.' };

const found = (question) => retrieve(plugin, question).map(({ document }) => document);

test('what is called otherwise is found', () => {
  const host = fakeHost({ documents: [synonyms, couch, fridge] });
  assert.deepEqual(found('What about a SOFA?'), ['couch']);
  assert.deepEqual(host.logs, [{ level: 'info', message: 'added: couch settee' }]);
  assert.deepEqual(found('my fridge'), ['fridge']);
});

test('without the list only what was asked is found', () => {
  fakeHost({ documents: [couch, fridge] });
  assert.deepEqual(found('a sofa'), []);
});

test('the list itself is no answer', () => {
  fakeHost({ documents: [synonyms] });
  assert.deepEqual(found('settee'), []);
});

test('a changed list is read when its time is over', () => {
  const documents = [synonyms, couch];
  const host = fakeHost({ documents, kv: {}, settings: { synonyms_seconds: 60 } });
  assert.deepEqual(found('sofa'), ['couch']);
  const later = fakeHost({ documents: [couch], now: host.now });
  later.kv = host.kv;
  assert.deepEqual(found('sofa'), ['couch'], 'from kv');
  host.now += 61_000;
  assert.deepEqual(found('sofa'), [], 'from the document, which is gone');
});

test('a list that kv does not take is used all the same', () => {
  const long = Array.from({ length: 9_000 }, (_, index) => `word${index}, other${index}`).join('\n');
  const host = fakeHost({ documents: [{ id: 'synonyms', text: long }, { id: 'a', text: 'other8999' }] });
  assert.deepEqual(found('word8999'), ['a']);
  assert.match(host.logs[0].message, /^synonyms are not kept: limit exceeded/);
});

test('a setting of another shape is named', () => {
  fakeHost({ documents: [synonyms], settings: { synonyms_seconds: 'long' } });
  assert.deepEqual(found('fridge'), []);
  fakeHost({ documents: [synonyms], settings: { synonyms_document: 7 } });
  assert.throws(() => found('fridge'), (error) => error instanceof StageFailed && /must be a string/.test(error.message));
});

test('as many passages are found as three prompts take', () => {
  const many = Array.from({ length: 9 }, (_, index) => ({ id: `d${index}`, text: 'couch' }));
  fakeHost({ documents: many });
  assert.equal(retrieve(plugin, request('couch', { profile: { passages: 2 } })).length, 6);
});
