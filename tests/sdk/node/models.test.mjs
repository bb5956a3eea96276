// Models that have another name at the upstream, and parameters of the operator's.

import assert from "node:assert/strict";
import { test } from "node:test";

import { HELLO, clientOf, stand } from "./stand.mjs";

const client = clientOf(`${stand.models}/v1`);

test("an alias is answered by the upstream's model", async () => {
  const answer = await client.chat.completions.create({ model: "house", messages: HELLO });
  assert.equal(answer.model, "gpt-5-mini");
  const { last } = await client.get("/__seen");
  assert.deepEqual(last.json, { model: "gpt-5-mini", messages: HELLO, reasoning_effort: "low" });
});

test("the list has what can be asked for", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["house"]);
});
