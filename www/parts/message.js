// What a message says, in words: its text, or a sentence about what happened.
import { counted, listed } from './words.js';

/** True for notes about the group itself, which nobody wrote. */
export function isNote(message) {
  return message.contentType?.typeId === 'group_updated';
}

/** The text of a message. What we cannot show says so instead of being left out. */
export function textOf(session, message) {
  if (isNote(message)) return noteText(session, message);
  if (typeof message.content === 'string') return message.content;
  return message.fallback ?? 'A kind of message that cannot be shown here.';
}

/** A message in one line, for the list. */
export function preview(session, message) {
  const text = textOf(session, message);
  if (isNote(message)) return text;
  return `${session.name(message.senderInboxId)}: ${text}`;
}

function noteText(session, { content, senderInboxId }) {
  const who = session.name(content?.initiatedByInboxId ?? senderInboxId);
  const names = (inboxes) => listed(inboxes.map(({ inboxId }) => inObject(session.name(inboxId))));
  const parts = [];
  const added = content?.addedInboxes ?? [];
  const removed = content?.removedInboxes ?? [];
  const left = content?.leftInboxes ?? [];
  if (added.length > 0) parts.push(`${who} added ${names(added)}`);
  if (removed.length > 0) parts.push(`${who} removed ${names(removed)}`);
  if (left.length > 0) parts.push(`${names(left)} left`);
  for (const { fieldName, newValue } of content?.metadataFieldChanges ?? []) {
    parts.push(fieldName === 'group_name' && newValue ? `${who} named the group “${newValue}”` : `${who} changed the group`);
  }
  const roles = [
    ['addedAdminInboxes', 'an admin'],
    ['addedSuperAdminInboxes', 'a super admin'],
  ];
  for (const [field, role] of roles) {
    if (content?.[field]?.length > 0) parts.push(`${who} made ${names(content[field])} ${role}`);
  }
  for (const field of ['removedAdminInboxes', 'removedSuperAdminInboxes']) {
    if (content?.[field]?.length > 0) parts.push(`${who} took back ${counted(content[field].length, 'role')}`);
  }
  return parts.length > 0 ? parts.join(' · ') : `${who} changed the group`;
}

function inObject(name) {
  return name === 'You' ? 'you' : name;
}
