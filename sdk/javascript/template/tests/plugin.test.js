import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeHost, postprocess } from 'riad-sdk/testing';
import * as plugin from '../src/plugin.js';

test('a whole answer is signed', () => {
  fakeHost();
  assert.equal(postprocess(plugin, ['Hel', 'lo!']).text, 'Hello!\n\nAnswered by {{name}}.');
});

test("the tenant's own line is used, also under an answer that was cut off", () => {
  fakeHost({ settings: { signature: 'Yours, Ada' } });
  assert.equal(postprocess(plugin, ['Hello and'], { finish: 'length' }).text, 'Hello and…\n\nYours, Ada');
});
