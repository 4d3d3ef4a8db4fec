// Documents in memory. The search counts common words: it finds what a test expects by its words, and ranks nothing like the server.

import { invalid, notFound } from './refusals.js';

export function fakeDocuments(given) {
  const documents = given
    .map(({ id, title = '', text, metadata = {}, vectorStore }) => ({ id, title, text, metadata, vectorStore }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const own = documents.filter(({ vectorStore }) => vectorStore === undefined);
  return {
    search(query, limit, filter) {
      return found(own, query, limit, filter);
    },

    searchStores(stores, query, limit, filter) {
      if (stores.length === 0 || stores.length > 8) throw invalid('a search must name 1 to 8 vector stores');
      if (!stores.every((store) => documents.some(({ vectorStore }) => vectorStore === store))) throw notFound();
      const searched = documents.filter(({ vectorStore }) => stores.includes(vectorStore));
      return found(searched, query, limit, filter);
    },

    get(id) {
      const found = own.find((document) => document.id === id);
      if (found === undefined) throw notFound();
      return { ...found, metadata: JSON.stringify(found.metadata) };
    },

    listDocuments(after, limit) {
      if (limit === 0 || limit > 100) throw invalid('the limit must be 1 to 100');
      const later = own.filter(({ id }) => after === null || id > after);
      return later.slice(0, limit).map((document) => ({
        id: document.id,
        title: document.title,
        metadata: JSON.stringify(document.metadata),
        bytes: Buffer.byteLength(document.text),
        chunks: passages(document).length,
      }));
    },
  };
}

function found(documents, query, limit, filter) {
  const words = wordsOf(query);
  const members = Object.entries(parsed(filter));
  if (words.size === 0) throw invalid('the query has no text');
  if (limit === 0) throw invalid('the limit must be at least 1');
  if (members.length > 32) throw invalid('the filter has more than 32 members');
  const matches = documents.filter(({ metadata }) =>
    members.every(([key, value]) => JSON.stringify(metadata[key]) === JSON.stringify(value)),
  );
  return matches
    .flatMap(passages)
    .map((passage) => ({ ...passage, score: common(words, wordsOf(`${passage.title} ${passage.text}`)) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, Math.min(limit, 100));
}

/** A chunk per paragraph. */
function passages({ id, title, text, metadata }) {
  const chunks = text.split(/\n\s*\n/).filter((chunk) => chunk.trim() !== '');
  return chunks.map((chunk, index) => ({
    document: id,
    chunk: index,
    title,
    text: chunk,
    score: 0,
    metadata: JSON.stringify(metadata),
  }));
}

export function wordsOf(text) {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

/** The share of the first words that are among the second. */
function common(words, others) {
  return [...words].filter((word) => others.has(word)).length / words.size;
}

function parsed(filter) {
  const object = JSON.parse(filter);
  if (object === null || typeof object !== 'object' || Array.isArray(object)) throw invalid('the filter must be a JSON object');
  return object;
}
