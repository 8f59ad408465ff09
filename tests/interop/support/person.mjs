// Somebody with a client in a page, official or ours. Both have the same API, so people do the same things in the
// same words, and what they see can be compared.
import assert from 'node:assert/strict';

/** What `do` hands to a function in the page, besides its arguments: `client`, and `sdk`, the module it is from. */
export class Person {
  /** "official" or "sotto". */
  kind;
  name;
  /** @type {import('playwright-core').Page} */
  page;
  /** The wallet's private key, for a second installation. @type {string} */
  key;
  address;
  inboxId;
  installationId;
  /** What took how long, in milliseconds. @type {[string, number][]} */
  waits = [];

  /** Opens a page and registers a client in it. */
  static async arrive(page, { kind, name, origin, apiUrl, key }) {
    const person = Object.assign(new Person(), { kind, name, page });
    await page.goto(`${origin}/`);
    const made = await page.evaluate(makeClient, { kind, apiUrl, key });
    person.waits.push(['create a client', made.ms]);
    return Object.assign(person, { key: made.key, address: made.address, inboxId: made.inboxId, installationId: made.installationId });
  }

  /**
   * Runs a function in the page: `({ client, sdk, group }, args)`. `group(id)` finds a conversation that must exist.
   * The function must be whole: nothing around it goes along.
   * @template T @param {(world: any, args?: any) => Promise<T> | T} work @returns {Promise<T>}
   */
  do(work, args = undefined) {
    return this.page.evaluate(({ source, args }) => (0, eval)(`(${source})`)(globalThis.world, args), { source: String(work), args });
  }

  /** The same, with its time noted. */
  async timed(label, work, args) {
    const started = performance.now();
    const result = await this.do(work, args);
    this.waits.push([label, performance.now() - started]);
    return result;
  }

  /** A new client for the same wallet is another installation. */
  get wallet() {
    return { key: this.key };
  }

  /** Closes the page, and the client with it. */
  leave() {
    return this.page.close();
  }

  get identifier() {
    return { identifier: this.address, identifierKind: 0 };
  }

  /** Makes a group with others, and returns its id. @param {Person[]} others */
  createGroup(others, options = {}) {
    return this.timed(
      `create a group of ${others.length + 1}`,
      async ({ client }, { inboxIds, options }) => (await client.conversations.createGroup(inboxIds, options)).id,
      { inboxIds: others.map(({ inboxId }) => inboxId), options },
    );
  }

  createDm(other) {
    return this.timed('create a DM', async ({ client }, inboxId) => (await client.conversations.createDm(inboxId)).id, other.inboxId);
  }

  /** Fetches new conversations and everything in them. */
  syncAll() {
    return this.do(async ({ client }) => void (await client.conversations.syncAll()));
  }

  /** Calls a method of a group: `change(id, 'updateName', 'x')`. */
  change(id, method, ...args) {
    return this.timed(method, async ({ group }, { id, method, args }) => void (await (await group(id))[method](...args)), { id, method, args });
  }

  say(id, text) {
    return this.timed('send a text', async ({ group }, { id, text }) => (await group(id)).sendText(text), { id, text });
  }

  /** Starts streaming all messages; `hears` waits for what comes. */
  listen(options = {}) {
    return this.do(async ({ client }, options) => {
      const heard = (globalThis.heard = []);
      await client.conversations.streamAllMessages({ ...options, onValue: (message) => heard.push({ content: message.content, at: Date.now() }) });
    }, options);
  }

  /** Waits until the stream has brought a text. */
  async hears(text) {
    await this.page.waitForFunction((text) => globalThis.heard.some(({ content }) => content === text), text, { timeout: 20_000 });
  }

  /** The texts the stream has brought, in order. @returns {Promise<string[]>} */
  heard() {
    return this.page.evaluate(() => globalThis.heard.map(({ content }) => content).filter((content) => typeof content === 'string'));
  }

  /** The texts that are stored, from the oldest. @returns {Promise<string[]>} */
  texts(id) {
    return this.do(async ({ group }, id) => {
      const messages = await (await group(id)).messages();
      return messages.map(({ content }) => content).filter((content) => typeof content === 'string');
    }, id);
  }

  /** Ids, senders and contents of the texts, to be the same for everybody. */
  transcript(id) {
    return this.do(async ({ group }, id) => {
      const messages = await (await group(id)).messages();
      return messages
        .filter(({ content }) => typeof content === 'string')
        .map((message) => ({ id: message.id, sender: message.senderInboxId, content: message.content, sentAtNs: String(message.sentAtNs) }));
    }, id);
  }

  /** Whether the client lists a conversation that it is in. */
  isIn(id) {
    return this.do(async ({ client }, id) => {
      const found = await client.conversations.getConversationById(id);
      return found !== undefined && (await found.isActive());
    }, id);
  }

  /** All that members of a group must agree on. */
  async view(id) {
    return this.do(async ({ group }, id) => {
      const found = await group(id);
      await found.sync();
      const members = await found.members();
      const isGroup = 'name' in found;
      return {
        epoch: Number((await found.debugInfo()).epoch),
        forked: (await found.debugInfo()).maybeForked,
        members: members
          .map(({ inboxId, permissionLevel, installationIds }) => ({ inboxId, permissionLevel, installationIds: [...installationIds].sort() }))
          .sort((a, b) => (a.inboxId < b.inboxId ? -1 : 1)),
        ...(isGroup && {
          name: found.name,
          description: found.description,
          imageUrl: found.imageUrl,
          appData: found.appData,
          admins: [...(await found.listAdmins())].sort(),
          superAdmins: [...(await found.listSuperAdmins())].sort(),
          permissions: await found.permissions(),
        }),
      };
    }, id);
  }
}

/**
 * Fetches for everybody, and asserts that all see the same group: epoch, members with their roles and installations,
 * metadata, admins, permissions, texts. Returns what they see. Fetching may itself commit (an installation that is
 * new), so everybody fetches until nothing moves.
 * @param {string} id @param {Person[]} people
 */
export async function agree(id, ...people) {
  let views;
  for (let round = 0; round < 3; round++) {
    views = [];
    for (const person of people) {
      if (round === 0) await person.syncAll();
      views.push(await person.view(id));
    }
    if (views.every(({ epoch }) => epoch === views[0].epoch)) break;
  }
  for (const [i, view] of views.entries()) {
    assert.deepEqual(view, views[0], `${people[i].name} (${people[i].kind}) and ${people[0].name} (${people[0].kind}) see different groups`);
  }
  return views[0];
}

/** Runs in the page. */
async function makeClient({ kind, apiUrl, key }) {
  const load = (path) => import(new URL(path, location.href).href);
  const { LocalWallet } = await load('/pkg/index.js');
  const sdk = await load(kind === 'official' ? '/official/index.js' : '/pkg/index.js');
  const wallet = key ? await LocalWallet.fromPrivateKey(key) : await LocalWallet.generate();
  const options = kind === 'official' ? { env: 'local', apiUrl } : { apiUrl };
  const started = performance.now();
  const client = await sdk.Client.create(wallet.signer(), options);
  const ms = performance.now() - started;
  const group = async (id) => {
    const found = await client.conversations.getConversationById(id);
    if (!found) throw new Error(`there is no conversation ${id}`);
    return found;
  };
  Object.assign(globalThis, { world: { client, sdk, group, wallet, options } });
  return { ms, key: wallet.privateKey, address: wallet.address, inboxId: client.inboxId, installationId: client.installationId };
}
