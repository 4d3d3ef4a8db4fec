import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidRequest, RiadError, definePostprocessing, definePrompting, defineRetrieval, defineTools } from '../src/index.js';
import { StageFailed, buildPrompt, callTool, offer, postprocess, request, retrieve } from '../src/testing/index.js';

const failed = (message) => (error) => error instanceof StageFailed && message.test(error.message);

test('what a passage leaves out is filled in', () => {
  const retrieval = defineRetrieval(() => [{ document: 'a', text: 'b' }]);
  assert.deepEqual(retrieve({ retrieval }, 'Hi'), [
    { document: 'a', chunk: 0, title: '', text: 'b', score: 0, metadata: {} },
  ]);
});

test('what a passage must have is named', () => {
  const retrieval = defineRetrieval(() => [{ document: 'a' }]);
  assert.throws(() => retrieve({ retrieval }, 'Hi'), failed(/`text` of passage 1 must be a string, not undefined/));
});

test('a document id that the host refuses is refused', () => {
  const retrieval = defineRetrieval(() => [{ document: 'A b', text: '' }]);
  assert.throws(() => retrieve({ retrieval }, 'Hi'), failed(/A b/));
});

test('prompting gets metadata as an object and gives it on', () => {
  const prompting = definePrompting(({ messages }, passages) => ({ messages, passages }));
  const prompt = buildPrompt({ prompting }, request('Hi'), [{ document: 'a', text: 'b', metadata: { year: 2026 } }]);
  assert.equal(prompt.passages[0].metadata.year, 2026);
  assert.deepEqual(prompt.messages, [{ role: 'user', content: 'Hi' }]);
});

test('a prompt without a message is refused', () => {
  const prompting = definePrompting(() => ({ messages: [] }));
  assert.throws(() => buildPrompt({ prompting }, 'Hi'), failed(/needs a message/));
});

test('a filter holds back and ends with the reason', () => {
  class Held {
    text = '';
    push(piece) {
      this.text += piece;
      return '';
    }
    finish(reason) {
      return { text: `${this.text} (${reason})`, citations: [{ passage: 1, grounded: true }] };
    }
  }
  const prompt = { messages: [], passages: [{ document: 'a', text: 'b' }] };
  const answer = postprocess({ postprocessing: definePostprocessing(Held) }, ['a', 'b'], { prompt, finish: 'tool_calls' });
  assert.deepEqual(answer.pieces, ['', '', 'ab (tool_calls)']);
  assert.deepEqual(answer.citations, [{ passage: 1, grounded: true }]);
});

test('a filter that cannot be made fails at its first call', () => {
  class Broken {
    constructor() {
      throw new InvalidRequest('no');
    }
  }
  assert.throws(() => postprocess({ postprocessing: definePostprocessing(Broken) }, ['a']), InvalidRequest);
});

test('a citation of a passage that is not there is refused', () => {
  class Wrong {
    push = (piece) => piece;
    finish = () => ({ citations: [{ passage: 1, grounded: true }] });
  }
  assert.throws(() => postprocess({ postprocessing: definePostprocessing(Wrong) }, []), failed(/no passage 1/));
});

test('errors of a stage are told apart', () => {
  const throwing = (error) => ({
    retrieval: defineRetrieval(() => {
      throw error;
    }),
  });
  assert.throws(() => retrieve(throwing(new InvalidRequest('why')), 'Hi'), InvalidRequest);
  assert.throws(() => retrieve(throwing(new RiadError('unavailable', 'down')), 'Hi'), failed(/^down$/));
  assert.throws(() => retrieve(throwing(new TypeError('mine')), 'Hi'), failed(/^TypeError: mine \(.*stages\.test\.js:\d+:\d+\)$/));
});

test('an asynchronous stage is refused with the reason', () => {
  const retrieval = defineRetrieval(async () => []);
  assert.throws(() => retrieve({ retrieval }, 'Hi'), failed(/not a promise/));
});

const add = {
  name: 'add',
  description: 'Adds two numbers.',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  call: ({ a, b }) => ({ sum: a + b }),
};

test('a tool is offered with its schema and called with an object', () => {
  const plugin = { tools: defineTools([add]) };
  assert.deepEqual(offer(plugin), [{ name: 'add', description: add.description, parameters: add.parameters }]);
  assert.equal(callTool(plugin, 'add', { a: 1, b: 2 }), '{"sum":3}');
});

test('a tool that is not there is told to the model', () => {
  assert.throws(() => callTool({ tools: defineTools([add]) }, 'subtract'), InvalidRequest);
});

test('two tools of one name are refused when the plugin is built', () => {
  assert.throws(() => defineTools([add, add]), /a name of its own/);
});
