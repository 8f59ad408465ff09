// Pages that are killed in the middle of registering, adding an account or revoking: at each request, before it
// leaves and before its answer comes. Whatever the moment, the next start ends consistent, and nothing is doubled.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { apiPage } from './support/api.mjs';
import { launchBrowser } from './support/browser.mjs';
import { Node } from './support/node.mjs';

const identity = '**/xmtp.identity.api.v1.IdentityApi';
const registering = [
  `${identity}/GetInboxIds`,
  '**/xmtp.mls.api.v1.MlsApi/UploadKeyPackage',
  `${identity}/PublishIdentityUpdate`,
  `${identity}/GetIdentityUpdates`,
];
const changing = [`${identity}/PublishIdentityUpdate`, `${identity}/GetIdentityUpdates`];

describe('a page that is killed in the middle of a change of identity', { timeout: 240_000 }, () => {
  let browser;
  let node;
  let context;

  before(async () => {
    browser = await launchBrowser();
    node = await Node.start();
  });
  after(async () => {
    await browser?.close();
    await node?.close();
  });
  beforeEach(async () => (context = await browser.newContext()));
  afterEach(() => context.close());

  /** A page with `enter(privateKey)`, and `signed`, how often a wallet was asked. */
  const open = async () => {
    const page = await apiPage(context, node.url);
    await page.evaluate(async () => {
      const { Client, LocalWallet } = await globalThis.sotto();
      globalThis.signed = 0;
      globalThis.signerOf = async (privateKey) => {
        const signer = (await LocalWallet.fromPrivateKey(privateKey)).signer();
        return {
          type: signer.type,
          getIdentifier: () => signer.getIdentifier(),
          signMessage: (text) => (globalThis.signed++, signer.signMessage(text)),
        };
      };
      globalThis.enter = async (privateKey, options = {}) =>
        (globalThis.client = await Client.create(await globalThis.signerOf(privateKey), { apiUrl: location.origin, ...options }));
    });
    return page;
  };

  const newKey = (page) => page.evaluate(async () => (await (await globalThis.sotto()).LocalWallet.generate()).privateKey);

  /** Runs `work` in the page, which is killed when it makes a request; `arrives` says whether the node hears of it. */
  const closedAt = async (page, path, arrives, work, argument) => {
    let reach = () => {};
    const reached = new Promise((resolve) => (reach = () => resolve(undefined)));
    let first = true;
    await page.route(path, async (route) => {
      if (!first) return;
      first = false;
      if (arrives) await route.fetch();
      reach();
    });
    const ended = page.evaluate(work, argument).then(
      () => assert.fail(`finished without ${path}`),
      () => {},
    );
    await Promise.race([reached, ended]);
    await kill(page);
    await ended;
  };

  /** Ends the page's process. A page that is merely closed first lets its held requests go. */
  const kill = async (page) => {
    const gone = page.waitForEvent('crash');
    const session = await context.newCDPSession(page);
    session.send('Page.crash').catch(() => {});
    await gone;
    await page.close();
  };

  /** What the node has for the client's inbox. */
  const logOf = (page) =>
    page.evaluate(async () => {
      const { Client } = await globalThis.sotto();
      const { inboxId, installationId } = globalThis.client;
      const options = { apiUrl: location.origin };
      const [state] = await Client.fetchInboxStates([inboxId], options);
      return {
        installationId,
        signed: globalThis.signed,
        updates: (await Client.fetchLatestInboxUpdatesCount([inboxId], options)).get(inboxId),
        installations: state.installations.map(({ id }) => id),
        accounts: state.accountIdentifiers.length,
      };
    });

  for (const path of registering) {
    for (const arrives of [false, true]) {
      test(`registering, killed ${arrives ? 'after' : 'before'} ${path.split('/').at(-1)}`, async () => {
        const page = await open();
        const key = await newKey(page);
        await closedAt(page, path, arrives, (privateKey) => globalThis.enter(privateKey), key);
        const next = await open();
        await next.evaluate((privateKey) => globalThis.enter(privateKey), key);
        const log = await logOf(next);
        assert.equal(log.updates, 1);
        assert.deepEqual(log.installations, [log.installationId]);
        // Asked again only if the page went before the wallet had answered.
        assert.equal(log.signed, path.endsWith('GetInboxIds') ? 1 : 0);
      });
    }
  }

  for (const path of changing) {
    for (const arrives of [false, true]) {
      const when = `killed ${arrives ? 'after' : 'before'} ${path.split('/').at(-1)}`;

      test(`adding an account, ${when}`, async () => {
        const page = await open();
        const [key, second] = [await newKey(page), await newKey(page)];
        await page.evaluate((privateKey) => globalThis.enter(privateKey), key);
        const add = async (privateKey) => globalThis.client.addAccount(await globalThis.signerOf(privateKey), { reassign: true });
        await closedAt(page, path, arrives, add, second);
        const next = await open();
        await next.evaluate((privateKey) => globalThis.enter(privateKey), key);
        const before = await logOf(next);
        const took = arrives || !path.endsWith('PublishIdentityUpdate');
        assert.equal(before.accounts, took ? 2 : 1);
        await next.evaluate(add, second);
        const after = await logOf(next);
        assert.equal(after.accounts, 2);
        assert.deepEqual(after.installations, [after.installationId]);
      });

      test(`revoking, ${when}`, async () => {
        const page = await open();
        const key = await newKey(page);
        await page.evaluate((privateKey) => globalThis.enter(privateKey, { dbPath: 'lost' }), key);
        await page.evaluate((privateKey) => globalThis.enter(privateKey), key);
        assert.equal((await logOf(page)).installations.length, 2);
        const revoke = () => globalThis.client.revokeAllOtherInstallations();
        await closedAt(page, path, arrives, revoke, undefined);
        const next = await open();
        await next.evaluate((privateKey) => globalThis.enter(privateKey), key);
        await next.evaluate(revoke);
        const log = await logOf(next);
        assert.deepEqual(log.installations, [log.installationId]);
      });
    }
  }
});
