// The package in a page, without the demo: opening and closing, signers that misbehave, wrong arguments, streams,
// several tabs. Each failure has its code and changes nothing.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { apiPage } from './support/api.mjs';
import { launchBrowser } from './support/browser.mjs';
import { Node } from './support/node.mjs';

describe('the package in a page', { timeout: 240_000 }, () => {
  let browser;
  let node;
  let context;
  let page;

  before(async () => {
    browser = await launchBrowser();
    node = await Node.start();
  });
  after(async () => {
    await browser?.close();
    await node?.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    page = await apiPage(context, node.url);
  });
  afterEach(() => context.close());

  test('importing does nothing: no request, no database', async () => {
    const requests = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.evaluate(() => globalThis.sotto());
    assert.ok(requests.every((url) => url.endsWith('.js')), String(requests));
    assert.deepEqual(await page.evaluate(() => indexedDB.databases()), []);
  });

  test('an installation that was made is opened again without its signer', async () => {
    const first = await page.evaluate(async () => {
      const { client, wallet } = await globalThis.make();
      const ids = { inboxId: client.inboxId, installationId: client.installationId };
      await client.close();
      return { ...ids, address: wallet.address };
    });
    await page.reload();
    const second = await page.evaluate(async ({ address }) => {
      const { Client, IdentifierKind } = await globalThis.sotto();
      const identifier = { identifier: address, identifierKind: IdentifierKind.Ethereum };
      const client = await Client.build(identifier, { apiUrl: location.origin });
      return { inboxId: client.inboxId, installationId: client.installationId, address };
    }, first);
    assert.deepEqual(second, first);
  });

  test('two creations at once make one installation and ask once', async () => {
    const { ids, asked } = await page.evaluate(async () => {
      const { Client, LocalWallet } = await globalThis.sotto();
      const wallet = await LocalWallet.generate();
      const signer = wallet.signer();
      let asked = 0;
      const counting = { ...signer, type: signer.type, getIdentifier: () => signer.getIdentifier(), signMessage: (text) => (asked++, signer.signMessage(text)) };
      const clients = await Promise.all([1, 2].map(() => Client.create(counting, { apiUrl: location.origin })));
      return { ids: clients.map(({ installationId }) => installationId), asked };
    });
    assert.equal(ids[0], ids[1]);
    assert.equal(asked, 1);
  });

  test('a signer that refuses, and one that signs with another key, register nothing', async () => {
    const { refused, mismatched, known, later } = await page.evaluate(async () => {
      const { Client, LocalWallet } = await globalThis.sotto();
      const wallet = await LocalWallet.generate();
      const other = await LocalWallet.generate();
      const options = { apiUrl: location.origin };
      const getIdentifier = () => wallet.signer().getIdentifier();
      const refusing = { type: 'EOA', getIdentifier, signMessage: () => Promise.reject(new Error('no')) };
      const mistaken = { type: 'EOA', getIdentifier, signMessage: (text) => other.signer().signMessage(text) };
      const refused = await globalThis.failureOf(() => Client.create(refusing, options));
      const mismatched = await globalThis.failureOf(() => Client.create(mistaken, options));
      const identifier = await getIdentifier();
      const { client: observer } = await globalThis.make();
      const known = [...(await observer.canMessage([identifier])).values()];
      const later = await Client.create(wallet.signer(), options).then(({ inboxId }) => inboxId.length);
      return { refused, mismatched, known, later };
    });
    assert.deepEqual([refused.code, refused.typed], ['ERR_SIGNER_REJECTED', true]);
    assert.deepEqual([mismatched.code, mismatched.typed], ['ERR_SIGNER_MISMATCH', true]);
    assert.deepEqual(known, [false]);
    assert.equal(later, 64);
  });

  test('wrong arguments fail with a code, and change nothing', async () => {
    const failures = await page.evaluate(async () => {
      const { client } = await globalThis.make();
      const { conversations } = client;
      const group = await conversations.createGroup([]);
      const failures = {};
      const calls = {
        address: () => client.canMessage([{ identifier: '0x123', identifierKind: 0 }]),
        inbox: () => conversations.createGroup(['nobody']),
        unknownInbox: () => conversations.createGroup(['ab'.repeat(32)]),
        text: () => group.sendText(/** @type {any} */ (17)),
        long: () => group.sendText('x'.repeat(2 * 1024 * 1024)),
      };
      for (const [name, call] of Object.entries(calls)) failures[name] = await globalThis.failureOf(call);
      failures.groups = (await conversations.list()).length;
      failures.messages = (await group.messages()).filter(({ contentType }) => contentType.typeId === 'text').length;
      return failures;
    });
    const { groups, messages, ...rest } = failures;
    for (const [name, failure] of Object.entries(rest)) assert.ok(failure.typed && /^ERR_/.test(failure.code), `${name}: ${JSON.stringify(failure)}`);
    assert.equal(rest.address.code, 'ERR_INVALID_IDENTIFIER');
    assert.equal(rest.long.code, 'ERR_TOO_LARGE');
    assert.deepEqual([groups, messages], [1, 0]);
  });

  test('a closed client answers every call with ERR_CLOSED, ends its streams, and may be closed again', async () => {
    const { codes, ended } = await page.evaluate(async () => {
      const { client } = await globalThis.make();
      const { conversations } = client;
      const group = await conversations.createGroup([]);
      const stream = await conversations.streamAllMessages();
      const ended = (async () => {
        for await (const _ of stream);
        return true;
      })();
      await client.close();
      await client.close();
      const calls = [
        () => conversations.list(),
        () => conversations.sync(),
        () => conversations.createGroup([]),
        () => group.sendText('too late'),
        () => group.messages(),
        () => group.members(),
        () => conversations.streamAllMessages(),
        () => client.canMessage([]),
      ];
      const codes = [];
      for (const call of calls) codes.push((await globalThis.failureOf(call)).code);
      return { codes, ended: await ended };
    });
    assert.deepEqual(new Set(codes), new Set(['ERR_CLOSED']));
    assert.equal(ended, true);
  });

  test('closing while calls are under way settles every one of them', async () => {
    const settled = await page.evaluate(async () => {
      const { client } = await globalThis.make();
      const group = await client.conversations.createGroup([]);
      const calls = Array.from({ length: 20 }, (_, i) => group.sendText(`${i}`));
      calls.push(client.conversations.syncAll(), group.members());
      const closing = client.close();
      const results = await Promise.allSettled(calls);
      await closing;
      return results.map((result) => (result.status === 'rejected' ? result.reason.code : 'fulfilled'));
    });
    assert.ok(settled.every((result) => result === 'fulfilled' || result === 'ERR_CLOSED'), String(settled));
  });

  test('a group says how it is; moderation, key updates and removals are seen by all', async () => {
    const seen = await page.evaluate(async () => {
      const { client: ana } = await globalThis.make({ maxGroupSize: 300 });
      const { client: ben } = await globalThis.make();
      const group = await ana.conversations.createGroup([ben.inboxId]);
      const before = await group.health();
      await ben.conversations.syncAll();
      const [bens] = await ben.conversations.list();
      const regretted = await bens.sendText('regrettable');
      await group.sync();
      await group.moderate([regretted]);
      await group.updateKey();
      await bens.sync();
      const deleted = (await bens.messages()).find(({ id }) => id === regretted).content;
      const fine = await group.sendText('fine');
      await bens.sync();
      const refused = await globalThis.failureOf(() => bens.moderate([fine]));
      const cancelled = await globalThis.failureOf(() => group.cancelIntent('999'));
      const notices = await ben.conversations.streamNotices();
      await group.addSuperAdmin(ben.inboxId);
      await group.demoteAndRemove(ben.inboxId);
      const { value: notice } = await notices[Symbol.asyncIterator]().next();
      const after = await bens.health();
      const anew = await group.refound([]);
      return { before, deleted, refused, cancelled, notice, after, id: group.id, ana: ana.inboxId, members: (await anew.members()).length };
    });
    const { before, after } = seen;
    assert.deepEqual([before.state, before.singleSuperAdmin, before.quarantine, before.missing], ['ok', true, [], []]);
    assert.equal(seen.deleted.adminInboxId, seen.ana);
    assert.equal(seen.refused.code, 'ERR_PERMISSION_DENIED');
    assert.equal(seen.cancelled.code, 'ERR_NOT_FOUND');
    assert.deepEqual(seen.notice, { conversationId: seen.id, kind: 'removed', about: undefined });
    assert.equal(after.state, 'removed');
    assert.equal(seen.members, 1);
  });

  test('a stream delivers in order, once each, and ends when asked to', async () => {
    const received = await page.evaluate(async () => {
      const { client } = await globalThis.make();
      const group = await client.conversations.createGroup([]);
      const stream = await group.stream();
      const received = [];
      const reading = (async () => {
        for await (const { content } of stream) {
          received.push(content);
          if (received.length === 30) await stream.end();
        }
      })();
      for (let i = 0; i < 30; i++) await group.sendText(`${i}`);
      await reading;
      return received;
    });
    assert.deepEqual(received, Array.from({ length: 30 }, (_, i) => `${i}`));
  });

  test('two tabs of one person are one installation, and what one does the other sees', async () => {
    const second = await apiPage(context, node.url);
    const { address, groupId } = await page.evaluate(async () => {
      const { client, wallet } = await globalThis.make();
      const group = await client.conversations.createGroup([], { groupName: 'Both' });
      Object.assign(globalThis, { client, group });
      return { address: wallet.address, groupId: group.id };
    });
    await second.evaluate(
      async ({ address, groupId }) => {
        const { Client, IdentifierKind } = await globalThis.sotto();
        const client = await Client.build({ identifier: address, identifierKind: IdentifierKind.Ethereum }, { apiUrl: location.origin });
        const group = await client.conversations.getConversationById(groupId);
        const stream = await client.conversations.streamAllMessages();
        Object.assign(globalThis, { client, group, received: [] });
        (async () => {
          for await (const message of stream) globalThis.received.push(message.content);
        })();
      },
      { address, groupId },
    );
    const ids = await Promise.all([page, second].map((tab) => tab.evaluate(() => globalThis.client.installationId)));
    assert.equal(ids[0], ids[1]);
    await Promise.all([
      page.evaluate(async () => {
        for (let i = 0; i < 10; i++) await globalThis.group.sendText(`first ${i}`);
      }),
      second.evaluate(async () => {
        for (let i = 0; i < 10; i++) await globalThis.group.sendText(`second ${i}`);
      }),
    ]);
    await second.waitForFunction(() => globalThis.received.filter((content) => typeof content === 'string').length >= 20);
    const texts = await second.evaluate(() => globalThis.received.filter((content) => typeof content === 'string'));
    assert.equal(new Set(texts).size, 20);
    assert.equal(texts.length, 20);
    for (const tab of ['first', 'second']) {
      assert.deepEqual(texts.filter((text) => text.startsWith(tab)), Array.from({ length: 10 }, (_, i) => `${tab} ${i}`));
    }
  });
});
