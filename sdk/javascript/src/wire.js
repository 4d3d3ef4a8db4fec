// Between what authors write and the records of the contracts. What an author forgets is named here: QuickJS would end the plugin
// without a word.

/** Objects that the contracts carry as JSON. */
export function passageFromHost(passage) {
  return { ...passage, metadata: JSON.parse(passage.metadata) };
}

export function passageToHost(passage, index) {
  const at = `passage ${index + 1}`;
  if (passage === null || typeof passage !== 'object') throw new TypeError(`${at} must be an object`);
  const { document, chunk = 0, title = '', text, score = 0, metadata = {} } = passage;
  return {
    document: string(document, `\`document\` of ${at}`),
    chunk: whole(chunk, `\`chunk\` of ${at}`),
    title: string(title, `\`title\` of ${at}`),
    text: string(text, `\`text\` of ${at}`),
    score: number(score, `\`score\` of ${at}`),
    metadata: JSON.stringify(object(metadata, `\`metadata\` of ${at}`)),
  };
}

export function promptFromHost({ messages, passages }) {
  return { messages, passages: passages.map(passageFromHost) };
}

export function promptToHost(prompt) {
  const { messages, passages = [] } = object(prompt, 'a prompt');
  return {
    messages: list(messages, '`messages` of a prompt').map(messageToHost),
    passages: list(passages, '`passages` of a prompt').map(passageToHost),
  };
}

export function messageToHost(message, index) {
  const { role, content } = object(message, `message ${index + 1}`);
  if (!['system', 'user', 'assistant'].includes(role)) {
    throw new TypeError(`\`role\` of message ${index + 1} must be system, user or assistant, not ${role}`);
  }
  return { role, content: string(content, `\`content\` of message ${index + 1}`) };
}

/** A filter may end with a text alone. */
export function endingToHost(ending = '') {
  const { text = '', citations = [] } = typeof ending === 'string' ? { text: ending } : object(ending, 'an ending');
  return {
    text: string(text, '`text` of an ending'),
    citations: list(citations, '`citations` of an ending').map(({ passage, grounded }, index) => ({
      passage: whole(passage, `\`passage\` of citation ${index + 1}`),
      grounded: Boolean(grounded),
    })),
  };
}

export function toolToHost({ name, description, parameters }) {
  return {
    name: string(name, "a tool's `name`"),
    description: string(description, `\`description\` of the tool ${name}`),
    parameters: JSON.stringify(object(parameters, `\`parameters\` of the tool ${name}`)),
  };
}

export function string(value, what) {
  if (typeof value !== 'string') throw wrong(what, 'a string', value);
  return value;
}

export function list(value, what) {
  if (!Array.isArray(value)) throw wrong(what, 'an array', value);
  return value;
}

function object(value, what) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw wrong(what, 'an object', value);
  return value;
}

function number(value, what) {
  if (!Number.isFinite(value)) throw wrong(what, 'a finite number', value);
  return value;
}

function whole(value, what) {
  if (!Number.isInteger(value) || value < 0) throw wrong(what, 'a whole number from 0', value);
  return value;
}

function wrong(what, expected, value) {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return new TypeError(`${what} must be ${expected}, not ${kind === 'number' ? value : kind}`);
}
