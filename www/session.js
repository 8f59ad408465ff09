// The open client and what the screens show of it: conversations with their last message, who is who, how the
// connection is. Screens read from here, call the library's objects directly, and redraw on these events:
//   list      conversations, their order, names or last messages changed
//   message   a message came, or one of ours changed; detail is the message
//   members   a conversation's members or name changed; detail is its id
//   state     the connection is live, catching up or offline, or the first sync moved on
//   problem   something failed in the background; detail is the error
import { Client } from 'sotto';
import { ethereum } from './wallet.js';
import { listed, short } from './parts/words.js';

const readPlace = 'sotto.read';
const namesPlace = 'sotto.names';

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {import('sotto').Group} conversation
 * @property {import('sotto').GroupMember[]} members
 * @property {import('sotto').DecodedMessage | undefined} last
 */

export class Session extends EventTarget {
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** Addresses by inbox id, of everybody met so far. @type {Map<string, string>} */
  addresses = new Map();
  state = 'catching-up';
  /** Of the first sync, or null when it is done. @type {{ done: number, total: number } | null} */
  progress = null;
  /** What this person calls others, by inbox id. It stays in this browser. */
  #names = JSON.parse(localStorage.getItem(namesPlace) ?? '{}');
  /** Conversations with messages that wait for the node. @type {Set<Entry>} */
  #unsent = new Set();
  #loaded = Promise.resolve();
  #read = JSON.parse(localStorage.getItem(readPlace) ?? '{}');

  /** @param {import('./wallet.js').Wallet} wallet @param {Client} client */
  constructor(wallet, client) {
    super();
    this.wallet = wallet;
    this.client = client;
    this.addresses.set(client.inboxId, wallet.address);
    this.#follow();
  }

  /** Registers this browser for the wallet's inbox; the wallet is asked to sign. */
  static async begin(wallet) {
    return new Session(wallet, await Client.create(wallet.signer(), options()));
  }

  /** Registers this browser again after what it had stored is gone. */
  static async beginAnew(wallet) {
    await Client.forgetStore(ethereum(wallet.address), options());
    return Session.begin(wallet);
  }

  /** Opens what this browser registered before, without the wallet. */
  static async resume(wallet) {
    const client = await Client.build(ethereum(wallet.address), options());
    if (!client.isReady) throw Object.assign(new Error('This browser is not registered'), { code: 'ERR_NOT_REGISTERED' });
    return new Session(wallet, client);
  }

  /** Resolves when this conversation is known, or when it is certain that it is not. */
  async ready(id) {
    if (this.entries.has(id)) return;
    await this.#loaded;
    if (this.entries.has(id)) return;
    const conversation = await this.client.conversations.getConversationById(id);
    if (conversation) await this.#learn(conversation);
  }

  /** Conversations, the one with the newest message first. */
  list() {
    return [...this.entries.values()].sort((a, b) => compare(activity(b), activity(a)));
  }

  /** What to call a conversation: its name, or who is in it. */
  title(entry) {
    const { name } = entry.conversation;
    if (name) return name;
    const others = entry.members.filter(({ inboxId }) => inboxId !== this.client.inboxId);
    return others.length > 0 ? listed(others.map(({ inboxId }) => this.name(inboxId))) : 'Just you';
  }

  /** What to call somebody. */
  name(inboxId) {
    if (inboxId === this.client.inboxId) return 'You';
    return this.#names[inboxId] ?? short(this.addresses.get(inboxId) ?? inboxId);
  }

  /** What somebody was named here; empty when they have no name. */
  givenName(inboxId) {
    return this.#names[inboxId] ?? '';
  }

  /** Names somebody, for this browser only. An empty name takes it back. */
  giveName(inboxId, name) {
    if (name) this.#names[inboxId] = name;
    else delete this.#names[inboxId];
    localStorage.setItem(namesPlace, JSON.stringify(this.#names));
    for (const id of this.entries.keys()) this.#tell('members', id);
    this.#tell('list');
  }

  /** True when the newest message is of somebody else and has not been on screen. */
  isUnread({ id, last }) {
    return Boolean(last) && last.senderInboxId !== this.client.inboxId && last.sentAtNs > BigInt(this.#read[id] ?? 0);
  }

  /** Notes that everything up to now has been seen. */
  markRead(entry) {
    if (!this.isUnread(entry)) return;
    this.#read[entry.id] = String(entry.last.sentAtNs);
    localStorage.setItem(readPlace, JSON.stringify(this.#read));
    this.#tell('list');
  }

  /** The entry of a conversation that was just made or has just arrived. */
  async add(conversation) {
    await this.#learn(conversation);
    this.#tell('list');
    return this.entries.get(conversation.id);
  }

  /** Reads members and name again after something changed them. */
  async refresh(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    await entry.conversation.refresh();
    await this.#learn(entry.conversation);
    this.#tell('members', id);
    this.#tell('list');
  }

  /** Sends what is stored and waits. Without the node it goes on waiting, until the connection is back. */
  async publish(entry) {
    this.#unsent.add(entry);
    try {
      await entry.conversation.publishMessages();
      this.#unsent.delete(entry);
    } catch (error) {
      if (!error.retryable) this.#unsent.delete(entry);
      // Its message says that it was not sent; only what no message shows is told here.
      if (!error.retryable && error.code !== 'ERR_CLOSED') this.report(error);
    }
  }

  /** Takes note of a conversation's newest message. */
  noteLast(message) {
    const entry = this.entries.get(message.conversationId);
    if (!entry || (entry.last && message.sentAtNs < entry.last.sentAtNs)) return;
    entry.last = message;
    this.#tell('list');
  }

  /** Tells that something failed which no screen is waiting for. */
  report = (error) => this.#tell('problem', error);

  /** Shows what is stored at once, then asks the node what is new, then listens. */
  #follow() {
    const { client } = this;
    this.state = client.state;
    client.onState((state) => {
      // Each attempt to connect is still being offline, until one succeeds.
      if (state === 'connecting' && this.state === 'offline') return;
      this.state = state;
      this.#tell('state');
      if (state === 'live') for (const entry of this.#unsent) this.publish(entry);
    });
    this.#loaded = this.#loadList().catch(this.report);
    this.#loaded.then(() => this.#catchUp()).catch(this.report);
    const { conversations } = client;
    const quietly = { disableSync: true }; // #catchUp asks for everything at once
    this.#listen(() => conversations.stream(quietly), (conversation) => this.add(conversation));
    this.#listen(() => conversations.streamChanges(), ({ id }) => this.refresh(id));
    this.#listen(() => conversations.streamAllMessages(quietly), (message) => this.#take(message));
    this.#listen(() => conversations.streamUpdatedMessages(), (message) => this.#take(message));
  }

  async #take(message) {
    await this.ready(message.conversationId);
    this.noteLast(message);
    this.#tell('message', message);
    if (message.contentType?.typeId === 'group_updated') await this.refresh(message.conversationId);
  }

  async #catchUp() {
    this.progress = { done: 0, total: 0 };
    try {
      await this.client.conversations.syncAll(undefined, {
        onProgress: (done, total) => {
          this.progress = { done, total };
          this.#tell('state');
        },
      });
    } finally {
      this.progress = null;
      this.#tell('state');
    }
    await this.#loadList();
  }

  async #loadList() {
    const conversations = await this.client.conversations.list();
    await Promise.all(conversations.map((conversation) => this.#learn(conversation)));
    this.#tell('list');
  }

  async #learn(conversation) {
    const [members, last] = await Promise.all([conversation.members(), conversation.lastMessage()]);
    for (const { inboxId, accountIdentifiers } of members) {
      if (accountIdentifiers.length > 0) this.addresses.set(inboxId, accountIdentifiers[0].identifier);
    }
    // Screens keep the entry they were given, so it is changed and not replaced.
    const { id } = conversation;
    this.entries.set(id, Object.assign(this.entries.get(id) ?? { id }, { conversation, members, last }));
  }

  async #listen(open, take) {
    try {
      for await (const item of await open()) await Promise.resolve(take(item)).catch(this.report);
    } catch (error) {
      this.report(error);
    }
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function options() {
  return { apiUrl: location.origin };
}

function activity({ last, conversation }) {
  return last?.sentAtNs ?? conversation.createdAtNs ?? 0n;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
