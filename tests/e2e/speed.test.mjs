// How long everyday work takes through a real node, reported; and that all of it arrives, once. The node
// and the tests share a small machine, so the limits here only catch what has become slow beyond doubt.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { apiPage } from './support/api.mjs';
import { launchBrowser } from './support/browser.mjs';
import { Node } from './support/node.mjs';

describe('speed', { timeout: 300_000 }, () => {
  let browser;
  let node;
  before(async () => {
    browser = await launchBrowser();
    node = await Node.start();
  });
  after(async () => {
    await browser?.close();
    await node?.close();
  });

  test('100 texts in a row, and 1,000 queued ones fetched, opened and stored', async (t) => {
    const [sender, reader] = await Promise.all([1, 2].map(async () => apiPage(await browser.newContext(), node.url)));
    const inboxId = await reader.evaluate(async () => {
      Object.assign(globalThis, await globalThis.make());
      return globalThis.client.inboxId;
    });
    const inARow = await sender.evaluate(async (inboxId) => {
      Object.assign(globalThis, await globalThis.make());
      globalThis.group = await globalThis.client.conversations.createGroup([inboxId]);
      const started = performance.now();
      for (let i = 0; i < 100; i++) await globalThis.group.sendText(`text ${i}`);
      return performance.now() - started;
    }, inboxId);
    await sender.evaluate(async () => {
      for (let from = 100; from < 1000; from += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, i) => globalThis.group.sendText(`text ${from + i}`)));
      }
    });
    const { fetched, texts } = await reader.evaluate(async () => {
      const started = performance.now();
      await globalThis.client.conversations.syncAll();
      const fetched = performance.now() - started;
      const [group] = await globalThis.client.conversations.list();
      const messages = await group.messages({ limit: 2000n });
      return { fetched, texts: messages.map(({ content }) => content).filter((content) => typeof content === 'string') };
    });
    t.diagnostic(`100 texts in a row: ${Math.round(inARow)} ms; 1,000 queued messages: ${Math.round(fetched)} ms`);
    const expected = Array.from({ length: 1000 }, (_, i) => `text ${i}`);
    assert.deepEqual(texts.slice(0, 100), expected.slice(0, 100));
    assert.deepEqual([...texts].sort(), [...expected].sort()); // calls that overlap may overtake each other
    assert.ok(inARow < 20_000, `100 texts took ${inARow} ms`);
    assert.ok(fetched < 20_000, `1,000 messages took ${fetched} ms`);
  });
});
