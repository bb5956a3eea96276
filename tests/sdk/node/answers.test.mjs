// What an application asks for, it gets: each kind of answer, whole.

import assert from "node:assert/strict";
import { test } from "node:test";

import { toFile } from "openai";

import { HELLO, WORDS, client, clientOf, seen, stand } from "./stand.mjs";

test("a chat completion", async () => {
  const answer = await client.chat.completions.create({ model: "gpt-5", messages: HELLO });
  assert.equal(answer.choices[0].message.content, WORDS);
  assert.equal(answer.model, "gpt-5");
  assert.equal(answer.usage.completion_tokens, 8);
});

test("a response", async () => {
  const answer = await client.responses.create({ model: "gpt-5", input: "hello" });
  assert.equal(answer.output_text, WORDS);
  assert.equal(answer.usage.output_tokens, 8);
});

test("embeddings, in the base64 that the SDK asks for and as numbers", async () => {
  for (const encoding of [{}, { encoding_format: "float" }]) {
    const asked = { model: "text-embedding-3-small", input: ["one", "two"], ...encoding };
    const answer = await client.embeddings.create(asked);
    const vectors = answer.data.map((vector) => Array.from(vector.embedding));
    assert.deepEqual(vectors, Array(2).fill([0.5, -0.25, 0.125, 1]));
  }
});

test("a transcription upload", async () => {
  // Larger than max_body: what is not looked at has no limit.
  const sound = Buffer.alloc(2 << 20, "sound");
  const file = await toFile(sound, "a.wav");
  const answer = await client.audio.transcriptions.create({ model: "whisper-1", file });
  assert.equal(answer.text, `${sound.length} bytes received`);
});

test("a speech download", async () => {
  const answer = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "hello" });
  const pieces = Array.from({ length: 8 }, (_, piece) => Buffer.alloc(16384, piece));
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), Buffer.concat(pieces));
});

test("a file comes back as it was uploaded", async () => {
  const content = Buffer.from(Array.from({ length: 1 << 18 }, (_, at) => at % 256));
  const file = await client.files.create({ file: await toFile(content, "data.jsonl"), purpose: "batch" });
  assert.equal(file.bytes, content.length);
  assert.equal(file.filename, "data.jsonl");
  assert.deepEqual(await client.files.retrieve(file.id), file);
  const back = await client.files.content(file.id);
  assert.deepEqual(Buffer.from(await back.arrayBuffer()), content);
  assert.equal((await client.files.delete(file.id)).deleted, true);
});

test("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["gpt-5", "gpt-5-mini", "text-embedding-3-small"]);
  assert.equal((await client.models.retrieve("gpt-5")).owned_by, "loopback");
});

test("the request id is visible", async () => {
  const asked = client.chat.completions.create({ model: "gpt-5", messages: HELLO });
  const { data, response, request_id } = await asked.withResponse();
  assert.match(request_id, /^req_/);
  assert.equal(response.headers.get("x-request-id"), request_id);
  assert.equal(data._request_id, request_id);
});

test("the upstream sees the operator's identity only", async () => {
  const headers = { "OpenAI-Organization": "org-mine" };
  await client.chat.completions.create({ model: "gpt-5", messages: HELLO }, { headers });
  const { last } = await seen();
  const fields = Object.fromEntries(last.fields);
  assert.equal(fields.authorization, `Bearer ${stand.upstream_key}`);
  assert.equal(fields["user-agent"], stand.user_agent);
  assert.ok(!JSON.stringify(last).includes(stand.client_key));
  assert.deepEqual(Object.keys(fields).filter((name) => name.startsWith("x-stainless-")), []);
  assert.ok(!("openai-organization" in fields));
  assert.deepEqual(last.json, { model: "gpt-5", messages: HELLO });
});

test("a base URL with and without /v1", async () => {
  for (const path of ["/v1", "/v1/", "", "/"]) {
    const other = clientOf(stand.proxy + path);
    await other.chat.completions.create({ model: "gpt-5", messages: HELLO });
    assert.equal((await seen()).last.target, "/v1/chat/completions");
  }
});
