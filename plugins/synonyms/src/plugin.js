// Retrieval that also searches for what the question's words are called elsewhere: who asks for a sofa finds the couch. The groups of
// synonyms stand in a document of the tenant's; kv keeps them, so that the document is read and parsed once in a while only.

import { RiadError, defineRetrieval } from 'riad-sdk';
import * as documents from 'riad-sdk/documents';
import * as kv from 'riad-sdk/kv';
import * as log from 'riad-sdk/logging';
import * as settings from 'riad-sdk/settings';
import { expand, parseGroups } from './groups.js';

function retrieve({ messages, profile }) {
  const source = settings.get('synonyms_document', 'synonyms');
  const question = messages.at(-1).content;
  const query = expand(question, groups(source));
  if (query !== question) log.info(`added: ${query.slice(question.length + 1)}`);
  // More than a prompt takes, because the prompting stage drops what does not fit.
  const limit = Math.min(Math.max(profile.passages * 3, 1), 100);
  return documents.search(query, { limit }).filter(({ document }) => document !== source);
}

/** The groups of a document; none while there is no such document. */
function groups(source) {
  const key = `synonyms/${source}`;
  const kept = kv.getJson(key);
  if (kept !== null) return kept;
  const read = parseGroups(textOf(source));
  try {
    kv.setJson(key, read, { seconds: settings.get('synonyms_seconds', 300) });
  } catch (error) {
    // Too long a list, or a full room: the search goes on without a copy.
    if (!(error instanceof RiadError)) throw error;
    log.warn(`synonyms are not kept: ${error.message}`);
  }
  return read;
}

function textOf(id) {
  try {
    return documents.get(id).text;
  } catch (error) {
    if (error instanceof RiadError && error.kind === 'not_found') return '';
    throw error;
  }
}

export const retrieval = defineRetrieval(retrieve);
