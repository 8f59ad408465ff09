// A stand-in for the package, for looking at the demo's screens in states that are hard to bring about with a
// real node: long first syncs, failures, a person removed. It has the public API's shape and no cryptography.
// `window.mock` steers it.

export const IdentifierKind = { Ethereum: 0, Passkey: 1 };
export const DeliveryStatus = { Unpublished: 0, Published: 1, Failed: 2 };
export const SortDirection = { Ascending: 0, Descending: 1 };

const minuteNs = 60_000_000_000n;
const me = { inboxId: 'a1'.repeat(32), address: '0x7b21d04f5c9a3e6688f1b0a2d9c4e55310fa93c2' };
const people = {
  mira: { inboxId: '3c7f92'.padEnd(64, 'd1e4'), address: '0x19ac2e7764f0bb3d5581c9a0ef43127d6e80b5f4' },
  jonas: { inboxId: '9e0b41'.padEnd(64, '52c8'), address: '0xd0435fe1a86b29c77e14f3920b5ad8c61e97f0a8' },
  lena: { inboxId: '5a64d8'.padEnd(64, '09b7'), address: '0x8f52b71e30cd946a5be803f17ac249d6e150bb37' },
};

export class Dm {}

export class LocalWallet {
  constructor(privateKey) {
    this.privateKey = privateKey;
    this.address = me.address;
  }
  static async generate() {
    return new LocalWallet(`0x${'4e'.repeat(32)}`);
  }
  static async fromPrivateKey(key) {
    if (!/^0x[0-9a-f]{64}$/i.test(key)) throw failure('ERR_INVALID_ARGUMENT', 'this is not a private key of 32 bytes in hex');
    return new LocalWallet(key);
  }
  signer() {
    return { type: 'EOA', getIdentifier: () => identifier(me), signMessage: async () => new Uint8Array(65) };
  }
}

export class Client {
  inboxId = me.inboxId;
  installationId = '0f3d'.repeat(16);
  isReady = true;
  state = 'live';
  #watchers = [];
  conversations = new Conversations();
  preferences = {
    fetchInboxState: async () => ({
      inboxId: me.inboxId,
      accountIdentifiers: [identifier(me)],
      installations: [
        { id: 'c4b2'.repeat(16), clientTimestampNs: 1_760_000_000_000_000_000n },
        { id: this.installationId, clientTimestampNs: 1_763_000_000_000_000_000n },
      ],
    }),
  };

  static async forgetStore() {}
  static async create() {
    await steps.register;
    if (steps.registerError) throw steps.registerError;
    return open();
  }
  static async build() {
    if (steps.buildError) throw steps.buildError;
    return open();
  }
  onState(callback) {
    this.#watchers.push(callback);
  }
  setState(state) {
    this.state = state;
    this.#watchers.forEach((watch) => watch(state));
  }
  async canMessage(identifiers) {
    return new Map(identifiers.map(({ identifier: address }) => [address, Object.values(people).some((one) => one.address === address)]));
  }
  close() {}
}

class Conversations {
  #all = new Map();
  #messages = new Feed();
  #new = new Feed();
  async list() {
    return [...this.#all.values()];
  }
  async syncAll(_consent, { onProgress } = {}) {
    for (const progress of steps.sync) {
      onProgress?.(progress.done, progress.total);
      await progress.until;
    }
  }
  async stream() {
    return this.#new;
  }
  async streamAllMessages() {
    return this.#messages;
  }
  async streamUpdatedMessages() {
    return new Feed();
  }
  async streamChanges() {
    return new Feed();
  }
  async getConversationById(id) {
    return this.#all.get(id);
  }
  async createGroupWithIdentifiers(identifiers, { groupName } = {}) {
    const members = Object.values(people).filter(({ address }) => identifiers.some((one) => one.identifier === address));
    return this.seed(groupName, [me, ...members], []);
  }
  seed(name, members, lines) {
    const group = new Group(String(this.#all.size + 1).padStart(2, '0') + '7e21c5d09b3f'.repeat(3), name, members, (message) => this.#messages.push(message));
    group.say(lines);
    this.#all.set(group.id, group);
    return group;
  }
}

class Group {
  #people;
  #log = [];
  #emit;
  constructor(id, name, members, emit) {
    Object.assign(this, { id, name, createdAtNs: now() });
    this.#people = members;
    this.#emit = emit;
  }
  async members() {
    return this.#people.map((one, i) => ({
      inboxId: one.inboxId,
      accountIdentifiers: [identifier(one)],
      installationIds: [],
      permissionLevel: i === 0 ? 2 : 0,
      consentState: 1,
    }));
  }
  async isActive() {
    return this.#people.includes(me);
  }
  async lastMessage() {
    return this.#log[this.#log.length - 1];
  }
  async messages({ limit = 1000n, direction = 0, sentBeforeNs } = {}) {
    const found = this.#log.filter(({ sentAtNs }) => sentBeforeNs === undefined || sentAtNs < sentBeforeNs);
    const newest = found.slice(-Number(limit));
    return direction === 1 ? newest.reverse() : newest;
  }
  async refresh() {
    return this;
  }
  async sendText(text) {
    const message = this.#add(me, now(), { content: text, contentType: { typeId: 'text' }, deliveryStatus: 0 });
    return message.id;
  }
  async publishMessages() {
    await steps.send;
    for (const message of this.#log.filter(({ deliveryStatus }) => deliveryStatus === 0)) {
      if (steps.sendError?.retryable) throw steps.sendError;
      message.deliveryStatus = steps.sendError ? 2 : 1;
      this.#emit({ ...message });
    }
    if (steps.sendError) throw steps.sendError;
  }
  async retryMessage(id) {
    this.#log.find((message) => message.id === id).deliveryStatus = 0;
    return this.publishMessages();
  }
  async dropMessage(id) {
    this.#log = this.#log.filter((message) => message.id !== id);
  }
  async updateName(name) {
    this.name = name;
    this.note(me, { metadataFieldChanges: [{ fieldName: 'group_name', newValue: name }] });
  }
  async addMembersByIdentifiers(identifiers) {
    const added = Object.values(people).filter(({ address }) => identifiers.some((one) => one.identifier === address));
    this.#people.push(...added);
    this.note(me, { addedInboxes: added });
  }
  async removeMembers(inboxIds) {
    const removed = this.#people.filter(({ inboxId }) => inboxIds.includes(inboxId));
    this.#people = this.#people.filter((one) => !removed.includes(one));
    this.note(me, { removedInboxes: removed });
  }
  removeMe() {
    this.#people = this.#people.filter((one) => one !== me);
    this.note(people.mira, { removedInboxes: [me] });
  }
  receive(from, text) {
    const message = this.#add(from, now(), { content: text, contentType: { typeId: 'text' } });
    this.#emit(message);
    return message;
  }
  note(from, content) {
    const message = this.#add(from, now(), { content: { initiatedByInboxId: from.inboxId, ...content }, contentType: { typeId: 'group_updated' } });
    this.#emit(message);
  }
  say(lines) {
    for (const [from, minutesAgo, content] of lines) {
      const isText = typeof content === 'string';
      this.#add(from, now() - BigInt(minutesAgo) * minuteNs, {
        content: isText ? content : { initiatedByInboxId: from.inboxId, ...content },
        contentType: { typeId: isText ? 'text' : 'group_updated' },
      });
    }
  }
  #add(from, sentAtNs, rest) {
    const message = {
      id: `${this.id}-${this.#log.length}`,
      conversationId: this.id,
      senderInboxId: from.inboxId,
      sentAtNs,
      sentAt: new Date(Number(sentAtNs / 1_000_000n)),
      deliveryStatus: 1,
      ...rest,
    };
    this.#log.push(message);
    return message;
  }
}

class Feed {
  #items = [];
  #wake = () => {};
  push(item) {
    this.#items.push(item);
    this.#wake();
  }
  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift();
      await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    }
  }
}

const steps = { register: null, registerError: null, buildError: null, sync: [], send: null, sendError: null };

function open() {
  const client = new Client();
  const { conversations } = client;
  const { mira, jonas, lena } = people;
  if (!steps.empty) {
    conversations.seed('Sunday hike', [mira, me, jonas, lena], [
      [mira, 60 * 26, { addedInboxes: [me, jonas, lena] }],
      [mira, 60 * 26 - 1, 'Nine o’clock at the bridge? The path up the north side is open again, they took the fence down on Thursday.'],
      [mira, 60 * 26 - 2, 'Bring something warm, the hut is not heated.'],
      [jonas, 60 * 25, 'I can be there at half past nine, the early train does not run on Sundays.'],
      [me, 60 * 25 - 1, 'Then half past nine. I’ll bring the big thermos.'],
      [lena, 42, 'Is this the one? https://example.org/maps/north-ridge'],
      [lena, 42, 'Eleven kilometres, it says, and six hundred metres up.'],
      [me, 38, 'That’s it.'],
      [me, 37, 'We turn off before the summit, so a little less than that.'],
      [jonas, 3, 'Good. And who has the key to the hut?'],
    ]);
    conversations.seed(undefined, [me, mira], [
      [mira, 60 * 30, 'The draft is much better now. Two small things on page four.'],
      [me, 60 * 29, 'Thank you! I’ll look tonight.'],
    ]);
    conversations.seed('Allotment 14', [lena, me, jonas], [
      [lena, 60 * 24 * 4, { metadataFieldChanges: [{ fieldName: 'group_name', newValue: 'Allotment 14' }] }],
    ]);
  }
  globalThis.mock = Object.assign(globalThis.mock, { client, conversations, people });
  return client;
}

globalThis.mock = { steps, failure, ...globalThis.mock };
globalThis.mockSetup?.(steps, failure);

function identifier({ address }) {
  return { identifier: address, identifierKind: IdentifierKind.Ethereum };
}

function failure(code, message, retryable = false) {
  return Object.assign(new Error(message), { code, retryable });
}

function now() {
  return BigInt(Date.now()) * 1_000_000n;
}
