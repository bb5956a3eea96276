// The clients that the tests use, and the upstream's view of what they sent.

import OpenAI from "openai";

export const stand = JSON.parse(process.env.STAND);

// For what comes at once if all is well; the machine may be busy.
const PATIENCE_MS = 30_000;

// A client that shows each failure: it sends nothing a second time.
export function clientOf(baseURL, options = {}) {
  return new OpenAI({ baseURL, apiKey: stand.client_key, maxRetries: 0, timeout: PATIENCE_MS, ...options });
}

export const client = clientOf(`${stand.proxy}/v1`);

// What the upstream saw last.
export const seen = () => client.get("/__seen");

export async function until(holds) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const HELLO = [{ role: "user", content: "hello" }];
export const WORDS = "The last hop adds next to nothing.";
