// Tests of plugins without a server: `node --test`.

export { fakeHost } from './fake-host.js';
export { StageFailed, buildPrompt, callTool, offer, postprocess, request, retrieve } from './run.js';
