// Group and Dm: what an app does with one conversation. Properties show the state of the last
// call that touched the conversation; `sync()` brings it up to date.

import { ConsentEntityType, SortDirection } from "./enums.js";
import { UsageError } from "./errors.js";
import { DecodedMessage } from "./message.js";
import { call } from "./runtime.js";
import { Stream } from "./stream.js";

/** The attribute that each metadata field is kept in, by its number. */
const METADATA_FIELDS = [
  "app_data",
  "description",
  "group_name",
  "group_image_url_square",
  "message_disappear_from_ns",
  "message_disappear_in_ns",
];

/** What groups and DMs have in common. */
export class Conversation {
  #client;
  #view;

  constructor(client, view) {
    this.#client = client;
    this.#view = view;
  }

  get _client() {
    return this.#client;
  }

  get _view() {
    return this.#view;
  }

  async _update(work) {
    this.#view = (await call(work)) ?? this.#view;
  }

  get _engine() {
    return this.#client._engine;
  }

  get id() {
    return this.#view.id;
  }

  get createdAtNs() {
    return this.#view.createdAtNs;
  }

  get createdAt() {
    return new Date(Number(this.#view.createdAtNs / 1_000_000n));
  }

  get lastActivityNs() {
    return this.#view.lastActivityNs;
  }

  get addedByInboxId() {
    return this.#view.addedByInboxId;
  }

  async metadata() {
    return { creatorInboxId: this.#view.creatorInboxId, conversationType: this.#view.conversationType };
  }

  async isActive() {
    await this.refresh();
    return this.#view.isActive;
  }

  /** Reads what is stored now, without the network. */
  async refresh() {
    await this._update(() => this._engine.conversation(this.id));
    return this;
  }

  /** Fetches what is new, and sends what is queued. */
  async sync() {
    await this._update(() => this._engine.syncConversation(this.id));
    return this;
  }

  async members() {
    return call(() => this._engine.members(this.id));
  }

  /** Sends encoded content. */
  async send(encodedContent, options) {
    return this.#send("encoded", encodedContent, options);
  }

  #send(type, content, options) {
    return call(() => this._engine.send(this.id, { type, content }, options));
  }

  async sendText(text, options) {
    if (typeof text !== "string") throw new UsageError({ code: "ERR_INVALID_ARGUMENT", message: "a text is a string" });
    return this.#send("text", text, options);
  }

  async sendMarkdown(markdown, options) {
    return this.#send("markdown", markdown, options);
  }

  async sendReaction(reaction, options) {
    return this.#send("reaction", reaction, options);
  }

  async sendReadReceipt(options) {
    return this.#send("readReceipt", {}, options);
  }

  async sendReply(reply, options) {
    return this.#send("reply", reply, options);
  }

  async sendAttachment(attachment, options) {
    return this.#send("attachment", attachment, options);
  }

  async sendRemoteAttachment(remoteAttachment, options) {
    return this.#send("remoteAttachment", remoteAttachment, options);
  }

  async sendMultiRemoteAttachment(multiRemoteAttachment, options) {
    return this.#send("multiRemoteAttachment", multiRemoteAttachment, options);
  }

  async sendTransactionReference(transactionReference, options) {
    return this.#send("transactionReference", transactionReference, options);
  }

  async sendWalletSendCalls(walletSendCalls, options) {
    return this.#send("walletSendCalls", walletSendCalls, options);
  }

  async sendActions(actions, options) {
    return this.#send("actions", actions, options);
  }

  async sendIntent(intent, options) {
    return this.#send("intent", intent, options);
  }

  /** Asks all members to hide a message: one's own, or as a super admin anybody's. */
  async deleteMessage(messageId) {
    return this.#send("deleteMessage", { messageId }, { shouldPush: false });
  }

  /** Replaces the content of one's own text, markdown or reply. */
  async editMessage(messageId, editedContent) {
    return this.#send("editMessage", { messageId, editedContent }, { shouldPush: false });
  }

  /** Sends what was sent optimistically. */
  async publishMessages() {
    await call(() => this._engine.publishMessages(this.id));
  }

  /** Sends a failed message again. */
  async retryMessage(messageId) {
    await call(() => this._engine.retryMessage(messageId));
  }

  /** Drops a message that was not sent. */
  async dropMessage(messageId) {
    await call(() => this._engine.dropMessage(messageId));
  }

  async messages(options) {
    const views = await call(() => this._engine.messages(this.id, options));
    return views.map((view) => this._client._message(view));
  }

  async countMessages(options) {
    return call(() => this._engine.countMessages(this.id, options));
  }

  async lastMessage() {
    const [last] = await this.messages({ limit: 1, direction: SortDirection.Descending });
    return last;
  }

  /** The conversation's messages from now on. */
  async stream(options = {}) {
    if (!options.disableSync) await this.#quietSync();
    this._engine.goLive();
    const source = await call(() => this._engine.stream({ show: "messages", conversationId: this.id }));
    return new Stream(source, (view) => this._client._message(view), options);
  }

  async #quietSync() {
    try {
      await this.sync();
    } catch (error) {
      // The stream fetches it once the node can be reached.
      if (!error.retryable && error.code !== "ERR_NOT_A_MEMBER") throw error;
    }
  }

  async consentState() {
    return call(() => this._engine.consentState(ConsentEntityType.GroupId, this.id));
  }

  async updateConsentState(state) {
    await call(() => this._engine.setConsent([{ entityType: ConsentEntityType.GroupId, entity: this.id, state }]));
    await this.refresh();
  }

  async messageDisappearingSettings() {
    await this.refresh();
    return this.#view.disappearing;
  }

  async isMessageDisappearingEnabled() {
    return (await this.messageDisappearingSettings()) !== undefined;
  }

  async updateMessageDisappearingSettings(fromNs, inNs) {
    const set = { message_disappear_from_ns: String(fromNs), message_disappear_in_ns: String(inNs) };
    await this._update(() => this._engine.updateMetadata(this.id, set, undefined));
  }

  async removeMessageDisappearingSettings() {
    await this.updateMessageDisappearingSettings(0n, 0n);
  }

  async pausedForVersion() {
    await this.refresh();
    return this.#view.pausedForVersion;
  }

  async debugInfo() {
    await this.refresh();
    const { epoch, maybeForked, cursor, epochAuthenticator } = this.#view;
    return {
      epoch,
      maybeForked,
      forkDetails: "",
      isCommitLogForked: undefined,
      localCommitLog: "",
      remoteCommitLog: "",
      cursor: [{ originatorId: 0, sequenceId: cursor }],
      epochAuthenticator,
    };
  }

  /** Whether all is well with the conversation's state, and if not, why. */
  async health() {
    return call(() => this._engine.health(this.id));
  }

  /** Renews this installation's key here: a stolen copy of its state from before reads nothing more. */
  async updateKey() {
    await this._update(() => this._engine.updateKey(this.id));
  }

  /** Takes back a change that waits to be sent: `details.intentId` of the error that its call ended with. */
  async cancelIntent(intentId) {
    await this._update(() => this._engine.cancelIntent(this.id, Number(intentId)));
  }

  /** Goes on after a suspicious change that the app has looked at. */
  async acknowledge(code) {
    await this._update(() => this._engine.acknowledge(this.id, code));
  }
}

/** A group. */
export class Group extends Conversation {
  get name() {
    return this._view.name;
  }

  get description() {
    return this._view.description;
  }

  get imageUrl() {
    return this._view.imageUrl;
  }

  get appData() {
    return this._view.appData;
  }

  get admins() {
    return this._view.admins;
  }

  get superAdmins() {
    return this._view.superAdmins;
  }

  #set(field, value, options = {}) {
    if (typeof value !== "string") {
      return Promise.reject(new UsageError({ code: "ERR_INVALID_ARGUMENT", message: `${field} is a string` }));
    }
    const expected = options.expected === undefined ? undefined : { [field]: options.expected };
    return this._update(() => this._engine.updateMetadata(this.id, { [field]: value }, expected));
  }

  async updateName(name, options) {
    await this.#set("group_name", name, options);
  }

  async updateDescription(description, options) {
    await this.#set("description", description, options);
  }

  async updateImageUrl(imageUrl, options) {
    await this.#set("group_image_url_square", imageUrl, options);
  }

  async updateAppData(appData, options) {
    await this.#set("app_data", appData, options);
  }

  async addMembers(inboxIds) {
    await this._update(() => this._engine.addMembers(this.id, inboxIds));
  }

  async addMembersByIdentifiers(identifiers) {
    await this.addMembers(await this._client._inboxesOf(identifiers));
  }

  async removeMembers(inboxIds) {
    await this._update(() => this._engine.removeMembers(this.id, inboxIds));
  }

  async removeMembersByIdentifiers(identifiers) {
    await this.removeMembers(await this._client._inboxesOf(identifiers));
  }

  async #role(inboxId, superAdmin, remove) {
    await this._update(() => this._engine.updateRole(this.id, inboxId, superAdmin, remove));
  }

  async addAdmin(inboxId) {
    await this.#role(inboxId, false, false);
  }

  async removeAdmin(inboxId) {
    await this.#role(inboxId, false, true);
  }

  async addSuperAdmin(inboxId) {
    await this.#role(inboxId, true, false);
  }

  async removeSuperAdmin(inboxId) {
    await this.#role(inboxId, true, true);
  }

  /** Removes a super admin: demotes it, and removes it when that stands. An error's `details.step` says how far it got. */
  async demoteAndRemove(inboxId) {
    await this._update(() => this._engine.demoteAndRemove(this.id, inboxId));
  }

  /**
   * Deletes messages of whomever for everybody, ordered with the changes of who may. Only super admins may. From the
   * first call on, also one without messages, others' messages are deleted here in no other way.
   */
  async moderate(messageIds) {
    await this._update(() => this._engine.moderate(this.id, messageIds));
  }

  /** A new group without `excluding`, with the members as they were before those took it over. */
  async refound(excluding) {
    return new Group(this._client, await call(() => this._engine.refound(this.id, excluding)));
  }

  async listAdmins() {
    await this.refresh();
    return this._view.admins;
  }

  async listSuperAdmins() {
    await this.refresh();
    return this._view.superAdmins;
  }

  async isAdmin(inboxId) {
    return (await this.listAdmins()).includes(inboxId);
  }

  async isSuperAdmin(inboxId) {
    return (await this.listSuperAdmins()).includes(inboxId);
  }

  async permissions() {
    await this.refresh();
    return this._view.permissions;
  }

  async updatePermission(permissionType, policy, metadataField) {
    const fields = metadataField === undefined ? [] : [METADATA_FIELDS[metadataField] ?? ""];
    await this._update(() => this._engine.updatePermission(this.id, permissionType, policy, fields));
  }

  /** Asks to be removed; a super admin's client does it. */
  async requestRemoval() {
    await this._update(() => this._engine.requestRemoval(this.id));
  }

  get isPendingRemoval() {
    return this._view.isPendingRemoval;
  }
}

/** A conversation of two. */
export class Dm extends Conversation {
  async peerInboxId() {
    return this._view.dmMembers.find((inboxId) => inboxId !== this._client.inboxId);
  }

  async duplicateDms() {
    const views = await call(() => this._engine.list({ includeDuplicateDms: true, conversationType: 0, consentStates: [0, 1, 2] }));
    return views.filter((view) => view.dmId === this._view.dmId && view.id !== this.id).map((view) => new Dm(this._client, view));
  }
}
