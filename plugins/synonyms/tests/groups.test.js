import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expand, parseGroups } from '../src/groups.js';

test('a line is a group, and comments and single words are none', () => {
  assert.deepEqual(parseGroups('# a, b\n Sofa , couch,sofa\n\nalone\ncooling  unit, fridge'), [
    ['sofa', 'couch'],
    ['cooling unit', 'fridge'],
  ]);
});

test('a part of a word is not the word', () => {
  assert.equal(expand('sofas', [['sofa', 'couch']]), 'sofas');
});

test('terms of several words are found and added', () => {
  const groups = [['cooling unit', 'fridge']];
  assert.equal(expand('Is the Cooling-Unit loud?', groups), 'Is the Cooling-Unit loud? fridge');
  assert.equal(expand('fridge', groups), 'fridge cooling unit');
});

test('a question gains a dozen terms at most', () => {
  const many = Array.from({ length: 40 }, (_, index) => `w${index}`);
  assert.equal(expand('w0', [many]).split(' ').length, 13);
});
