// Compares what a plugin's module exports with the stages of riad.toml, because the compiler leaves out a missing one without a word:
// node check-exports.js MODULE STAGE…

import { pathToFileURL } from 'node:url';

const ALL = ['retrieval', 'prompting', 'postprocessing', 'tools'];
const [module, ...wanted] = process.argv.slice(2);
const exported = await import(pathToFileURL(module).href);
const missing = wanted.filter((stage) => !(stage in exported));
const unknown = ALL.filter((stage) => stage in exported && !wanted.includes(stage));
const problems = [
  ...missing.map((stage) => `${module} does not export ${stage}: export it, or take "${stage}" out of \`stages\` in riad.toml`),
  ...unknown.map((stage) => `${module} exports ${stage}: add "${stage}" to \`stages\` in riad.toml`),
];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
