// The user's inbox and decisions about others.

import { call } from "./runtime.js";
import { Stream } from "./stream.js";

/** Inbox state and consent. */
export class Preferences {
  #client;

  constructor(client) {
    this.#client = client;
  }

  get #engine() {
    return this.#client._engine;
  }

  async inboxState() {
    return call(() => this.#engine.inboxState(false));
  }

  async fetchInboxState() {
    return call(() => this.#engine.inboxState(true));
  }

  async getInboxStates(inboxIds) {
    return call(() => this.#engine.inboxStates(inboxIds, false));
  }

  async fetchInboxStates(inboxIds) {
    return call(() => this.#engine.inboxStates(inboxIds, true));
  }

  async setConsentStates(records) {
    await call(() => this.#engine.setConsent(records));
  }

  async getConsentState(entityType, entity) {
    return call(() => this.#engine.consentState(entityType, entity));
  }

  async streamConsent(options = {}) {
    this.#engine.goLive();
    const source = await call(() => this.#engine.stream({ show: "consent" }));
    return new Stream(source, (consent) => [consent], options);
  }
}
