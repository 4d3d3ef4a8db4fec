// Vercel's AI SDK: with the provider for compatible servers, and OpenAI's own for responses.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  assert, BASE_URL, checkVectors, checkWeather, CITIES, EMBEDDER, expectError, feature, KEY, lacks, LIMITED_KEY, MODEL, QUESTION, TEXTS,
  untilRefused, version, WRONG_KEY,
} from "./common.mjs";

const connect = (apiKey = KEY) =>
  createOpenAICompatible({ name: "riad", baseURL: BASE_URL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const riad = connect();
const asked = { model: riad(MODEL), prompt: QUESTION, temperature: 0, maxOutputTokens: 128, maxRetries: 0 };
const hello = { ...asked, prompt: "Hello", maxOutputTokens: 2 };
const Verdict = z.object({ mood: z.enum(["good", "bad"]), sure: z.boolean() });
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.enum(CITIES), tomorrow: z.boolean() }),
});
// The loop: a call that is required, its result, and an answer with it.
const loop = async (asked) => {
  const running = { ...weather, execute: async ({ city }) => `It rains in ${city}.` };
  const answer = await generateText({
    ...asked,
    tools: { weather: running },
    prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" }),
    stopWhen: ({ steps }) => steps.length === 2,
  });
  assert.equal(answer.steps.length, 2);
  return answer;
};
const read = async (stream) => {
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  return text;
};

version("ai");
lacks("models", "it lists no models");
await feature("chat", async () => {
  const answer = await generateText({ ...asked, system: "Be brief." });
  assert(answer.text && answer.usage.outputTokens > 0, JSON.stringify(answer.usage));
});
await feature("stream", async () => {
  const stream = streamText(asked);
  assert.equal(await read(stream), (await generateText(asked)).text);
  assert((await stream.usage).outputTokens > 0);
});
await feature("tools", async () => {
  for (const toolChoice of ["required", { type: "tool", toolName: "weather" }]) {
    const answer = await generateText({ ...asked, tools: { weather }, toolChoice });
    assert(answer.toolCalls.length >= 1 && answer.toolCalls[0].toolName === "weather");
    checkWeather(answer.toolCalls[0].input);
    const streamed = await streamText({ ...asked, tools: { weather }, toolChoice }).toolCalls;
    assert.deepEqual(streamed[0].input, answer.toolCalls[0].input);
  }
  await loop(asked);
});
await feature("structured", async () => {
  const output = Output.object({ schema: Verdict });
  Verdict.parse((await generateText({ ...asked, output })).output);
  Verdict.parse(await streamText({ ...asked, output }).output);
});
await feature("embeddings", async () => {
  const model = riad.textEmbeddingModel(EMBEDDER);
  checkVectors((await embedMany({ model, values: TEXTS })).embeddings);
});
await feature("completions", async () => {
  const prompt = { ...asked, model: riad.completionModel(MODEL), prompt: "The refund window is", maxOutputTokens: 8 };
  const { text } = await generateText(prompt);
  assert(text && text === (await read(streamText(prompt))));
});
await feature("responses", async () => {
  let sent;
  const watched = (url, request) => {
    sent = request.body;
    return fetch(url, request);
  };
  const openai = createOpenAI({ baseURL: BASE_URL, apiKey: KEY, fetch: watched });
  const question = { ...asked, model: openai(MODEL) };
  const { text } = await generateText(question);
  assert(text && text === (await read(streamText(question))), text);
  const answer = await generateText({ ...question, tools: { weather }, toolChoice: "required" });
  checkWeather(answer.toolCalls[0].input);
  Verdict.parse((await generateText({ ...question, output: Output.object({ schema: Verdict }) })).output);
  // What the server keeps is sent as references to it.
  const looped = await loop(question);
  const { prompt, ...without } = question;
  const messages = [{ role: "user", content: prompt }, ...looped.response.messages, { role: "user", content: "And tomorrow?" }];
  const { text: next } = await generateText({ ...without, messages });
  assert(next && sent.includes("item_reference"), sent);
});
const hasStatus = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
await feature("errors", async () => {
  for (const [status, more] of [
    [401, { model: connect(WRONG_KEY)(MODEL) }],
    [404, { model: riad("gpt-none") }],
    [400, { temperature: 3 }],
  ]) {
    const error = await expectError(hasStatus(status), () => generateText({ ...hello, ...more }));
    assert(!error.isRetryable && error.message.length > 10, error.message);
  }
});
await feature("retries", async () => {
  const limited = { ...hello, model: connect(LIMITED_KEY)(MODEL) };
  const error = await untilRefused(hasStatus(429), () => generateText(limited));
  assert(error.isRetryable && error.responseHeaders["retry-after"]);
  assert((await generateText({ ...limited, maxRetries: 3 })).usage.outputTokens);
});
