// A message as apps get it: plain data with a few conveniences.

import { DeletedBy } from "./enums.js";

/** A decoded message. `content` is undefined where it cannot be read; `fallback` may help then. */
export class DecodedMessage {
  /**
   * @param {Map<string, object>} codecs by "authority/type:major"
   * @param {any} view what the engine gives
   */
  constructor(codecs, view) {
    this.id = view.id;
    this.conversationId = view.conversationId;
    this.senderInboxId = view.senderInboxId;
    this.senderInstallationId = view.senderInstallationId;
    this.sentAtNs = view.sentAtNs;
    this.sentAt = toDate(view.sentAtNs);
    this.insertedAtNs = view.insertedAtNs;
    this.kind = view.kind;
    this.deliveryStatus = view.deliveryStatus;
    this.contentType = view.contentType;
    this.fallback = view.fallback;
    this.expiresAtNs = view.expiresAtNs;
    this.expiresAt = view.expiresAtNs === undefined ? undefined : toDate(view.expiresAtNs);
    this.isEdited = view.isEdited;
    this.failure = view.failure;
    this.encodedContent = view.encoded;
    this.contentError = view.contentError;
    this.numReplies = view.numReplies;
    this.reactions = view.reactions.map((reaction) => new DecodedMessage(codecs, reaction));
    this.content = this.#read(codecs, view);
  }

  #read(codecs, view) {
    if (view.deletedBy !== undefined) {
      this.contentType = { authorityId: "xmtp.org", typeId: "deletedMessage", versionMajor: 1, versionMinor: 0 };
      const own = view.deletedBy === view.senderInboxId;
      return own ? { deletedBy: DeletedBy.Sender } : { deletedBy: DeletedBy.Admin, adminInboxId: view.deletedBy };
    }
    const codec = view.contentType && codecs.get(codecKey(view.contentType));
    if (codec && view.encoded) {
      try {
        return codec.decode({ ...view.encoded, type: view.contentType }, codecs);
      } catch (error) {
        // A codec of the app's that fails costs this message its content, not the list.
        this.contentError = String(error?.message ?? error);
        return undefined;
      }
    }
    switch (view.content?.type) {
      case undefined:
      case "custom":
        return undefined;
      case "reply": {
        const { content, reference, referenceInboxId } = view.content.content;
        const inReplyTo = view.inReplyTo ? new DecodedMessage(codecs, view.inReplyTo) : null;
        const inner = new DecodedMessage(codecs, {
          ...view,
          content: view.replyContent,
          contentType: content.type,
          encoded: content,
          reactions: [],
          inReplyTo: undefined,
        });
        return {
          referenceId: reference,
          reference,
          referenceInboxId,
          content: inner.content,
          contentType: async () => content.type,
          inReplyTo,
        };
      }
      default:
        return view.content.content;
    }
  }

  /** Safe to stringify: bigints are decimal strings, bytes are hex. */
  toJSON() {
    return JSON.parse(
      JSON.stringify({ ...this }, (_, value) => {
        if (typeof value === "bigint") return value.toString();
        if (value instanceof Uint8Array) return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        return value;
      }),
    );
  }
}

/** How codecs are looked up. */
export function codecKey({ authorityId, typeId, versionMajor }) {
  return `${authorityId}/${typeId}:${versionMajor}`;
}

function toDate(ns) {
  return new Date(Number(ns / 1_000_000n));
}
