// What the scripts share: the server's address and keys, how they say what works, and what they ask for. See python/common.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export { assert };
export const URL = process.env.RIAD_URL;
export const BASE_URL = `${URL}/v1`;
export const KEY = process.env.RIAD_KEY;
export const LIMITED_KEY = process.env.RIAD_LIMITED_KEY;
export const SPENT_KEY = process.env.RIAD_SPENT_KEY;
export const WRONG_KEY = "riad_sk_wrong";
export const MODEL = "riad-mini";
export const EMBEDDER = "static-256";
export const QUESTION = "What is the refund window of the Heron shop?";
export const CITIES = ["Bern", "Oslo"];
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string", enum: CITIES }, tomorrow: { type: "boolean" } },
  required: ["city", "tomorrow"],
  additionalProperties: false,
};
export const TEXTS = ["a lamp", "a light", "the tax law of 1972"];

export function version(name) {
  const path = new globalThis.URL(`./node_modules/${name}/package.json`, import.meta.url);
  console.log("@ version", JSON.parse(readFileSync(path)).version);
}

export async function feature(name, check) {
  try {
    await check();
    console.log(`@ ${name} ok`);
  } catch (error) {
    console.log(error);
    console.log(`@ ${name} failed`);
    process.exitCode = 1;
  }
}

export function lacks(name, why = "") {
  console.log(`@ ${name} none ${why}`);
}

/** The error that the call is rejected with, which must be one that `isRight`. */
export async function expectError(isRight, call) {
  let error;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  assert(error, "it was served");
  console.log(`  ${error.name}: ${String(error.message).slice(0, 200)}`);
  if (!isRight(error)) throw error;
  return error;
}

/** Asks until the tenant's rate is spent; returns the error. */
export async function untilRefused(isLimit, call) {
  for (let tried = 0; tried < 60; tried += 1) {
    try {
      await call();
    } catch (error) {
      if (isLimit(error)) return error;
      throw error;
    }
  }
  throw new Error("60 requests and no limit");
}

export function checkWeather(weather) {
  assert.deepEqual(Object.keys(weather).sort(), ["city", "tomorrow"]);
  assert(CITIES.includes(weather.city) && typeof weather.tomorrow === "boolean", JSON.stringify(weather));
}

/** Of TEXTS. */
export function checkVectors(vectors) {
  assert.deepEqual(vectors.map((vector) => vector.length), [256, 256, 256]);
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  for (const vector of vectors) assert(Math.abs(dot(vector, vector) - 1) < 1e-3);
  assert(dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]));
}
