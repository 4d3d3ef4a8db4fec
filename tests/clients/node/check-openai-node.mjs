// OpenAI's client for Node.
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  assert, BASE_URL, checkVectors, checkWeather, EMBEDDER, expectError, feature, KEY, LIMITED_KEY, MODEL, QUESTION, SPENT_KEY, TEXTS,
  untilRefused, version, WEATHER, WRONG_KEY,
} from "./common.mjs";

const connect = (apiKey = KEY, more = {}) => new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0, ...more });
const client = connect();
const asked = { model: MODEL, messages: [{ role: "user", content: QUESTION }], temperature: 0, max_tokens: 128 };
const hello = { model: MODEL, messages: [{ role: "user", content: "Hello" }], max_tokens: 2 };
const tools = [{ type: "function", function: { name: "weather", parameters: WEATHER, strict: true } }];
const Verdict = z.object({ mood: z.enum(["good", "bad"]), sure: z.boolean() });

version("openai");
await feature("models", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert(models.includes(MODEL) && models.includes(EMBEDDER), models);
  assert.equal((await client.models.retrieve(MODEL)).id, MODEL);
});
await feature("chat", async () => {
  const { data, response } = await client.chat.completions.create({ ...asked, user: "somebody" }).withResponse();
  assert(data.choices[0].message.content && data.usage.completion_tokens > 0);
  assert(response.headers.get("x-request-id"));
});
await feature("stream", async () => {
  const whole = await client.chat.completions.create(asked);
  const stream = await client.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
  const helper = client.chat.completions.stream(asked);
  assert.equal(await helper.finalContent(), text);
});
await feature("tools", async () => {
  const one = { ...asked, tools, parallel_tool_calls: false };
  for (const tool_choice of ["required", { type: "function", function: { name: "weather" } }]) {
    const answer = await client.chat.completions.create({ ...one, tool_choice });
    checkWeather(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments));
  }
  // The client's loop of calls and results, up to the first call.
  const runner = client.chat.completions.runTools({
    ...one,
    tool_choice: { type: "function", function: { name: "weather" } },
    tools: [{ type: "function", function: { ...tools[0].function, parse: JSON.parse, function: checkWeather } }],
  });
  assert.equal(JSON.parse(JSON.stringify(await runner.finalFunctionToolCall())).name, "weather");
});
await feature("structured", async () => {
  const response_format = zodResponseFormat(Verdict, "verdict");
  const answer = await client.chat.completions.parse({ ...asked, response_format });
  Verdict.parse(answer.choices[0].message.parsed);
});
await feature("embeddings", async () => {
  const made = await client.embeddings.create({ model: EMBEDDER, input: TEXTS });
  checkVectors(made.data.map((item) => item.embedding));
});
await feature("completions", async () => {
  const prompt = { model: MODEL, prompt: "The refund window is", temperature: 0, max_tokens: 8 };
  const whole = await client.completions.create(prompt);
  let text = "";
  for await (const chunk of await client.completions.create({ ...prompt, stream: true })) text += chunk.choices[0]?.text ?? "";
  assert(text && text === whole.choices[0].text, text);
});
await feature("responses", async () => {
  const question = { model: MODEL, input: QUESTION, temperature: 0, max_output_tokens: 128, store: false };
  const whole = await client.responses.create(question);
  assert(whole.output_text, JSON.stringify(whole));
  const stream = client.responses.stream(question);
  let text = "";
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  assert.equal(text, whole.output_text);
  assert.equal((await stream.finalResponse()).output_text, text);
  const parsed = await client.responses.parse({ ...question, text: { format: zodTextFormat(Verdict, "verdict") } });
  Verdict.parse(parsed.output_parsed);
  const tool = { type: "function", name: "weather", parameters: WEATHER, strict: true };
  const called = await client.responses.create({ ...question, tools: [tool], tool_choice: "required", parallel_tool_calls: false });
  checkWeather(JSON.parse(called.output.find((item) => item.type === "function_call").arguments));
});
await feature("files", async () => {
  const bytes = new TextEncoder().encode("Öfen\n".repeat(50_000));
  const kept = await client.files.create({ file: await toFile(bytes, "Öfen.txt"), purpose: "user_data" });
  assert.deepEqual([kept.object, kept.bytes, kept.filename], ["file", bytes.length, "Öfen.txt"]);
  assert.deepEqual(await client.files.retrieve(kept.id), kept);
  const content = await client.files.content(kept.id);
  assert.deepEqual(new Uint8Array(await content.arrayBuffer()), bytes);
  const names = [];
  for (const name of ["a", "b", "c"]) await client.files.create({ file: await toFile(bytes, name), purpose: "assistants" });
  // The client asks for each page by itself.
  for await (const file of client.files.list({ purpose: "assistants", limit: 2, order: "asc" })) {
    names.push(file.filename);
    assert.equal((await client.files.delete(file.id)).deleted, true);
  }
  assert.deepEqual(names, ["a", "b", "c"]);
  // The model reads the text of a file.
  const pump = await client.files.create({ file: await toFile(new TextEncoder().encode("A pump."), "pump.txt"), purpose: "user_data" });
  const question = { type: "input_text", text: "What is it?" };
  const tokens = [];
  for (const parts of [[], [{ type: "input_file", file_id: pump.id }]]) {
    const input = [{ role: "user", content: [...parts, question] }];
    const read = await client.responses.create({ model: MODEL, input, store: false, max_output_tokens: 4 });
    tokens.push(read.usage.input_tokens);
  }
  assert.ok(tokens[0] < tokens[1], `${tokens}`);
  await client.files.delete(pump.id);
  await client.files.delete(kept.id);
  await expectError((error) => error instanceof OpenAI.NotFoundError, () => client.files.retrieve(kept.id));
});
await feature("uploads", async () => {
  const bytes = new TextEncoder().encode("Öfen\n".repeat(50_000));
  const about = { filename: "Öfen.txt", purpose: "user_data", bytes: bytes.length, mime_type: "text/plain" };
  const upload = await client.uploads.create({ ...about, expires_after: { anchor: "created_at", seconds: 3600 } });
  assert.deepEqual([upload.object, upload.status, upload.bytes], ["upload", "pending", bytes.length]);
  const cuts = [bytes.slice(0, 100_000), bytes.slice(100_000, 200_000), bytes.slice(200_000)];
  // At the same time.
  const parts = await Promise.all(
    cuts.map(async (cut) => client.uploads.parts.create(upload.id, { data: await toFile(cut, "part") })),
  );
  assert.deepEqual(parts.map((part) => [part.object, part.upload_id]), Array(3).fill(["upload.part", upload.id]));
  const complete = () => client.uploads.complete(upload.id, { part_ids: parts.map((part) => part.id) });
  const done = await complete();
  assert.deepEqual([done.status, done.file.filename, done.file.bytes], ["completed", "Öfen.txt", bytes.length]);
  const content = await client.files.content(done.file.id);
  assert.deepEqual(new Uint8Array(await content.arrayBuffer()), bytes);
  await expectError((error) => error instanceof OpenAI.BadRequestError, complete);
  await client.files.delete(done.file.id);
  const canceled = await client.uploads.cancel((await client.uploads.create(about)).id);
  assert.equal(canceled.status, "cancelled");
});
await feature("stores", async () => {
  const store = await client.vectorStores.create({ name: "manuals", expires_after: { anchor: "last_active_at", days: 7 } });
  assert.deepEqual([store.object, store.status, store.file_counts.total], ["vector_store", "completed", 0]);
  const text = "# Warranty\n\nThe Kestrel drill has a warranty of 37 months.\n";
  const file = await client.vectorStores.files.uploadAndPoll(store.id, await toFile(new TextEncoder().encode(text), "warranty.md"));
  assert.deepEqual([file.status, file.last_error], ["completed", null]);
  const files = [await toFile(new TextEncoder().encode("A delivery takes nine days."), "delivery.txt")];
  const batch = await client.vectorStores.fileBatches.uploadAndPoll(store.id, { files });
  assert.deepEqual([batch.status, batch.file_counts.completed], ["completed", 1]);
  const ids = [];
  for await (const one of client.vectorStores.files.list(store.id, { limit: 1, order: "asc" })) ids.push(one.id);
  assert.deepEqual([ids.length, ids[0]], [2, file.id]);
  const found = await client.vectorStores.search(store.id, { query: "How long is the warranty?" });
  assert.equal(found.data[0].file_id, file.id);
  const tool = { type: "file_search", vector_store_ids: [store.id] };
  const asked = await client.responses.create({ model: MODEL, input: "How long is the warranty?", tools: [tool], max_output_tokens: 64, store: false });
  assert.deepEqual([asked.output[0].type, asked.output[0].status], ["file_search_call", "completed"]);
  assert.equal((await client.vectorStores.del?.(store.id) ?? await client.vectorStores.delete(store.id)).deleted, true);
  await expectError((error) => error instanceof OpenAI.NotFoundError, () => client.vectorStores.retrieve(store.id));
});
await feature("errors", async () => {
  const refused = (kind, code, call) => expectError((error) => error instanceof kind && error.code === code, call);
  await refused(OpenAI.AuthenticationError, "invalid_api_key", () => connect(WRONG_KEY).models.list());
  const chat = (more) => () => client.chat.completions.create({ ...hello, ...more });
  await refused(OpenAI.NotFoundError, "model_not_found", chat({ model: "gpt-none" }));
  const error = await refused(OpenAI.BadRequestError, null, chat({ temperature: 3 }));
  assert.equal(error.param, "temperature");
});
await feature("retries", async () => {
  const isLimit = (error) => error instanceof OpenAI.RateLimitError;
  let sent = 0;
  const counting = (...given) => {
    sent += 1;
    return fetch(...given);
  };
  const ask = (one) => () => one.chat.completions.create(hello);
  await untilRefused(isLimit, ask(connect(SPENT_KEY)));
  const spent = connect(SPENT_KEY, { maxRetries: 2, fetch: counting });
  assert.equal((await expectError(isLimit, ask(spent))).code, "insufficient_quota");
  assert.equal(sent, 1, "requests for a budget that is spent");
  const patient = connect(LIMITED_KEY, { maxRetries: 2, fetch: counting });
  for (let tried = 0; tried < 10; tried += 1) {
    await untilRefused(isLimit, ask(connect(LIMITED_KEY)));
    sent = 0;
    assert((await ask(patient)()).usage.completion_tokens);
    if (sent > 1) return;
  }
  assert.fail("the client never had to wait");
});
