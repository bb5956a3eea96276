// Each error raises the class that the SDK has for it, with a message that helps.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { HELLO, client, clientOf, stand } from "./stand.mjs";

const TYPED = {
  400: OpenAI.BadRequestError,
  401: OpenAI.AuthenticationError,
  403: OpenAI.PermissionDeniedError,
  404: OpenAI.NotFoundError,
  409: OpenAI.ConflictError,
  422: OpenAI.UnprocessableEntityError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
  502: OpenAI.InternalServerError,
  503: OpenAI.InternalServerError,
};

for (const [status, type] of Object.entries(TYPED)) {
  test(`the upstream's ${status} passes untouched`, async () => {
    for (const stream of [false, true]) {
      const asked = client.chat.completions.create({ model: `error-${status}`, messages: HELLO, stream });
      const error = await failure(asked);
      assert.equal(error.constructor, type);
      assert.equal(error.status, Number(status));
      assert.equal(error.error.message, `The loopback upstream was asked for ${status}.`);
      assert.match(error.requestID, /^req_/);
      assert.equal(error.headers.get("proxy-status"), null);
      assert.equal(error.headers.get("retry-after"), status === "429" ? "1" : null);
    }
  });
}

test("a client without a right key", async () => {
  const stranger = clientOf(`${stand.proxy}/v1`, { apiKey: "sk-somebody-elses" });
  const error = await failure(stranger.models.list());
  assert.ok(error instanceof OpenAI.AuthenticationError);
  isOurs(error, 401, "invalid_api_key");
});

test("a body over the limit", async () => {
  const messages = [{ role: "user", content: "x".repeat(2 << 20) }];
  isOurs(await failure(client.chat.completions.create({ model: "gpt-5", messages })), 413, "request_too_large");
});

test("an unknown endpoint is the upstream's to refuse", async () => {
  const error = await failure(client.post("/no/such/endpoint", { body: { a: 1 } }));
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.match(error.message, /Invalid URL/);
});

const GONE = [
  ["dead", 502, "upstream_unreachable", "connection_refused"],
  ["silent", 504, "upstream_timeout", "connection_timeout"],
];
for (const [how, status, code, proxyError] of GONE) {
  test(`a ${how} upstream`, async () => {
    const other = clientOf(`${stand[how]}/v1`);
    for (const stream of [false, true]) {
      const error = await failure(other.chat.completions.create({ model: "gpt-5", messages: HELLO, stream }));
      assert.ok(error instanceof OpenAI.InternalServerError);
      isOurs(error, status, code, proxyError);
    }
  });
}

async function failure(asked) {
  return asked.then(() => assert.fail("it went well"), (error) => error);
}

function isOurs(error, status, code, proxyError) {
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  assert.ok(error.message && error.type && error.requestID);
  const proxyStatus = error.headers.get("proxy-status");
  assert.ok(proxyStatus.startsWith("upstreamd; error="), proxyStatus);
  if (proxyError) assert.ok(proxyStatus.includes(`error=${proxyError}`), proxyStatus);
}
