// Groups of synonyms: reading them from text, and finding them in a question. Pure; capabilities are in `plugin.js`.

/** Terms that one question may gain: more would drown what was asked. */
const ADDED_MAX = 12;

/** A group a line, its terms separated by commas; lines that begin with `#` are comments. */
export function parseGroups(text) {
  return text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .map((line) => [...new Set(line.split(',').map(normalize))].filter((term) => term !== ''))
    .filter((terms) => terms.length > 1);
}

/** The question, and behind it what else its words are called. */
export function expand(question, groups) {
  const words = ` ${normalize(question)} `;
  const has = (term) => words.includes(` ${term} `);
  const added = groups.filter((terms) => terms.some(has)).flatMap((terms) => terms.filter((term) => !has(term)));
  return [question, ...[...new Set(added)].slice(0, ADDED_MAX)].join(' ');
}

/** Words in lower case, one space apart: what is compared. */
function normalize(text) {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');
}
