// Runs a plugin's stages as the host does: in the records of the contract, with the host's checks of what comes back.

import { InvalidRequest } from '../errors.js';
import { passageFromHost, passageToHost, promptFromHost, promptToHost } from '../wire.js';

/** What the host answers a client with a 422: the stage failed, or returned what the host refuses. */
export class StageFailed extends Error {
  constructor(message) {
    super(message);
    this.name = 'StageFailed';
  }
}

export function request(question, { messages, maxTokens = 256, profile = {} } = {}) {
  return {
    messages: messages ?? [{ role: 'user', content: question }],
    profile: { id: 'test', contextTokens: 4096, promptTokens: 1024, passages: 4, sentences: 2, ...profile },
    maxTokens,
  };
}

export function retrieve({ retrieval }, asked) {
  const passages = run(() => retrieval.retrieve(asRequest(asked)));
  passages.forEach(checkPassage);
  return passages.map(passageFromHost);
}

export function buildPrompt({ prompting }, asked, passages = []) {
  const prompt = run(() => prompting.buildPrompt(asRequest(asked), passages.map(passageToHost)));
  check(prompt.messages.length > 0, 'a prompt needs a message');
  prompt.passages.forEach(checkPassage);
  return promptFromHost(prompt);
}

/** One choice of an answer: the pieces that the model writes in, what the client reads out. */
export function postprocess({ postprocessing }, pieces, { asked = 'Hello?', prompt, finish = 'stop' } = {}) {
  const given = prompt ?? { messages: asRequest(asked).messages, passages: [] };
  const filter = new postprocessing.Filter(asRequest(asked), promptToHost(given));
  const out = pieces.map((piece) => run(() => filter.push(piece)));
  const { text, citations } = run(() => filter.finish(finish.replaceAll('_', '-')));
  for (const { passage } of citations) {
    check(passage >= 1 && passage <= (given.passages?.length ?? 0), `the prompt has no passage ${passage}`);
  }
  return { text: out.join('') + text, pieces: [...out, text], citations };
}

export function offer({ tools }) {
  const offered = run(() => tools.offer());
  check(offered.length <= 32, 'there are at most 32 tools');
  for (const { name } of offered) {
    check(/^[a-zA-Z0-9_-]{1,64}$/.test(name), `a tool's name has 1 to 64 letters, digits, _ and -, which ${name} has not`);
  }
  return offered.map((tool) => ({ ...tool, parameters: JSON.parse(tool.parameters) }));
}

export function callTool({ tools }, name, args = {}) {
  return run(() => tools.call(name, JSON.stringify(args)));
}

function asRequest(asked) {
  return typeof asked === 'string' ? request(asked) : asked;
}

function run(stage) {
  try {
    return stage();
  } catch (error) {
    if (error?.tag === 'invalid-request') throw new InvalidRequest(error.val);
    if (error?.tag === 'failed') throw new StageFailed(error.val);
    throw error;
  }
}

function checkPassage({ document }) {
  check(/^[a-z0-9_-]{1,64}$/.test(document), `a passage's document has 1 to 64 of a-z, 0-9, - and _, which ${document} has not`);
}

function check(holds, message) {
  if (!holds) throw new StageFailed(message);
}
