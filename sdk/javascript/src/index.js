// Write Riad plugins in JavaScript: stages are functions and classes, capabilities are modules such as `riad-sdk/kv`.

export { InvalidRequest, RiadError } from './errors.js';
export { definePostprocessing, definePrompting, defineRetrieval, defineTools } from './stages.js';
