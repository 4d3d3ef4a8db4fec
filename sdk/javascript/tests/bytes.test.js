import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../src/bytes.js';

test('text is encoded as TextEncoder does', () => {
  for (const text of ['', 'plain', 'Größe', '€ 5', '🦀 x', 'lone \ud800 half']) {
    assert.deepEqual(encode(text), new TextEncoder().encode(text));
  }
});

test('what is encoded is read back', () => {
  const text = 'aé€🦀\u0000z';
  assert.equal(decode(encode(text)), text);
});

test('bytes that are no UTF-8 become U+FFFD', () => {
  const wrong = [[0xff], [0x61, 0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x28, 0xa1]];
  for (const bytes of wrong) {
    const text = decode(Uint8Array.from(bytes));
    assert.ok(text.includes('\ufffd'), `${bytes}: ${text}`);
    assert.throws(() => new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes)));
  }
});
