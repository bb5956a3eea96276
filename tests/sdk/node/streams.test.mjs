// Streams: event by event, left by the client, cut by the upstream.

import assert from "node:assert/strict";
import { test } from "node:test";

import { APIError } from "openai";

import { HELLO, WORDS, client, seen, until } from "./stand.mjs";

// At the upstream's pace of 10 ms, 100 s: more than the patience of the tests, so
// who sees a part of it did not wait for its end.
const ENDLESS = 10_000;

const endless = { model: "gpt-5", messages: HELLO, stream: true, max_completion_tokens: ENDLESS };

test("a streamed chat completion", async () => {
  const asked = { model: "gpt-5", messages: HELLO, stream: true, stream_options: { include_usage: true } };
  let text = "";
  let last;
  for await (const chunk of await client.chat.completions.create(asked)) {
    text += chunk.choices[0]?.delta.content ?? "";
    last = chunk;
  }
  assert.equal(text, WORDS);
  assert.equal(last.usage.completion_tokens, 8);
});

test("a streamed response", async () => {
  const stream = client.responses.stream({ model: "gpt-5", input: "hello" });
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, WORDS);
  assert.equal((await stream.finalResponse()).usage.output_tokens, 8);
});

test("a client that leaves an endless stream ends it at the upstream", async () => {
  const before = (await seen()).aborted_streams;
  // They arrive while the upstream is still sending.
  let arrived = 0;
  for await (const _ of await client.chat.completions.create(endless)) {
    arrived += 1;
    if (arrived === 20) break;
  }
  assert.equal(arrived, 20);
  await until(async () => (await seen()).aborted_streams === before + 1);
});

test("a client that aborts by its controller ends the stream at the upstream", async () => {
  const before = (await seen()).aborted_streams;
  const stream = await client.chat.completions.create(endless);
  for await (const _ of stream) stream.controller.abort();
  await until(async () => (await seen()).aborted_streams === before + 1);
});

for (const events of [1, 5]) {
  test(`a stream cut by the upstream after ${events} is an error`, async () => {
    const stream = await client.chat.completions.create({ model: `cut-${events}`, messages: HELLO, stream: true });
    await breaks(stream, events);
  });
}

test("a streamed response cut by the upstream is an error", async () => {
  await breaks(await client.responses.create({ model: "cut-5", input: "hello", stream: true }), 5);
});

test("a download cut by the upstream is an error", async () => {
  // No place for an error event in it: the connection breaks.
  const answer = await client.audio.speech.create({ model: "cut-3", voice: "alloy", input: "hello" });
  await assert.rejects(answer.arrayBuffer(), TypeError);
});

async function breaks(stream, events) {
  let arrived = 0;
  const reading = async () => {
    for await (const _ of stream) arrived += 1;
  };
  await assert.rejects(reading, (error) => {
    assert.ok(error instanceof APIError, error);
    assert.equal(error.code, "upstream_protocol_error");
    return true;
  });
  assert.equal(arrived, events);
}
