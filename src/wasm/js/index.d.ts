// Declarations of the package. Names and shapes are those of the official browser SDK where it has
// the same thing; what is new says so.

// --- numbers

export declare enum IdentifierKind { Ethereum = 0, Passkey = 1 }
export declare enum ConsentState { Unknown = 0, Allowed = 1, Denied = 2 }
export declare enum ConsentEntityType { GroupId = 0, InboxId = 1 }
export declare enum ConversationType { Dm = 0, Group = 1, Sync = 2, Oneshot = 3 }
export declare enum DeliveryStatus { Unpublished = 0, Published = 1, Failed = 2 }
export declare enum GroupMessageKind { Application = 0, MembershipChange = 1 }
export declare enum GroupPermissionsOptions { Default = 0, AdminOnly = 1, CustomPolicy = 2 }
export declare enum GroupMembershipState { Allowed = 0, Rejected = 1, Pending = 2, Restored = 3, PendingRemove = 4 }
export declare enum PermissionLevel { Member = 0, Admin = 1, SuperAdmin = 2 }
export declare enum PermissionPolicy { Allow = 0, Deny = 1, Admin = 2, SuperAdmin = 3, DoesNotExist = 4, Other = 5 }
export declare enum PermissionUpdateType { AddMember = 0, RemoveMember = 1, AddAdmin = 2, RemoveAdmin = 3, UpdateMetadata = 4 }
export declare enum MetadataField {
  AppData = 0,
  Description = 1,
  GroupName = 2,
  GroupImageUrlSquare = 3,
  MessageExpirationFromNs = 4,
  MessageExpirationInNs = 5,
}
export declare enum SortDirection { Ascending = 0, Descending = 1 }
export declare enum MessageSortBy { SentAt = 0, InsertedAt = 1 }
export declare enum ListConversationsOrderBy { CreatedAt = 0, LastActivity = 1 }
export declare enum DeletedBy { Sender = 0, Admin = 1 }
export declare enum ReactionAction { Unknown = 0, Added = 1, Removed = 2 }
export declare enum ReactionSchema { Unknown = 0, Unicode = 1, Shortcode = 2, Custom = 3 }
export declare enum ActionStyle { Primary = 0, Secondary = 1, Danger = 2 }
export declare enum ContentType {
  Actions = 0,
  Attachment = 1,
  Custom = 2,
  GroupMembershipChange = 3,
  GroupUpdated = 4,
  Intent = 5,
  LeaveRequest = 6,
  Markdown = 7,
  MultiRemoteAttachment = 8,
  Reaction = 9,
  ReadReceipt = 10,
  RemoteAttachment = 11,
  Reply = 12,
  Text = 13,
  TransactionReference = 14,
  WalletSendCalls = 15,
}

// --- errors

/** Stable codes; each is explained in the documentation. */
export type SottoErrorCode =
  | "ERR_INVALID_ARGUMENT" | "ERR_INVALID_IDENTIFIER" | "ERR_NOT_FOUND" | "ERR_SIGNER_REJECTED" | "ERR_SIGNER_MISMATCH"
  | "ERR_CHAIN_MISMATCH" | "ERR_SIGNATURE_INVALID" | "ERR_NOT_REGISTERED" | "ERR_TOO_MANY_INSTALLATIONS" | "ERR_INBOX_LOG_FULL"
  | "ERR_IDENTIFIER_TAKEN" | "ERR_NOT_A_MEMBER" | "ERR_PERMISSION_DENIED" | "ERR_SUPERSEDED" | "ERR_PAUSED" | "ERR_QUARANTINED"
  | "ERR_CANNOT_BE_ADDED" | "ERR_TOO_LARGE" | "ERR_INVALID_CONTENT" | "ERR_NETWORK" | "ERR_RATE_LIMITED" | "ERR_NODE_REFUSED"
  | "ERR_PENDING" | "ERR_BUSY" | "ERR_STORAGE_UNAVAILABLE" | "ERR_STORAGE_QUOTA" | "ERR_STORAGE_CORRUPT" | "ERR_STORAGE_MISSING"
  | "ERR_STORAGE_VERSION" | "ERR_NO_STORAGE" | "ERR_WRONG_KEY" | "ERR_PROTOCOL" | "ERR_INVALID_IDENTITY" | "ERR_LOAD_FAILED"
  | "ERR_WASM_BLOCKED" | "ERR_DECRYPT" | "ERR_CLOSED" | "ERR_INTERNAL" | "ERR_PANICKED";

/** What every failed call rejects with. */
export declare class SottoError extends Error {
  /** Stable; compare this, not the message. */
  readonly code: SottoErrorCode;
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean;
  /** Whether the engine is gone for good. */
  readonly fatal: boolean;
  /** Named facts, such as `max`, `inboxId`, `installationIds`. */
  readonly details: Readonly<Record<string, string>>;
}
export declare class UsageError extends SottoError {}
export declare class NetworkError extends SottoError {}
export declare class StorageError extends SottoError {}
export declare class ProtocolError extends SottoError {}
export declare class DecryptError extends SottoError {}
export declare class ClosedError extends SottoError {}
export declare class InternalError extends SottoError {}

// --- who

/** A wallet's address, or a passkey's public key in hex. */
export interface Identifier {
  identifier: string;
  identifierKind: IdentifierKind;
}

export type SignMessage = (message: string) => Promise<Uint8Array> | Uint8Array;
export type GetIdentifier = () => Promise<Identifier> | Identifier;

/** An externally owned account, or a contract wallet with its chain. */
export type Signer =
  | { type: "EOA"; getIdentifier: GetIdentifier; signMessage: SignMessage }
  | {
      type: "SCW";
      getIdentifier: GetIdentifier;
      signMessage: SignMessage;
      getBlockNumber?: () => bigint;
      getChainId: () => bigint;
    };

/** A signature that was made elsewhere. */
export type SafeSigner =
  | { type: "EOA"; identifier: Identifier; signature: Uint8Array }
  | { type: "SCW"; identifier: Identifier; signature: Uint8Array; chainId: bigint; blockNumber?: bigint };

export interface Installation {
  bytes: Uint8Array;
  id: string;
  clientTimestampNs?: bigint;
}

export interface InboxState {
  inboxId: string;
  recoveryIdentifier: Identifier;
  installations: Installation[];
  accountIdentifiers: Identifier[];
}

export interface KeyPackageStatus {
  lifetime?: { notBefore: bigint; notAfter: bigint };
  validationError?: string;
}

export type XmtpEnv = "local" | "dev" | "production";

/** Where the nodes are. */
export interface NetworkOptions {
  env?: XmtpEnv;
  /** A node's URL, without a path. */
  apiUrl?: string;
  /** Several equivalent nodes; the client moves on when one cannot be reached. */
  apiUrls?: string[];
  appVersion?: string;
}

export interface ClientOptions extends NetworkOptions {
  /** Name of the database; null keeps everything in memory. */
  dbPath?: string | null;
  /** At least 32 bytes that wrap the data key; by default a key that the browser keeps does. */
  dbEncryptionKey?: Uint8Array;
  /** "memory" keeps nothing beyond the page. Never chosen silently. */
  storage?: "indexeddb" | "memory";
  /** How sure a write must be; "relaxed" survives a crash of the browser, "strict" one of the machine. */
  durability?: "relaxed" | "strict";
  disableAutoRegister?: boolean;
  disableDeviceSync?: boolean;
  /** Most members of a group that this client creates or adds to; 250 by default. Official clients add no more than that. */
  maxGroupSize?: number;
  /** For a new inbox; 1 by default. */
  nonce?: bigint;
  codecs?: ContentCodec[];
}

/** An Ethereum account made in the page; whoever has the page's storage has it. */
export declare class LocalWallet {
  private constructor();
  static generate(): Promise<LocalWallet>;
  static fromPrivateKey(key: string | Uint8Array): Promise<LocalWallet>;
  readonly address: string;
  get privateKey(): string;
  get identifier(): Identifier;
  signer(): Extract<Signer, { type: "EOA" }>;
}

// --- content

export interface ContentTypeId {
  authorityId: string;
  typeId: string;
  versionMajor: number;
  versionMinor: number;
}

export interface EncodedContent {
  type?: ContentTypeId;
  parameters: Record<string, string>;
  fallback?: string;
  compression?: number;
  content: Uint8Array;
}

/** A content type of the app's own. */
export interface ContentCodec<T = unknown> {
  contentType: ContentTypeId;
  encode(content: T): EncodedContent;
  decode(content: EncodedContent): T;
  fallback?(content: T): string | undefined;
  shouldPush?(content: T): boolean;
}

export interface Reaction {
  reference: string;
  referenceInboxId: string;
  action: ReactionAction;
  content: string;
  schema: ReactionSchema;
}
export interface Reply {
  content: EncodedContent;
  reference: string;
  referenceInboxId?: string;
}
export type ReadReceipt = Record<string, never>;
export interface Attachment {
  filename?: string;
  mimeType: string;
  content: Uint8Array;
}
export interface RemoteAttachment {
  url: string;
  contentDigest: string;
  secret: Uint8Array;
  salt: Uint8Array;
  nonce: Uint8Array;
  scheme: string;
  contentLength?: number;
  filename?: string;
}
export interface MultiRemoteAttachment {
  attachments: RemoteAttachment[];
}
export interface EncryptedAttachment {
  payload: Uint8Array;
  contentDigest: string;
  secret: Uint8Array;
  salt: Uint8Array;
  nonce: Uint8Array;
  contentLength: number;
  filename?: string;
}
export interface TransactionMetadata {
  transactionType: string;
  currency: string;
  amount: number;
  decimals: number;
  fromAddress: string;
  toAddress: string;
}
export interface TransactionReference {
  namespace?: string;
  networkId: string;
  reference: string;
  metadata?: TransactionMetadata;
}
export interface WalletCall {
  to?: string;
  data?: string;
  value?: string;
  gas?: string;
  metadata?: Record<string, string>;
}
export interface WalletSendCalls {
  version: string;
  chainId: string;
  from: string;
  calls: WalletCall[];
  capabilities?: Record<string, string>;
}
export interface Action {
  id: string;
  label: string;
  imageUrl?: string;
  style?: ActionStyle;
  expiresAtNs?: bigint;
}
export interface Actions {
  id: string;
  description: string;
  actions: Action[];
  expiresAtNs?: bigint;
}
export interface Intent {
  id: string;
  actionId: string;
  metadata?: Record<string, string | number | boolean | null>;
}
export interface Inbox {
  inboxId: string;
}
export interface MetadataFieldChange {
  fieldName: string;
  oldValue?: string;
  newValue?: string;
}
export interface GroupUpdated {
  initiatedByInboxId: string;
  addedInboxes: Inbox[];
  removedInboxes: Inbox[];
  leftInboxes: Inbox[];
  metadataFieldChanges: MetadataFieldChange[];
  addedAdminInboxes: Inbox[];
  removedAdminInboxes: Inbox[];
  addedSuperAdminInboxes: Inbox[];
  removedSuperAdminInboxes: Inbox[];
}
export interface LeaveRequest {
  authenticatedNote?: Uint8Array;
}
export interface DeletedMessage {
  deletedBy: DeletedBy;
  adminInboxId?: string;
}
export interface EnrichedReply<T = unknown, U = unknown> {
  referenceId: string;
  /** The same as `referenceId`. */
  reference: string;
  referenceInboxId?: string;
  content: T;
  contentType: () => Promise<ContentTypeId | undefined>;
  inReplyTo: DecodedMessage<U> | null;
}
export type BuiltInContentTypes =
  | string | LeaveRequest | Reaction | ReadReceipt | Attachment | RemoteAttachment | TransactionReference | WalletSendCalls
  | Actions | Intent | MultiRemoteAttachment | GroupUpdated | DeletedMessage | EnrichedReply;

/** A message. The sender is authenticated; what the content claims is not. */
export declare class DecodedMessage<ContentTypes = unknown> {
  private constructor();
  readonly id: string;
  readonly conversationId: string;
  readonly senderInboxId: string;
  readonly senderInstallationId: string;
  /** The node's time once it has the message. */
  readonly sentAtNs: bigint;
  readonly sentAt: Date;
  readonly insertedAtNs: bigint;
  readonly kind: GroupMessageKind;
  readonly deliveryStatus: DeliveryStatus;
  readonly contentType: ContentTypeId | undefined;
  /** Undefined where it cannot be read. */
  readonly content: ContentTypes | undefined;
  /** Why `content` is undefined, if it should not be. */
  readonly contentError: string | undefined;
  readonly encodedContent: EncodedContent | undefined;
  readonly fallback?: string;
  readonly expiresAtNs?: bigint;
  readonly expiresAt?: Date;
  readonly isEdited: boolean;
  /** The code of why sending failed. */
  readonly failure?: string;
  readonly numReplies: bigint;
  readonly reactions: DecodedMessage<Reaction>[];
  toJSON(): Record<string, unknown>;
}

// --- conversations

export interface MessageDisappearingSettings {
  fromNs: bigint;
  inNs: bigint;
}
export interface PermissionPolicySet {
  addMemberPolicy: PermissionPolicy;
  removeMemberPolicy: PermissionPolicy;
  addAdminPolicy: PermissionPolicy;
  removeAdminPolicy: PermissionPolicy;
  updateGroupNamePolicy: PermissionPolicy;
  updateGroupDescriptionPolicy: PermissionPolicy;
  updateGroupImageUrlSquarePolicy: PermissionPolicy;
  updateMessageDisappearingPolicy: PermissionPolicy;
  updateAppDataPolicy: PermissionPolicy;
}
export interface CreateGroupOptions {
  permissions?: GroupPermissionsOptions;
  groupName?: string;
  groupImageUrlSquare?: string;
  groupDescription?: string;
  customPermissionPolicySet?: PermissionPolicySet;
  messageDisappearingSettings?: MessageDisappearingSettings;
  appData?: string;
}
export interface CreateDmOptions {
  messageDisappearingSettings?: MessageDisappearingSettings;
}
export interface ListConversationsOptions {
  consentStates?: ConsentState[];
  conversationType?: ConversationType;
  createdAfterNs?: bigint;
  createdBeforeNs?: bigint;
  includeDuplicateDms?: boolean;
  orderBy?: ListConversationsOrderBy;
  limit?: bigint | number;
}
export interface ListMessagesOptions {
  contentTypes?: ContentType[];
  excludeContentTypes?: ContentType[];
  sentBeforeNs?: bigint;
  sentAfterNs?: bigint;
  limit?: bigint | number;
  deliveryStatus?: DeliveryStatus;
  direction?: SortDirection;
  kind?: GroupMessageKind;
  excludeSenderInboxIds?: string[];
  sortBy?: MessageSortBy;
  insertedAfterNs?: bigint;
  insertedBeforeNs?: bigint;
}
export interface SendOpts {
  /** Store it now, send it with `publishMessages()` or the next sync. */
  optimistic?: boolean;
  /** Two sends of equal content with the same key are one message. */
  idempotencyKey?: string;
}
export interface SendMessageOpts extends SendOpts {
  shouldPush?: boolean;
}
export interface GroupMember {
  inboxId: string;
  accountIdentifiers: Identifier[];
  installationIds: string[];
  permissionLevel: PermissionLevel;
  consentState: ConsentState;
}
export interface GroupMetadata {
  creatorInboxId: string;
  conversationType: ConversationType;
}
export interface GroupSyncSummary {
  numEligible: number;
  numSynced: number;
}
export interface Consent {
  entityType: ConsentEntityType;
  state: ConsentState;
  entity: string;
}
export interface ConversationDebugInfo {
  epoch: bigint;
  maybeForked: boolean;
  forkDetails: string;
  isCommitLogForked: boolean | undefined;
  localCommitLog: string;
  remoteCommitLog: string;
  cursor: { originatorId: number; sequenceId: bigint }[];
  /** Members in the same state show the same. */
  epochAuthenticator: string;
}
/** How a conversation is doing. */
export interface ConversationHealth {
  /** The worst of it. "behind": things of ours wait to be sent or read in order; "forked": others are where we cannot follow. */
  state: "ok" | "behind" | "removed" | "forked" | "quarantined" | "paused";
  epoch: bigint;
  pausedForVersion?: string;
  /** Codes of suspicious changes; `acknowledge` each to go on. */
  quarantine: string[];
  /** Installations of members that read nothing here. One that is not listed keeps newcomers out until the next membership change. */
  missing: { inboxId: string; installationId: string; listed: boolean }[];
  /** Members that asked to leave. */
  leaving: string[];
  /** Only one member leads the group. */
  singleSuperAdmin: boolean;
  /** Super admins that are no members or have no installation here. */
  ghostSuperAdmins: string[];
  /** Admins that are no members: they are admins again when they are added. */
  ghostAdmins: string[];
}
/** Something that happened in a conversation which no message tells of. */
export interface ConversationNotice {
  conversationId: string;
  /** "removed", "commitRejected", "takeoverSuspected", "suspiciousWelcome", "moderationUnreadable", "SAFE-Q1" and so on. */
  kind: string;
  /** The rule or the inbox that it is about. */
  about?: string;
}
export interface UpdateOptions {
  /** The value you saw; if somebody changed it meanwhile the call fails with ERR_SUPERSEDED. */
  expected?: string;
}

export interface StreamOptions<V> {
  onValue?: (value: V) => void;
  onError?: (error: Error) => void;
  onEnd?: () => void;
  disableSync?: boolean;
}

/** Values as they come: each once, in order, also after the link was down. */
export declare class Stream<V> implements AsyncIterable<V> {
  private constructor();
  readonly isDone: boolean;
  next(): Promise<IteratorResult<V, undefined>>;
  return(): Promise<IteratorResult<V, undefined>>;
  /** Ends it; with `drain` the values that are here already still come. Again is fine. */
  end(options?: { drain?: boolean }): Promise<IteratorResult<V, undefined>>;
  [Symbol.asyncIterator](): Stream<V>;
}
export type AsyncStreamProxy<V> = Stream<V>;

export declare class Conversation<ContentTypes = BuiltInContentTypes> {
  protected constructor();
  get id(): string;
  get createdAtNs(): bigint;
  get createdAt(): Date;
  get lastActivityNs(): bigint;
  get addedByInboxId(): string;
  metadata(): Promise<GroupMetadata>;
  isActive(): Promise<boolean>;
  /** Reads what is stored, without the network. */
  refresh(): Promise<this>;
  /** Fetches what is new, and sends what is queued. */
  sync(): Promise<this>;
  members(): Promise<GroupMember[]>;
  send(encodedContent: EncodedContent, options?: SendMessageOpts): Promise<string>;
  sendText(text: string, options?: SendOpts): Promise<string>;
  sendMarkdown(markdown: string, options?: SendOpts): Promise<string>;
  sendReaction(reaction: Reaction, options?: SendOpts): Promise<string>;
  sendReadReceipt(options?: SendOpts): Promise<string>;
  sendReply(reply: Reply, options?: SendOpts): Promise<string>;
  sendAttachment(attachment: Attachment, options?: SendOpts): Promise<string>;
  sendRemoteAttachment(remoteAttachment: RemoteAttachment, options?: SendOpts): Promise<string>;
  sendMultiRemoteAttachment(multiRemoteAttachment: MultiRemoteAttachment, options?: SendOpts): Promise<string>;
  sendTransactionReference(transactionReference: TransactionReference, options?: SendOpts): Promise<string>;
  sendWalletSendCalls(walletSendCalls: WalletSendCalls, options?: SendOpts): Promise<string>;
  sendActions(actions: Actions, options?: SendOpts): Promise<string>;
  sendIntent(intent: Intent, options?: SendOpts): Promise<string>;
  deleteMessage(messageId: string): Promise<string>;
  editMessage(messageId: string, editedContent: EncodedContent): Promise<string>;
  publishMessages(): Promise<void>;
  retryMessage(messageId: string): Promise<void>;
  dropMessage(messageId: string): Promise<void>;
  messages(options?: ListMessagesOptions): Promise<DecodedMessage<ContentTypes>[]>;
  countMessages(options?: ListMessagesOptions): Promise<bigint>;
  lastMessage(): Promise<DecodedMessage<ContentTypes> | undefined>;
  stream(options?: StreamOptions<DecodedMessage<ContentTypes>>): Promise<Stream<DecodedMessage<ContentTypes>>>;
  consentState(): Promise<ConsentState>;
  updateConsentState(state: ConsentState): Promise<void>;
  messageDisappearingSettings(): Promise<MessageDisappearingSettings | undefined>;
  isMessageDisappearingEnabled(): Promise<boolean>;
  updateMessageDisappearingSettings(fromNs: bigint, inNs: bigint): Promise<void>;
  removeMessageDisappearingSettings(): Promise<void>;
  pausedForVersion(): Promise<string | undefined>;
  debugInfo(): Promise<ConversationDebugInfo>;
  health(): Promise<ConversationHealth>;
  /** Renews this installation's key here: a stolen copy of its state from before reads nothing more. */
  updateKey(): Promise<void>;
  /** Takes back a change that waits to be sent: `details.intentId` of the error that its call ended with. */
  cancelIntent(intentId: string | number): Promise<void>;
  acknowledge(code: string): Promise<void>;
}

export declare class Group<ContentTypes = BuiltInContentTypes> extends Conversation<ContentTypes> {
  get name(): string;
  get description(): string;
  get imageUrl(): string;
  get appData(): string;
  get admins(): string[];
  get superAdmins(): string[];
  get isPendingRemoval(): boolean;
  updateName(name: string, options?: UpdateOptions): Promise<void>;
  updateDescription(description: string, options?: UpdateOptions): Promise<void>;
  updateImageUrl(imageUrl: string, options?: UpdateOptions): Promise<void>;
  updateAppData(appData: string, options?: UpdateOptions): Promise<void>;
  addMembers(inboxIds: string[]): Promise<void>;
  addMembersByIdentifiers(identifiers: Identifier[]): Promise<void>;
  removeMembers(inboxIds: string[]): Promise<void>;
  removeMembersByIdentifiers(identifiers: Identifier[]): Promise<void>;
  addAdmin(inboxId: string): Promise<void>;
  removeAdmin(inboxId: string): Promise<void>;
  addSuperAdmin(inboxId: string): Promise<void>;
  removeSuperAdmin(inboxId: string): Promise<void>;
  /** Removes a super admin: demotes it, and removes it when that stands. An error's `details.step` says how far it got. */
  demoteAndRemove(inboxId: string): Promise<void>;
  /** Deletes messages of whomever for everybody. Only super admins may. From the first call on, others' messages are deleted here in no other way. */
  moderate(messageIds: string[]): Promise<void>;
  /** A new group without `excluding`, with the members as they were before those took it over. */
  refound(excluding: string[]): Promise<Group<ContentTypes>>;
  listAdmins(): Promise<string[]>;
  listSuperAdmins(): Promise<string[]>;
  isAdmin(inboxId: string): Promise<boolean>;
  isSuperAdmin(inboxId: string): Promise<boolean>;
  permissions(): Promise<{ policyType: GroupPermissionsOptions; policySet: PermissionPolicySet }>;
  updatePermission(permissionType: PermissionUpdateType, policy: PermissionPolicy, metadataField?: MetadataField): Promise<void>;
  requestRemoval(): Promise<void>;
}

export declare class Dm<ContentTypes = BuiltInContentTypes> extends Conversation<ContentTypes> {
  peerInboxId(): Promise<string | undefined>;
  duplicateDms(): Promise<Dm<ContentTypes>[]>;
}

export declare class Conversations<ContentTypes = BuiltInContentTypes> {
  private constructor();
  createGroup(inboxIds: string[], options?: CreateGroupOptions): Promise<Group<ContentTypes>>;
  createGroupWithIdentifiers(identifiers: Identifier[], options?: CreateGroupOptions): Promise<Group<ContentTypes>>;
  createDm(inboxId: string, options?: CreateDmOptions): Promise<Dm<ContentTypes>>;
  createDmWithIdentifier(identifier: Identifier, options?: CreateDmOptions): Promise<Dm<ContentTypes>>;
  list(options?: ListConversationsOptions): Promise<(Group<ContentTypes> | Dm<ContentTypes>)[]>;
  listGroups(options?: Omit<ListConversationsOptions, "conversationType">): Promise<Group<ContentTypes>[]>;
  listDms(options?: Omit<ListConversationsOptions, "conversationType">): Promise<Dm<ContentTypes>[]>;
  getConversationById(id: string): Promise<Group<ContentTypes> | Dm<ContentTypes> | undefined>;
  getDmByInboxId(inboxId: string): Promise<Dm<ContentTypes> | undefined>;
  fetchDmByIdentifier(identifier: Identifier): Promise<Dm<ContentTypes> | undefined>;
  getMessageById(id: string): Promise<DecodedMessage<ContentTypes> | undefined>;
  sync(): Promise<void>;
  syncAll(consentStates?: ConsentState[], options?: { onProgress?: (done: number, of: number) => void }): Promise<GroupSyncSummary>;
  stream(
    options?: StreamOptions<Group<ContentTypes> | Dm<ContentTypes>> & { conversationType?: ConversationType },
  ): Promise<Stream<Group<ContentTypes> | Dm<ContentTypes>>>;
  streamGroups(options?: StreamOptions<Group<ContentTypes>>): Promise<Stream<Group<ContentTypes>>>;
  streamDms(options?: StreamOptions<Dm<ContentTypes>>): Promise<Stream<Dm<ContentTypes>>>;
  streamAllMessages(
    options?: StreamOptions<DecodedMessage<ContentTypes>> & { conversationType?: ConversationType; consentStates?: ConsentState[] },
  ): Promise<Stream<DecodedMessage<ContentTypes>>>;
  streamAllGroupMessages(
    options?: StreamOptions<DecodedMessage<ContentTypes>> & { consentStates?: ConsentState[] },
  ): Promise<Stream<DecodedMessage<ContentTypes>>>;
  streamAllDmMessages(
    options?: StreamOptions<DecodedMessage<ContentTypes>> & { consentStates?: ConsentState[] },
  ): Promise<Stream<DecodedMessage<ContentTypes>>>;
  streamDeletedMessages(options?: StreamOptions<DecodedMessage<ContentTypes>>): Promise<Stream<DecodedMessage<ContentTypes>>>;
  streamUpdatedMessages(options?: StreamOptions<DecodedMessage<ContentTypes>>): Promise<Stream<DecodedMessage<ContentTypes>>>;
  /** What no message tells of: removals, refused and suspicious changes. */
  streamNotices(options?: StreamOptions<ConversationNotice>): Promise<Stream<ConversationNotice>>;
  streamChanges(
    options?: StreamOptions<Group<ContentTypes> | Dm<ContentTypes>>,
  ): Promise<Stream<Group<ContentTypes> | Dm<ContentTypes>>>;
}

export declare class Preferences {
  private constructor();
  inboxState(): Promise<InboxState>;
  fetchInboxState(): Promise<InboxState>;
  getInboxStates(inboxIds: string[]): Promise<InboxState[]>;
  fetchInboxStates(inboxIds: string[]): Promise<InboxState[]>;
  setConsentStates(records: Consent[]): Promise<void>;
  getConsentState(entityType: ConsentEntityType, entity: string): Promise<ConsentState>;
  streamConsent(options?: StreamOptions<Consent[]>): Promise<Stream<Consent[]>>;
}

/** What the subscription is doing. */
export type LinkState = "idle" | "connecting" | "catching-up" | "live" | "offline";

export interface SignatureText {
  signatureText: string;
  signatureRequestId: string;
}

export declare class Client<ContentTypes = BuiltInContentTypes> {
  private constructor();
  /** Opens the store of the signer's identifier; registers an installation if there is none. */
  static create(signer: Signer, options?: ClientOptions): Promise<Client>;
  /** Opens the store of an identifier without a signer; registers nothing. */
  static build(identifier: Identifier, options?: ClientOptions): Promise<Client>;
  readonly conversations: Conversations<ContentTypes>;
  readonly preferences: Preferences;
  get isReady(): boolean;
  get inboxId(): string | undefined;
  get installationId(): string | undefined;
  get installationIdBytes(): Uint8Array | undefined;
  get accountIdentifier(): Identifier;
  get options(): ClientOptions | undefined;
  get signer(): Signer | undefined;
  get env(): XmtpEnv | undefined;
  get appVersion(): string | undefined;
  get libxmtpVersion(): string;
  get state(): LinkState;
  onState(callback: (state: LinkState, reason: string) => void): () => void;
  stats(): Record<string, bigint>;
  isRegistered(): Promise<boolean>;
  register(): Promise<void>;
  close(): Promise<void>;
  canMessage(identifiers: Identifier[]): Promise<Map<string, boolean>>;
  static canMessage(identifiers: Identifier[], options?: XmtpEnv | NetworkOptions): Promise<Map<string, boolean>>;
  fetchInboxIdByIdentifier(identifier: Identifier): Promise<string | undefined>;
  static fetchInboxStates(inboxIds: string[], options?: XmtpEnv | NetworkOptions): Promise<InboxState[]>;
  fetchLatestInboxUpdatesCount(inboxIds: string[]): Promise<Map<string, number>>;
  static fetchLatestInboxUpdatesCount(inboxIds: string[], options?: XmtpEnv | NetworkOptions): Promise<Map<string, number>>;
  fetchOwnInboxUpdatesCount(): Promise<number>;
  addAccount(newAccountSigner: Signer, options?: { reassign?: boolean }): Promise<void>;
  unsafe_addAccount(newAccountSigner: Signer, allowInboxReassign?: boolean): Promise<void>;
  removeAccount(identifier: Identifier): Promise<void>;
  revokeInstallations(installationIds: (Uint8Array | string)[]): Promise<void>;
  static revokeInstallations(
    signer: Signer,
    inboxId: string,
    installationIds: (Uint8Array | string)[],
    options?: XmtpEnv | NetworkOptions,
  ): Promise<void>;
  revokeAllOtherInstallations(): Promise<void>;
  changeRecoveryIdentifier(identifier: Identifier): Promise<void>;
  unsafe_createInboxSignatureText(): Promise<{ signatureText?: string; signatureRequestId?: string }>;
  unsafe_addAccountSignatureText(newIdentifier: Identifier, allowInboxReassign?: boolean): Promise<SignatureText>;
  unsafe_removeAccountSignatureText(identifier: Identifier): Promise<SignatureText>;
  unsafe_revokeInstallationsSignatureText(installationIds: (Uint8Array | string)[]): Promise<SignatureText>;
  unsafe_revokeAllOtherInstallationsSignatureText(): Promise<{ signatureText: string | undefined; signatureRequestId: string }>;
  unsafe_changeRecoveryIdentifierSignatureText(identifier: Identifier): Promise<SignatureText>;
  unsafe_exportSignatureRequest(signatureRequestId: string): Uint8Array | undefined;
  unsafe_importSignatureRequest(bytes: Uint8Array): SignatureText;
  unsafe_applySignatureRequest(signer: SafeSigner, signatureRequestId: string): Promise<void>;
  signWithInstallationKey(signatureText: string): Promise<Uint8Array>;
  verifySignedWithInstallationKey(signatureText: string, signatureBytes: Uint8Array): Promise<boolean>;
  verifySignedWithPublicKey(signatureText: string, signatureBytes: Uint8Array, publicKey: Uint8Array): Promise<boolean>;
  fetchKeyPackageStatuses(installationIds: string[]): Promise<Map<string, KeyPackageStatus>>;
  /** Asks the browser not to evict the store. */
  static persist(): Promise<"persistent" | "best-effort" | "unknown">;
  static deleteStore(identifier: Identifier, options?: ClientOptions): Promise<void>;
  static forgetStore(identifier: Identifier, options?: ClientOptions): Promise<void>;
}

export declare const ApiUrls: Readonly<{ local: string; dev: string; production: string }>;

/** Loads the engine; optional. Twice at once loads it once, after a failure it can be tried again. */
export declare function init(
  source?: string | URL | Request | Response | BufferSource | WebAssembly.Module,
): Promise<void>;

export declare function encodeText(text: string): Promise<EncodedContent>;
export declare function encodeMarkdown(text: string): Promise<EncodedContent>;
export declare function encodeReaction(reaction: Reaction): Promise<EncodedContent>;
export declare function encodeReadReceipt(readReceipt?: ReadReceipt): Promise<EncodedContent>;
export declare function encodeAttachment(attachment: Attachment): Promise<EncodedContent>;
export declare function encodeRemoteAttachment(remoteAttachment: RemoteAttachment): Promise<EncodedContent>;
export declare function encodeMultiRemoteAttachment(multi: MultiRemoteAttachment): Promise<EncodedContent>;
export declare function encodeTransactionReference(reference: TransactionReference): Promise<EncodedContent>;
export declare function encodeWalletSendCalls(calls: WalletSendCalls): Promise<EncodedContent>;
export declare function encodeActions(actions: Actions): Promise<EncodedContent>;
export declare function encodeIntent(intent: Intent): Promise<EncodedContent>;
export declare function encryptAttachment(attachment: Attachment): Promise<EncryptedAttachment>;
export declare function decryptAttachment(encryptedBytes: Uint8Array, remoteAttachment: RemoteAttachment): Promise<Attachment>;
export declare function generateInboxId(identifier: Identifier, nonce?: bigint): Promise<string>;
