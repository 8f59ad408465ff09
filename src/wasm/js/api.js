// Everything the package exports. The entries add only where the engine is loaded from. Nothing runs at import.

import { call, callNow, glue, init } from "./runtime.js";

export { Client, ApiUrls } from "./client.js";
export { Conversation, Dm, Group } from "./conversation.js";
export { Conversations } from "./conversations.js";
export { DecodedMessage } from "./message.js";
export { Preferences } from "./preferences.js";
export { Stream } from "./stream.js";
export { LocalWallet } from "./wallet.js";
export * from "./enums.js";
export {
  SottoError,
  UsageError,
  NetworkError,
  StorageError,
  ProtocolError,
  DecryptError,
  ClosedError,
  InternalError,
} from "./errors.js";
export { init };

const encoder = (type) => async (content) => {
  await init();
  return callNow(() => glue.encodeContent({ type, content }));
};

export const encodeText = encoder("text");
export const encodeMarkdown = encoder("markdown");
export const encodeReaction = encoder("reaction");
export const encodeReadReceipt = encoder("readReceipt");
export const encodeAttachment = encoder("attachment");
export const encodeRemoteAttachment = encoder("remoteAttachment");
export const encodeMultiRemoteAttachment = encoder("multiRemoteAttachment");
export const encodeTransactionReference = encoder("transactionReference");
export const encodeWalletSendCalls = encoder("walletSendCalls");
export const encodeActions = encoder("actions");
export const encodeIntent = encoder("intent");

/** Encrypts an attachment that is to be stored elsewhere. */
export async function encryptAttachment(attachment) {
  await init();
  return callNow(() => glue.encryptAttachment(attachment));
}

/** Checks and decrypts an attachment that was stored elsewhere. */
export async function decryptAttachment(encryptedBytes, remoteAttachment) {
  await init();
  return callNow(() => glue.decryptAttachment(encryptedBytes, remoteAttachment));
}

/** The inbox id that an identifier gets when it has none yet. */
export async function generateInboxId(identifier, nonce) {
  await init();
  return call(async () => glue.generateInboxId(identifier, nonce));
}
