// LangChain for JavaScript.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import {
  assert, BASE_URL, checkVectors, checkWeather, CITIES, EMBEDDER, expectError, feature, KEY, lacks, LIMITED_KEY, MODEL, QUESTION, TEXTS,
  untilRefused, version, WRONG_KEY,
} from "./common.mjs";

const access = (apiKey = KEY) => ({ apiKey, configuration: { baseURL: BASE_URL } });
const connect = (apiKey = KEY, more = {}) =>
  new ChatOpenAI({ ...access(apiKey), model: MODEL, temperature: 0, maxTokens: 128, maxRetries: 0, ...more });
const chat = connect();
const Verdict = z.object({ mood: z.enum(["good", "bad"]), sure: z.boolean() });
const weather = tool(async ({ city }) => `It rains in ${city}.`, {
  name: "weather",
  description: "The weather of a city",
  schema: z.object({ city: z.enum(CITIES), tomorrow: z.boolean() }),
});
const join = async (stream) => {
  let total;
  for await (const chunk of stream) total = total ? total.concat(chunk) : chunk;
  return total;
};

version("@langchain/openai");
lacks("models", "it lists no models");
await feature("chat", async () => {
  const answer = await chat.invoke(QUESTION);
  assert(answer.content && answer.usage_metadata.output_tokens > 0);
});
await feature("stream", async () => {
  const total = await join(await chat.stream(QUESTION));
  assert.equal(total.content, (await chat.invoke(QUESTION)).content);
  assert(total.usage_metadata.output_tokens > 0);
});
await feature("tools", async () => {
  const bound = chat.bindTools([weather], { tool_choice: "required", parallel_tool_calls: false });
  const question = new HumanMessage(QUESTION);
  const answer = await bound.invoke([question]);
  assert.equal(answer.tool_calls.length, 1);
  checkWeather(answer.tool_calls[0].args);
  const result = await weather.invoke(answer.tool_calls[0]);
  assert(ToolMessage.isInstance(result));
  await chat.bindTools([weather]).invoke([question, answer, result]);
  assert.deepEqual((await join(await bound.stream([question]))).tool_calls[0].args, answer.tool_calls[0].args);
});
await feature("structured", async () => {
  for (const method of ["jsonSchema", "functionCalling"]) {
    Verdict.parse(await chat.withStructuredOutput(Verdict, { method, name: "verdict" }).invoke(QUESTION));
  }
});
await feature("embeddings", async () => {
  const embed = new OpenAIEmbeddings({ ...access(), model: EMBEDDER });
  checkVectors(await embed.embedDocuments(TEXTS));
  assert.equal((await embed.embedQuery("a lamp")).length, 256);
});
await feature("completions", async () => {
  const model = new OpenAI({ ...access(), model: MODEL, temperature: 0, maxTokens: 8, maxRetries: 0 });
  const whole = await model.invoke("The refund window is");
  let text = "";
  for await (const piece of await model.stream("The refund window is")) text += piece;
  assert(whole && text === whole, text);
});
await feature("responses", async () => {
  const model = connect(KEY, { useResponsesApi: true });
  const answer = await model.invoke(QUESTION);
  assert(answer.text, JSON.stringify(answer));
  assert.equal((await join(await model.stream(QUESTION))).text, answer.text);
});
const hasStatus = (status) => (error) => (error.status ?? error.cause?.status) === status;
await feature("errors", async () => {
  await expectError(hasStatus(401), () => connect(WRONG_KEY).invoke("Hello"));
  await expectError(hasStatus(404), () => connect(KEY, { model: "gpt-none" }).invoke("Hello"));
  await expectError(hasStatus(400), () => connect(KEY, { temperature: 3 }).invoke("Hello"));
});
await feature("retries", async () => {
  const short = { maxTokens: 2 };
  const hasty = connect(LIMITED_KEY, short);
  await untilRefused(hasStatus(429), () => hasty.invoke("Hello"));
  assert((await connect(LIMITED_KEY, { ...short, maxRetries: 6 }).invoke("Hello")).usage_metadata.output_tokens);
});
