import { documents as host } from '#host/documents';
import { call, json, text, whole } from './host.js';
import { passageFromHost } from './wire.js';

/** The most that one call of `list` returns. */
const PAGE = 100;

export function search(query, { limit = 5, filter = {} } = {}) {
  const found = call(() => host.search(text('query', query), whole('limit', limit), json('filter', filter)));
  return found.map(passageFromHost);
}

export function searchStores(stores, query, { limit = 5, filter = {} } = {}) {
  const ids = stores.map((id) => text('stores', id));
  const found = call(() => host.searchStores(ids, text('query', query), whole('limit', limit), json('filter', filter)));
  return found.map(passageFromHost);
}

export function get(id) {
  const document = call(() => host.get(text('id', id)));
  return { ...document, metadata: JSON.parse(document.metadata) };
}

export function list({ after = null, limit = PAGE } = {}) {
  const page = call(() => host.listDocuments(after, whole('limit', limit)));
  return page.map((summary) => ({ ...summary, metadata: JSON.parse(summary.metadata) }));
}

export function* all() {
  let page = list();
  while (page.length > 0) {
    yield* page;
    page = page.length < PAGE ? [] : list({ after: page.at(-1).id });
  }
}
