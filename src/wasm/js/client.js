// Client: one installation of one user.

import { Conversations } from "./conversations.js";
import { IdentifierKind } from "./enums.js";
import { StorageError, UsageError } from "./errors.js";
import { DecodedMessage, codecKey } from "./message.js";
import { Preferences } from "./preferences.js";
import { call, callNow, defaults, glue, init } from "./runtime.js";

/** Where nodes of each environment are. */
export const ApiUrls = Object.freeze({
  local: "http://localhost:5556",
  dev: "https://api.dev.xmtp.network:5558",
  production: "https://api.production.xmtp.network:5558",
});

/** How long a wallet may take to sign, in milliseconds, before the call is given up. */
const SIGNING_DEADLINE_MS = 10 * 60 * 1000;

function nodeUrls(options = {}) {
  const urls = options.apiUrls ?? (options.apiUrl ? [options.apiUrl] : [ApiUrls[options.env ?? "dev"]]);
  for (const url of urls) {
    if (typeof url !== "string" || !/^https?:\/\//.test(url)) {
      throw new UsageError({ code: "ERR_INVALID_ARGUMENT", message: "a node's URL begins with http:// or https://" });
    }
  }
  return urls.map((url) => url.replace(/\/+$/, ""));
}

function identifierOf(identifier) {
  if (typeof identifier?.identifier !== "string") {
    throw new UsageError({ code: "ERR_INVALID_IDENTIFIER", message: "an identifier is { identifier, identifierKind }" });
  }
  const kind = identifier.identifierKind ?? IdentifierKind.Ethereum;
  return { identifier: identifier.identifier, identifierKind: typeof kind === "string" ? IdentifierKind[kind] : kind };
}

function engineOptions(identifier, options = {}) {
  const urls = nodeUrls(options);
  const memory = (options.storage ?? (options.dbPath ? undefined : defaults.storage)) === "memory" || options.dbPath === null;
  if (!memory && typeof indexedDB === "undefined") {
    throw new StorageError({
      code: "ERR_NO_STORAGE",
      message: 'there is no IndexedDB here; pass { storage: "memory" } if nothing needs to last',
    });
  }
  const name = options.dbPath ?? `sotto-${options.env ?? new URL(urls[0]).host}-${identifier.identifier.toLowerCase()}`;
  return {
    apiUrls: urls,
    appVersion: options.appVersion ?? `sotto/${glue.packageVersion()}`,
    dbName: name,
    dbEncryptionKey: options.dbEncryptionKey,
    memory,
    strictDurability: options.durability === "strict",
    disableDeviceSync: options.disableDeviceSync ?? false,
    maxGroupSize: options.maxGroupSize,
    nonce: options.nonce,
  };
}

/** Has the wallet sign; whatever it does wrong becomes an error of ours. */
async function sign(signer, text) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the wallet did not answer")), SIGNING_DEADLINE_MS);
  });
  try {
    const signature = await Promise.race([Promise.resolve().then(() => signer.signMessage(text)), deadline]);
    if (!(signature instanceof Uint8Array)) throw new TypeError("signMessage gives a Uint8Array");
    return {
      type: signer.type ?? "EOA",
      signature,
      chainId: signer.getChainId?.(),
      blockNumber: signer.getBlockNumber?.(),
    };
  } catch (error) {
    throw new UsageError({
      code: "ERR_SIGNER_REJECTED",
      message: `the wallet did not sign: ${error?.message ?? error}`,
      retryable: true,
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** One installation of one user. Make one with `Client.create` or `Client.build`. */
export class Client {
  #engine;
  #options;
  #signer;
  #identifier;
  #codecs = new Map();
  #requests = new Map();
  #listeners = new Set();
  #watching = false;
  #state = "idle";

  constructor(engine, identifier, options, signer) {
    this.#engine = engine;
    this.#identifier = identifier;
    this.#options = options;
    this.#signer = signer;
    for (const codec of options?.codecs ?? []) this.#codecs.set(codecKey(codec.contentType), codec);
    this.conversations = new Conversations(this);
    this.preferences = new Preferences(this);
  }

  /**
   * Opens the store of the signer's identifier, and registers an installation if there is none.
   * Opening one that is registered asks for no signature.
   */
  static async create(signer, options = {}) {
    await init();
    const identifier = identifierOf(await signer.getIdentifier());
    const client = await Client.#open(identifier, options, signer);
    if (!client.#engine.isRegistered && !options.disableAutoRegister) await client.register();
    return client;
  }

  /** Opens the store of an identifier without a signer. Nothing is registered. */
  static async build(identifier, options = {}) {
    await init();
    return Client.#open(identifierOf(identifier), options, undefined);
  }

  static async #open(identifier, options, signer) {
    const settings = callNow(() => engineOptions(identifier, options));
    const engine = await call(() => glue.Engine.open(identifier, settings));
    const client = new Client(engine, identifier, options, signer);
    if (engine.isRegistered) client.#settle();
    return client;
  }

  /** Half-sent work of an earlier life is settled in the background; a sync does it too. */
  #settle() {
    call(() => this.#engine.settle()).catch(() => {});
  }

  get _engine() {
    return this.#engine;
  }

  _message(view) {
    return new DecodedMessage(this.#codecs, view);
  }

  /** The inboxes of identifiers; an identifier without one is an error. */
  async _inboxesOf(identifiers) {
    const wanted = identifiers.map(identifierOf);
    const inboxes = await call(() => this.#engine.inboxIds(wanted));
    inboxes.forEach((inbox, index) => {
      if (inbox === undefined || inbox === null) {
        throw new UsageError({
          code: "ERR_NOT_FOUND",
          message: `${wanted[index].identifier} has no inbox on this network`,
          details: { identifier: wanted[index].identifier },
        });
      }
    });
    return inboxes;
  }

  #info() {
    return this.#engine.isRegistered ? callNow(() => this.#engine.info()) : undefined;
  }

  get isReady() {
    return this.#engine.isRegistered;
  }

  async isRegistered() {
    return this.#engine.isRegistered;
  }

  get inboxId() {
    return this.#info()?.inboxId;
  }

  get installationId() {
    return this.#info()?.installationId;
  }

  get installationIdBytes() {
    return this.#info()?.installationIdBytes;
  }

  get accountIdentifier() {
    return this.#identifier;
  }

  get options() {
    return this.#options;
  }

  get signer() {
    return this.#signer;
  }

  get env() {
    return this.#options?.env;
  }

  get appVersion() {
    return this.#options?.appVersion;
  }

  get libxmtpVersion() {
    return "1.11.0";
  }

  #needSigner() {
    if (!this.#signer) throw new UsageError({ code: "ERR_SIGNER_REJECTED", message: "this client has no signer" });
    return this.#signer;
  }

  /** Registers this installation. Of several contexts at once one asks the wallet; the others get its result. */
  async register() {
    const signer = this.#needSigner();
    const text = await call(() => this.#engine.beginRegistration());
    if (text === undefined) return;
    let signature;
    try {
      signature = await sign(signer, text);
    } catch (error) {
      callNow(() => this.#engine.cancelRegistration());
      throw error;
    }
    await call(() => this.#engine.finishRegistration(signature));
  }

  /** What the subscription is doing: "idle", "connecting", "catching-up", "live" or "offline". */
  get state() {
    return callNow(() => this.#engine.linkState);
  }

  /**
   * Calls back at each change of `state`, with the reason where it is offline.
   * @returns {() => void} stops it
   */
  onState(callback) {
    this.#listeners.add(callback);
    if (!this.#watching) {
      this.#watching = true;
      this.#watch();
    }
    return () => this.#listeners.delete(callback);
  }

  async #watch() {
    let seen = 0n;
    try {
      for (;;) {
        const change = await call(() => this.#engine.nextState(seen));
        if (change === undefined) return;
        seen = change.version;
        if (change.state === this.#state) continue;
        this.#state = change.state;
        for (const callback of [...this.#listeners]) {
          try {
            callback(change.state, change.reason);
          } catch {
            // A listener's exception is its own.
          }
        }
      }
    } catch {
      // Closed, or crashed: the calls that matter say so.
    }
  }

  /** Requests sent so far by RPC, and bytes written to storage. */
  stats() {
    return callNow(() => this.#engine.stats());
  }

  /** Ends everything. Pending calls finish or reject with ERR_CLOSED; streams end. Again is fine. */
  async close() {
    await call(() => this.#engine.close());
  }

  // --- who is who

  async canMessage(identifiers) {
    const wanted = identifiers.map(identifierOf);
    const inboxes = await call(() => this.#engine.inboxIds(wanted));
    return reachable(wanted, inboxes);
  }

  static async canMessage(identifiers, options) {
    const node = await nodeHandle(options);
    const wanted = identifiers.map(identifierOf);
    return reachable(wanted, await call(() => node.inboxIds(wanted)));
  }

  async fetchInboxIdByIdentifier(identifier) {
    const [inbox] = await call(() => this.#engine.inboxIds([identifierOf(identifier)]));
    return inbox ?? undefined;
  }

  static async fetchInboxStates(inboxIds, options) {
    const node = await nodeHandle(options);
    return call(() => node.inboxStates(inboxIds));
  }

  static async fetchLatestInboxUpdatesCount(inboxIds, options) {
    const node = await nodeHandle(options);
    const counts = await call(() => node.updateCounts(inboxIds));
    return new Map(inboxIds.map((inboxId, index) => [inboxId, counts[index]]));
  }

  async fetchLatestInboxUpdatesCount(inboxIds) {
    return Client.fetchLatestInboxUpdatesCount(inboxIds, this.#options);
  }

  async fetchOwnInboxUpdatesCount() {
    return (await this.fetchLatestInboxUpdatesCount([this.inboxId])).get(this.inboxId);
  }

  // --- changing one's own inbox

  async #request(kind, argument, reassign = false) {
    return call(() => this.#engine.signatureRequest(kind, argument, reassign));
  }

  async #signAndApply(request, signer) {
    const signature = await sign(signer, callNow(() => glue.signatureText(request)));
    const identifier = identifierOf(await signer.getIdentifier());
    await call(() => this.#engine.applySignature(request, identifier, signature));
  }

  /** Links another wallet; it has to sign. */
  async unsafe_addAccount(newAccountSigner, allowInboxReassign = false) {
    if (!allowInboxReassign) {
      throw new UsageError({
        code: "ERR_IDENTIFIER_TAKEN",
        message: "linking an account may take it from another inbox; pass true to allow that",
      });
    }
    return this.addAccount(newAccountSigner, { reassign: true });
  }

  /** Links another wallet; it has to sign. One that has an inbox is taken only with `reassign`. */
  async addAccount(newAccountSigner, { reassign = false } = {}) {
    const identifier = identifierOf(await newAccountSigner.getIdentifier());
    const request = await this.#request("addAccount", identifier, reassign);
    // Undefined: it is linked already.
    if (request !== undefined) await this.#signAndApply(request, newAccountSigner);
  }

  async removeAccount(identifier) {
    const request = await this.#request("removeAccount", identifierOf(identifier));
    await this.#signAndApply(request, this.#needSigner());
  }

  async revokeInstallations(installationIds) {
    const request = await this.#request("revokeInstallations", installationIds);
    await this.#signAndApply(request, this.#needSigner());
  }

  async revokeAllOtherInstallations() {
    const request = await this.#request("revokeOthers", undefined);
    if (request !== undefined) await this.#signAndApply(request, this.#needSigner());
  }

  async changeRecoveryIdentifier(identifier) {
    const request = await this.#request("changeRecovery", identifierOf(identifier));
    await this.#signAndApply(request, this.#needSigner());
  }

  /** Revokes installations with nothing but a signer: for who has lost all of them. */
  static async revokeInstallations(signer, inboxId, installationIds, options) {
    const node = await nodeHandle(options);
    const identifier = identifierOf(await signer.getIdentifier());
    const request = callNow(() => node.revocation(inboxId, identifier, installationIds));
    const signature = await sign(signer, callNow(() => glue.signatureText(request)));
    await call(() => node.publishSigned(request, identifier, signature));
  }

  #remember(request) {
    const signatureRequestId = crypto.randomUUID();
    this.#requests.set(signatureRequestId, request);
    return { signatureText: callNow(() => glue.signatureText(request)), signatureRequestId };
  }

  /** For signing elsewhere: the text, and the id to hand the signature in with. */
  async unsafe_createInboxSignatureText() {
    const text = await call(() => this.#engine.beginRegistration());
    if (text === undefined) return { signatureText: undefined, signatureRequestId: undefined };
    return { signatureText: text, signatureRequestId: "registration" };
  }

  async unsafe_addAccountSignatureText(newIdentifier, allowInboxReassign = false) {
    const request = await this.#request("addAccount", identifierOf(newIdentifier), allowInboxReassign);
    if (request === undefined) {
      throw new UsageError({ code: "ERR_IDENTIFIER_TAKEN", message: "the account is linked to this inbox already" });
    }
    return this.#remember(request);
  }

  async unsafe_removeAccountSignatureText(identifier) {
    return this.#remember(await this.#request("removeAccount", identifierOf(identifier)));
  }

  async unsafe_revokeInstallationsSignatureText(installationIds) {
    return this.#remember(await this.#request("revokeInstallations", installationIds));
  }

  async unsafe_revokeAllOtherInstallationsSignatureText() {
    const request = await this.#request("revokeOthers", undefined);
    return request === undefined ? { signatureText: undefined, signatureRequestId: "" } : this.#remember(request);
  }

  async unsafe_changeRecoveryIdentifierSignatureText(identifier) {
    return this.#remember(await this.#request("changeRecovery", identifierOf(identifier)));
  }

  /** A signature request as bytes that survive a reload. */
  unsafe_exportSignatureRequest(signatureRequestId) {
    return this.#requests.get(signatureRequestId);
  }

  /** Takes such bytes back. */
  unsafe_importSignatureRequest(bytes) {
    return this.#remember(bytes);
  }

  /** Hands in a signature made elsewhere. */
  async unsafe_applySignatureRequest(signer, signatureRequestId) {
    const signature = { type: signer.type, signature: signer.signature, chainId: signer.chainId, blockNumber: signer.blockNumber };
    if (signatureRequestId === "registration") {
      await call(() => this.#engine.finishRegistration(signature));
      return;
    }
    const request = this.#requests.get(signatureRequestId);
    if (request === undefined) throw new UsageError({ code: "ERR_NOT_FOUND", message: "no such signature request" });
    const after = await call(() => this.#engine.applySignature(request, identifierOf(signer.identifier), signature));
    this.#requests.set(signatureRequestId, after);
  }

  // --- the installation's key

  async signWithInstallationKey(signatureText) {
    return callNow(() => this.#engine.signWithInstallationKey(signatureText));
  }

  async verifySignedWithInstallationKey(signatureText, signatureBytes) {
    return this.verifySignedWithPublicKey(signatureText, signatureBytes, this.installationIdBytes);
  }

  async verifySignedWithPublicKey(signatureText, signatureBytes, publicKey) {
    return callNow(() => glue.verifySignedWithPublicKey(signatureText, signatureBytes, publicKey));
  }

  async fetchKeyPackageStatuses(installationIds) {
    const statuses = await call(() => this.#engine.keyPackageStatuses(installationIds));
    return new Map(statuses.map(({ id, lifetime, validationError }) => [id, { lifetime, validationError }]));
  }

  // --- the store

  /** Asks the browser not to evict the store. Answers "persistent", "best-effort" or "unknown". */
  static async persist() {
    await init();
    return call(() => glue.Engine.persist());
  }

  /** Deletes the store of an identifier for good. Close its clients first. */
  static async deleteStore(identifier, options = {}) {
    await init();
    const { dbName } = callNow(() => engineOptions(identifierOf(identifier), options));
    await call(() => glue.Engine.deleteStore(dbName));
  }

  /** After ERR_STORAGE_MISSING: lets the next `create` make a new installation. */
  static async forgetStore(identifier, options = {}) {
    await init();
    const { dbName } = callNow(() => engineOptions(identifierOf(identifier), options));
    await call(() => glue.Engine.forgetStore(dbName));
  }
}

if (Symbol.asyncDispose) {
  Client.prototype[Symbol.asyncDispose] = function dispose() {
    return this.close();
  };
}

function reachable(wanted, inboxes) {
  return new Map(wanted.map(({ identifier }, index) => [identifier.toLowerCase(), inboxes[index] != null]));
}

async function nodeHandle(options) {
  await init();
  const settings = typeof options === "string" ? { env: options } : (options ?? {});
  return callNow(() => new glue.NodeHandle({ apiUrls: nodeUrls(settings), appVersion: settings.appVersion ?? `sotto/${glue.packageVersion()}` }));
}

