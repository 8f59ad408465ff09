// All conversations: create, list, find, sync, stream.

import { ConversationType } from "./enums.js";
import { Dm, Group } from "./conversation.js";
import { call } from "./runtime.js";
import { Stream } from "./stream.js";

/** The conversations of a client. */
export class Conversations {
  #client;

  constructor(client) {
    this.#client = client;
  }

  get #engine() {
    return this.#client._engine;
  }

  #wrap(view) {
    if (view === undefined) return undefined;
    return view.conversationType === ConversationType.Dm ? new Dm(this.#client, view) : new Group(this.#client, view);
  }

  async createGroup(inboxIds, options) {
    return this.#wrap(await call(() => this.#engine.createGroup(inboxIds, options)));
  }

  async createGroupWithIdentifiers(identifiers, options) {
    return this.createGroup(await this.#client._inboxesOf(identifiers), options);
  }

  async createDm(inboxId, options) {
    return this.#wrap(await call(() => this.#engine.createDm(inboxId, options)));
  }

  async createDmWithIdentifier(identifier, options) {
    const [inboxId] = await this.#client._inboxesOf([identifier]);
    return this.createDm(inboxId, options);
  }

  async list(options) {
    return (await call(() => this.#engine.list(options))).map((view) => this.#wrap(view));
  }

  async listGroups(options) {
    return this.list({ ...options, conversationType: ConversationType.Group });
  }

  async listDms(options) {
    return this.list({ ...options, conversationType: ConversationType.Dm });
  }

  async getConversationById(id) {
    return this.#wrap(await call(() => this.#engine.conversation(id)));
  }

  async getDmByInboxId(inboxId) {
    return this.#wrap(await call(() => this.#engine.dmWith(inboxId)));
  }

  async fetchDmByIdentifier(identifier) {
    const inboxId = await this.#client.fetchInboxIdByIdentifier(identifier);
    return inboxId === undefined ? undefined : this.getDmByInboxId(inboxId);
  }

  async getMessageById(id) {
    const view = await call(() => this.#engine.messageById(id));
    return view === undefined ? undefined : this.#client._message(view);
  }

  /** Fetches new conversations. */
  async sync() {
    await call(() => this.#engine.sync());
  }

  /**
   * Fetches new conversations and everything new in them.
   * @param {number[]} [consentStates] by default all but denied
   * @param {{ onProgress?: (done: number, of: number) => void }} [options]
   */
  async syncAll(consentStates, options = {}) {
    return call(() => this.#engine.syncAll(consentStates, options.onProgress));
  }

  async #start(filter, convert, options = {}) {
    if (!options.disableSync) {
      try {
        await this.sync();
      } catch (error) {
        // The stream fetches it once the node can be reached.
        if (!error.retryable) throw error;
      }
    }
    this.#engine.goLive();
    const source = await call(() => this.#engine.stream(filter));
    return new Stream(source, convert, options);
  }

  /** New conversations. */
  async stream(options = {}) {
    const filter = { show: "conversations", conversationType: options.conversationType };
    return this.#start(filter, (view) => this.#wrap(view), options);
  }

  async streamGroups(options) {
    return this.stream({ ...options, conversationType: ConversationType.Group });
  }

  async streamDms(options) {
    return this.stream({ ...options, conversationType: ConversationType.Dm });
  }

  /** New messages of all conversations. */
  async streamAllMessages(options = {}) {
    const { conversationType, consentStates } = options;
    const filter = { show: "messages", conversationType, consentStates };
    return this.#start(filter, (view) => this.#client._message(view), options);
  }

  async streamAllGroupMessages(options) {
    return this.streamAllMessages({ ...options, conversationType: ConversationType.Group });
  }

  async streamAllDmMessages(options) {
    return this.streamAllMessages({ ...options, conversationType: ConversationType.Dm });
  }

  /** Messages that were deleted, expired, or withdrawn. */
  async streamDeletedMessages(options = {}) {
    const convert = (view) => (typeof view === "string" ? undefined : this.#client._message(view));
    return this.#start({ show: "deleted" }, convert, { ...options, disableSync: true });
  }

  /** Messages whose delivery status or content has changed. */
  async streamUpdatedMessages(options = {}) {
    return this.#start({ show: "updated" }, (view) => this.#client._message(view), { ...options, disableSync: true });
  }

  /** What an app may want to show or look into: removals, refused and suspicious changes. */
  async streamNotices(options = {}) {
    const convert = ([conversationId, text]) => {
      const [kind, about] = text.split(":");
      return { conversationId, kind, about };
    };
    return this.#start({ show: "notices" }, convert, { ...options, disableSync: true });
  }

  /** Conversations whose members, roles, metadata or health have changed. */
  async streamChanges(options = {}) {
    return this.#start({ show: "events" }, (view) => this.#wrap(view), { ...options, disableSync: true });
  }
}
