// Numbers as the official browser SDK counts them.

const freeze = (names) => {
  const both = {};
  for (const [name, number] of Object.entries(names)) {
    both[name] = number;
    both[number] = name;
  }
  return Object.freeze(both);
};

export const IdentifierKind = freeze({ Ethereum: 0, Passkey: 1 });
export const ConsentState = freeze({ Unknown: 0, Allowed: 1, Denied: 2 });
export const ConsentEntityType = freeze({ GroupId: 0, InboxId: 1 });
export const ConversationType = freeze({ Dm: 0, Group: 1, Sync: 2, Oneshot: 3 });
export const DeliveryStatus = freeze({ Unpublished: 0, Published: 1, Failed: 2 });
export const GroupMessageKind = freeze({ Application: 0, MembershipChange: 1 });
export const GroupPermissionsOptions = freeze({ Default: 0, AdminOnly: 1, CustomPolicy: 2 });
export const GroupMembershipState = freeze({ Allowed: 0, Rejected: 1, Pending: 2, Restored: 3, PendingRemove: 4 });
export const PermissionLevel = freeze({ Member: 0, Admin: 1, SuperAdmin: 2 });
export const PermissionPolicy = freeze({ Allow: 0, Deny: 1, Admin: 2, SuperAdmin: 3, DoesNotExist: 4, Other: 5 });
export const PermissionUpdateType = freeze({ AddMember: 0, RemoveMember: 1, AddAdmin: 2, RemoveAdmin: 3, UpdateMetadata: 4 });
export const MetadataField = freeze({
  AppData: 0,
  Description: 1,
  GroupName: 2,
  GroupImageUrlSquare: 3,
  MessageExpirationFromNs: 4,
  MessageExpirationInNs: 5,
});
export const SortDirection = freeze({ Ascending: 0, Descending: 1 });
export const MessageSortBy = freeze({ SentAt: 0, InsertedAt: 1 });
export const ListConversationsOrderBy = freeze({ CreatedAt: 0, LastActivity: 1 });
export const DeletedBy = freeze({ Sender: 0, Admin: 1 });
export const ReactionAction = freeze({ Unknown: 0, Added: 1, Removed: 2 });
export const ReactionSchema = freeze({ Unknown: 0, Unicode: 1, Shortcode: 2, Custom: 3 });
export const ActionStyle = freeze({ Primary: 0, Secondary: 1, Danger: 2 });
export const ContentType = freeze({
  Actions: 0,
  Attachment: 1,
  Custom: 2,
  GroupMembershipChange: 3,
  GroupUpdated: 4,
  Intent: 5,
  LeaveRequest: 6,
  Markdown: 7,
  MultiRemoteAttachment: 8,
  Reaction: 9,
  ReadReceipt: 10,
  RemoteAttachment: 11,
  Reply: 12,
  Text: 13,
  TransactionReference: 14,
  WalletSendCalls: 15,
});
